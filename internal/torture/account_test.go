//go:build linux || darwin

package torture

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// account is what the workers told: the witness. It lives in the driver, which
// nobody kills, and knows nothing of any store.
type account struct {
	life  int // the current one, from 1
	tasks map[int]*progress
	calls map[call]*callRecord
	keys  map[string]call // of at-most-once calls

	figures  figures
	inside   map[string]string // by safe: the instance in its critical section
	findings []string
	seen     map[string]bool
}

// progress is what became of what clients asked for.
type progress struct {
	started promise
	events  []promise
	signals []promise
	beside  promise // of the instance that is purged or purges itself
	done    string  // what a client saw as its result; "" if none did
}

// promise is one request of a client: how often it was made, and whether one was
// acknowledged.
type promise struct {
	tried int
	acked bool
}

// call names one call of an activity as histories do.
type call struct {
	instance, execution string
	task                int32
}

func (c call) String() string { return fmt.Sprintf("%s/%s/%d", c.instance, c.execution, c.task) }

type callRecord struct {
	what, key string
	begun     []int // lives in which it began
	ended     bool  // it gave an answer, in whichever life
	absent    bool  // Reconcile said that it did not happen, and it has not begun since
	told      int   // how far it said that it was
	kept      int   // how far it was, as the disk said when the last life had ended
	answered  int   // the life after which its answer was on disk; 0 for none
}

// figures are what was done; they are printed, and nothing depends on them.
type figures struct {
	Rounds, Lives, Kills, Halts, Closes int
	Instances, Calls, Commits           int
	Faults, ClockJumps, Sick            int
	Images, Histories, Events, Checks   int
	Unknown, Settled                    int
	Sections, Canceled, TimedOut        int
	Purged, Resumed                     int
}

func (f *figures) add(o figures) {
	f.Rounds += o.Rounds
	f.Lives += o.Lives
	f.Kills += o.Kills
	f.Halts += o.Halts
	f.Closes += o.Closes
	f.Instances += o.Instances
	f.Calls += o.Calls
	f.Commits += o.Commits
	f.Faults += o.Faults
	f.ClockJumps += o.ClockJumps
	f.Sick += o.Sick
	f.Images += o.Images
	f.Histories += o.Histories
	f.Events += o.Events
	f.Checks += o.Checks
	f.Unknown += o.Unknown
	f.Settled += o.Settled
	f.Sections += o.Sections
	f.Canceled += o.Canceled
	f.TimedOut += o.TimedOut
	f.Purged += o.Purged
	f.Resumed += o.Resumed
}

func (f figures) String() string {
	return fmt.Sprintf(`rounds                          %d
lives of a worker               %d
  killed with SIGKILL           %d
  stopped by an unknown outcome %d
  ended by themselves           %d
instances                       %d
activity calls                  %d
commits                         %d
commits failed at the seam       %d
times that commits stood still  %d
jumps of the clock              %d
images of the store checked     %d
  histories read and replayed   %d
  their events                  %d
  single checks                 %d
calls with an unknown outcome   %d
calls that Reconcile settled    %d
critical sections               %d
calls canceled without an end   %d
attempts whose time was over    %d
calls that went on in the middle %d
instances purged, or by retention %d`,
		f.Rounds, f.Lives, f.Kills, f.Halts, f.Closes, f.Instances, f.Calls, f.Commits, f.Faults, f.Sick, f.ClockJumps,
		f.Images, f.Histories, f.Events, f.Checks, f.Unknown, f.Settled, f.Sections, f.Canceled, f.TimedOut, f.Resumed, f.Purged)
}

func newAccount() *account {
	return &account{tasks: map[int]*progress{}, calls: map[call]*callRecord{}, keys: map[string]call{}, inside: map[string]string{}, seen: map[string]bool{}}
}

// find notes a finding once.
func (a *account) find(format string, args ...any) {
	f := fmt.Sprintf(format, args...)
	if !a.seen[f] {
		a.seen[f] = true
		a.findings = append(a.findings, fmt.Sprintf("life %d: %s", a.life, f))
	}
}

// must notes a finding unless ok, which it gives.
func (a *account) must(ok bool, format string, args ...any) bool {
	a.figures.Checks++
	if !ok {
		a.find(format, args...)
	}
	return ok
}

// expect adds an instance that workers will be told to run.
func (a *account) expect(i, events, signals int) {
	a.tasks[i] = &progress{events: make([]promise, events), signals: make([]promise, signals)}
	a.figures.Instances++
}

// open lists what is still to be done.
func (a *account) open() (tasks []task) {
	for i, p := range a.tasks {
		if p.done != "" {
			continue
		}
		t := task{I: i, Known: p.started.acked, Beside: hasBeside(i) && !p.beside.acked}
		for n, e := range p.events {
			if !e.acked {
				t.Events = append(t.Events, n)
			}
		}
		for n, s := range p.signals {
			if !s.acked {
				t.Signals = append(t.Signals, n)
			}
		}
		tasks = append(tasks, t)
	}
	slices.SortFunc(tasks, func(a, b task) int { return a.I - b.I })
	return tasks
}

// hear takes one record.
func (a *account) hear(line string) error {
	words := strings.Split(line, " ")
	num := func(i int) int {
		n, err := strconv.Atoi(words[i])
		if err != nil {
			panic(fmt.Sprintf("torture: record %q: %v", line, err))
		}
		return n
	}
	switch what := words[0]; what {
	case "opening", "opened", "closed", "halted", "well", "lifted":
	case "sick":
		a.figures.Sick++
	case "commit":
		a.figures.Commits++
	case "fault":
		if words[1] == "clock" {
			a.figures.ClockJumps++
		} else {
			a.figures.Faults++
		}
	case "try", "ack":
		p := a.tasks[num(2)]
		pr := &p.started
		switch words[1] {
		case "event":
			pr = &p.events[num(3)]
		case "signal":
			pr = &p.signals[num(3)]
		case "beside":
			pr = &p.beside
		}
		if what == "try" {
			pr.tried++
		} else {
			pr.acked = true
			if words[1] == "beside" {
				a.figures.Purged++
			}
		}
	case "done":
		a.tasks[num(1)].done = words[2]
	case "stuck":
		a.find("instance %d was started and does not end", num(1))
	case "begin":
		a.begin(words)
	case "beat", "resume":
		a.counted(what, words, num(6))
	case "end":
		c, r := a.record(words)
		r.ended = words[1] != "absent"
		r.absent = words[1] == "absent"
		a.section("end", words)
		if words[1] == "absent" || words[1] == "found" {
			a.figures.Settled++
			a.must(r.answered == 0, "call %s is reconciled though its answer is on disk", c)
		}
	case "twice":
		c, r := a.record(words)
		a.find("the effect of %s %s was there already when it was done", r.what, c)
	default:
		return fmt.Errorf("record %q is none", line)
	}
	return nil
}

// record finds the call that a record is about: verb, what, and what about says.
func (a *account) record(words []string) (call, *callRecord) {
	task, err := strconv.Atoi(words[4])
	if err != nil {
		panic(fmt.Sprintf("torture: record %q: %v", words, err))
	}
	c := call{words[2], words[3], int32(task)}
	r := a.calls[c]
	if r == nil {
		r = &callRecord{what: words[1], key: words[5]}
		a.calls[c] = r
	}
	return c, r
}

// atMostOnce reports whether an activity is; tellable, whether it has a Reconcile.
func atMostOnce(what string) bool { return what == "once" || what == "lonely" || tellable(what) }
func tellable(what string) bool   { return what == "settled" || what == "receipt" }

func (a *account) begin(words []string) {
	c, r := a.record(words)
	r.what = words[1] // a call may be told of by its Reconcile first
	a.figures.Calls++
	a.must(r.answered == 0, "%s %s is asked again though its answer was on disk after life %d", r.what, c, r.answered)
	if atMostOnce(r.what) {
		a.must(len(r.begun) == 0 || r.absent, "%s %s, which is at most once, runs again after it ran in life %d", r.what, c, slices.Max(append(r.begun, 0)))
		if other, ok := a.keys[r.key]; ok {
			a.must(other == c, "%s %s has the key of %s", r.what, c, other)
		}
		a.keys[r.key] = c
	}
	a.section("begin", words)
	r.begun, r.absent = append(r.begun, a.life), false
}

// outcomeOf reads what a client, or the store, has as an instance's result.
func outcomeOf(text string) (o outcome, sum int, err error) {
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return o, 0, fmt.Errorf("result %q: %w", text, err)
	}
	sum = o.Sum
	for _, n := range o.Lost {
		sum += n
	}
	return o, sum, nil
}
