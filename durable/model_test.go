package durable_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// A random program, run by the engine with crashes, evictions and a cancellation,
// comes to what a simple interpreter (interpret_test.go) says: the same result, the
// same state of every entity, the same payments, each made once.

// script is the input of the orchestration "script": what is to be done, and the
// sum so far, which goes along through ContinueAsNew.
type script struct {
	Sum   int
	Event int // number of the next event to wait for
	Read  int // number of the next events to read
	Steps []instruction
}

// instruction is a step of a script. Its meaning is in actor.step and again, for the
// interpreter, in simulation.step.
type instruction struct {
	Do   string
	N    int
	Odd  time.Duration `json:",omitempty"` // makes sure that no two deadlines are the same
	Kids []instruction `json:",omitempty"`
}

var (
	double = durable.NewActivity("double", func(_ context.Context, n int) (int, error) { return 2*n + 1, nil })
	triple = durable.NewActivity("triple", func(_ context.Context, n int) (int, error) { return 3*n + 1, nil }, durable.Pure())
	// stubborn fails in its first n attempts.
	stubborn = durable.NewActivity("stubborn", func(ctx context.Context, n int) (int, error) {
		if info, _ := durable.Info(ctx); info.Attempt <= n {
			return 0, errors.New("not yet")
		}
		return n, nil
	})
	attempts = 3

	// tally is called, and refuses 0; ledger is signalled.
	tally    = durable.NewEntity[int]("tally")
	addTally = durable.Operation(tally, "add", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum += n
		if n == 0 {
			return 0, errors.New("nothing to add")
		}
		return *sum, nil
	})
	ledger    = durable.NewEntity[int]("ledger")
	addLedger = durable.Operation(ledger, "add", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum += n
		return *sum, nil
	})

	// pay is an unsafe effect on the world outside.
	pay = durable.NewActivity("pay", func(ctx context.Context, n int) (int, error) {
		info, _ := durable.Info(ctx)
		return n, paid.make(info.Key, n)
	}, durable.Reconcile(func(ctx context.Context, n int) (int, bool, error) {
		info, _ := durable.Info(ctx)
		return n, paid.has(info.Key), nil
	}))
	paid payments

	scripts     = durable.NewOrchestration("script", runScript)
	brief       = durable.NewOrchestration("brief", runScript, durable.Retain(time.Minute))
	scriptParts = []durable.Definition{double, triple, stubborn, slow, fragile, tally, ledger, safe, pay, scripts, brief}
)

// payments is what pay did, by idempotency key.
type payments struct {
	mu    sync.Mutex
	made  map[string]int
	twice []string
}

func (p *payments) reset() { p.made, p.twice = map[string]int{}, nil }

func (p *payments) make(key string, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, before := p.made[key]; before {
		p.twice = append(p.twice, key)
	}
	p.made[key] = n
	return nil
}

func (p *payments) has(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, yes := p.made[key]
	return yes
}

func (p *payments) sum() (sum int) {
	for _, n := range p.made {
		sum += n
	}
	return sum
}

// outcome is what a program comes to.
type outcome struct {
	Sum    int
	Failed string // "", "failed" or "canceled"
	Ledger int
	Paid   int
	Twice  int
	// What safes hold, which only critical sections touch.
	Safes [safes]int
	Left  int // instances that should be gone
	// Executions are those of the whole, which ContinueAsNew and Rewind add to.
	Executions int
}

// program is what rapid draws.
type program struct {
	steps   []instruction
	cancel  time.Duration // when the whole is cancelled; 0: never
	crashes []int         // after so many commits each
	cached  int
	tidy    bool   // instances beside it are purged, one of them by its retention
	outside uint64 // unless it is 0: workers outside the engine run it, and this is their luck

	end time.Duration // when it ends and all signals are delivered, as the interpreter says
}

func drawProgram(r *rapid.T) program {
	p := program{
		steps:   drawSteps(r, 3, false),
		crashes: rapid.SliceOfN(rapid.IntRange(1, 8), 0, 4).Draw(r, "crash after so many commits"),
		cached:  rapid.SampledFrom([]int{-1, 1, 0}).Draw(r, "cached"),
		tidy:    rapid.IntRange(0, 3).Draw(r, "tidies up") == 0,
	}
	// A failure that code went on after cannot be undone, so those that are rewound
	// have no others.
	if rapid.IntRange(0, 2).Draw(r, "is rewound") == 0 {
		p.steps = keep(p.steps, func(in instruction) bool {
			return in.Do != "stubborn" && in.Do != "slow" && in.Do != "die" && (in.Do != "entity" || in.N > 0)
		})
	} else {
		p.steps = keep(p.steps, func(in instruction) bool { return in.Do != "break" })
	}
	if rapid.IntRange(0, 3).Draw(r, "is canceled") == 0 {
		p.cancel = time.Duration(rapid.IntRange(0, 12).Draw(r, "cancel after hours"))*time.Hour + 45*time.Minute
	}
	odd := time.Duration(1)
	makeOdd(p.steps, &odd)
	return p
}

// makeOdd gives each deadline some time of its own: powers of two, so that no sum of
// some is the sum of others.
func makeOdd(steps []instruction, odd *time.Duration) {
	for i := range steps {
		if in := &steps[i]; in.Do == "timeout" || in.Do == "lose" || in.Do == "slow" {
			in.Odd = 15*time.Minute + *odd
			*odd = min(2**odd, 1<<39)
		}
		makeOdd(steps[i].Kids, odd)
	}
}

// drawSteps draws a list of steps. Those within a coroutine or scope cannot continue
// as new.
func drawSteps(r *rapid.T, depth int, within bool) (steps []instruction) {
	kinds := []string{"double", "triple", "fan", "stubborn", "entity", "sleep", "signal", "pay", "race", "entity", "double", "later", "slow", "compete"}
	if depth > 0 {
		kinds = append(kinds, "child", "beside", "timeout", "beside", "timeout", "lose")
	}
	if !within {
		kinds = append(kinds, "again", "die", "event", "event", "read", "lock", "lock", "break")
	}
	for range rapid.IntRange(0, 6).Draw(r, "steps") {
		in := instruction{Do: rapid.SampledFrom(kinds).Draw(r, "do"), N: rapid.IntRange(0, 4).Draw(r, "n")}
		switch in.Do {
		case "child":
			in.Kids = keep(drawSteps(r, depth-1, false), func(in instruction) bool { return in.Do != "event" && in.Do != "read" && in.Do != "break" })
		case "beside", "timeout", "lose":
			in.Kids = drawSteps(r, depth-1, true)
		}
		steps = append(steps, in)
	}
	return steps
}

// keep leaves out the steps that ok does not like.
func keep(steps []instruction, ok func(instruction) bool) (rest []instruction) {
	for _, in := range steps {
		if ok(in) {
			in.Kids = keep(in.Kids, ok)
			rest = append(rest, in)
		}
	}
	return rest
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) { checkProgram(t, r, drawProgram(r)) })
}

// TestModelOutside is TestModel with workers outside the engine.
func TestModelOutside(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		p := drawProgram(r)
		p.tidy = false // how long an ended instance is kept is for definitions in the engine
		p.outside = rapid.Uint64Range(1, 1<<32).Draw(r, "luck of the workers")
		checkProgram(t, r, p)
	})
}

func checkProgram(t *testing.T, r *rapid.T, p program) {
	want := p.interpret()
	var got outcome
	synctest.Test(t, func(t *testing.T) { got = runLives(t.Context(), p, nil) })
	if got != want {
		r.Fatalf("got %+v\nwant %+v", got, want)
	}
}

// runLives runs a program through as many lives as it takes. seed breaks the store,
// for tests that this is found.
func runLives(ctx context.Context, p program, seed func(store.Store) store.Store) outcome {
	paid.reset()
	breaks.reset()
	begun := time.Now()
	disk, crashes := memory.New(), p.crashes
	for {
		at := 0
		if len(crashes) > 0 {
			at, crashes = crashes[0], crashes[1:]
		}
		o, image := runLife(ctx, disk, p, begun, at, seed)
		if image == nil {
			return o
		}
		disk = image
	}
}

// runLife runs until the script ends, or the process after its at-th commit: then
// it gives the image of its disk.
func runLife(ctx context.Context, disk *memory.Store, p program, begun time.Time, at int, seed func(store.Store) store.Store) (o outcome, image *memory.Store) {
	// A message that is lost lets the program wait for ever, or so.
	ctx, die := context.WithDeadline(ctx, begun.Add(p.end+time.Hour))
	defer die()
	var s store.Store = disk
	if seed != nil {
		s = seed(disk)
	}
	breaks.begin()
	crashed := make(chan *memory.Store, 1)
	options := durable.Options{Cached: p.cached, Logger: quiet, OnCommit: func(n uint64) {
		if n == uint64(at) {
			crashed <- disk.Clone()
			disk.Reopen() // it writes nothing more
			die()
		}
	}}
	wait := func() error { return nil }
	if p.outside != 0 {
		wait = outside(&options, p.outside)
	}
	rt, err := durable.OpenStore(ctx, s, options, scriptParts...)
	if err != nil {
		o.Failed = err.Error()
	} else {
		o = drive(ctx, rt.Client(), p, begun)
		close(breaks.gone)
		_ = rt.Close() // a crash is its error
	}
	if err := wait(); err != nil {
		o.Failed = err.Error()
	}
	select {
	case image = <-crashed:
		return o, image
	default:
		return o, nil
	}
}

// drive does what a program does that may run again after each crash.
func drive(ctx context.Context, c *durable.Client, p program, begun time.Time) (o outcome) {
	fail := func(err error) outcome { return outcome{Failed: "driver: " + err.Error()} }
	if _, err := scripts.Schedule(ctx, c, script{Steps: p.steps}, durable.WithInstanceID("i")); err != nil && !errors.Is(err, durable.ErrExists) {
		return fail(err)
	}
	for n := range count(p.steps, "event") {
		if err := c.RaiseEvent(ctx, "i", fmt.Sprint("event", n), 100+n); err != nil {
			return fail(err)
		}
	}
	for n := range count(p.steps, "read") {
		for tick := range 5 {
			if err := c.RaiseEvent(ctx, "i", fmt.Sprint("tick", n), tick); err != nil {
				return fail(err)
			}
		}
	}
	if p.cancel > 0 {
		stop := time.AfterFunc(time.Until(begun.Add(p.cancel)), func() { _ = c.Cancel(ctx, "i", "enough") })
		defer stop.Stop()
	}
	close(breaks.ready)
	if p.tidy {
		if err := tidy(ctx, c); err != nil {
			return fail(err)
		}
	}
	s, err := c.Wait(ctx, "i")
	for err == nil && s.Status == history.Failed && breaks.mend(s.Failure) {
		if err = c.Rewind(ctx, "i", "mended"); err == nil {
			s, err = c.Wait(ctx, "i")
		}
	}
	if err != nil {
		return fail(err)
	}
	switch s.Status {
	case history.Failed:
		o.Failed = "failed"
		if s.Failure.Type == durable.NonDeterminism {
			o.Failed = s.Failure.Message
		}
	case history.Canceled:
		o.Failed = "canceled"
	default:
		if o.Sum, err = scripts.Wait(ctx, c, "i"); err != nil {
			return fail(err)
		}
	}
	if err := settled(ctx, c, begun.Add(p.end)); err != nil {
		return fail(err)
	}
	if o.Ledger, _, err = ledger.Get(ctx, c, "all"); err != nil {
		return fail(err)
	}
	for i := range o.Safes {
		if o.Safes[i], _, err = safe.Get(ctx, c, fmt.Sprint(i)); err != nil {
			return fail(err)
		}
	}
	for _, id := range []string{"old", "brief"} {
		if _, err := c.Get(ctx, id); err == nil {
			o.Left++
		} else if !durable.IsNotFound(err) {
			return fail(err)
		}
	}
	executions, err := c.Executions(ctx, "i")
	if err != nil {
		return fail(err)
	}
	o.Paid, o.Twice, o.Executions = paid.sum(), len(paid.twice), len(executions)
	return o
}

// tidy runs two instances that are to be gone in the end: one is purged, the other
// purges itself.
func tidy(ctx context.Context, c *durable.Client) error {
	if _, err := brief.Schedule(ctx, c, script{}, durable.WithInstanceID("brief")); err != nil && !errors.Is(err, durable.ErrExists) {
		return err
	}
	if _, err := scripts.Schedule(ctx, c, script{}, durable.WithInstanceID("old")); err != nil && !errors.Is(err, durable.ErrExists) {
		return err
	}
	if _, err := c.Wait(ctx, "old"); err != nil {
		return err
	}
	_, err := c.Purge(ctx, "old", true)
	return err
}

// settled waits for children that were canceled, and for what is delivered or purged
// later.
func settled(ctx context.Context, c *durable.Client, end time.Time) error {
	for s, err := range c.Query(ctx, durable.Query{}) {
		if err == nil && !s.Status.Ended() {
			_, err = c.Wait(ctx, s.ID)
		}
		if err != nil {
			return err
		}
	}
	select { // whatever is still on its way needs no more time than the retention
	case <-time.After(max(time.Until(end), 0) + 2*time.Minute):
	case <-ctx.Done():
	}
	return ctx.Err()
}

// count tells how often the root does something.
func count(steps []instruction, do string) (n int) {
	for _, in := range steps {
		if in.Do == do {
			n++
		}
	}
	return n
}
