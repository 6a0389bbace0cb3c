//go:build linux || darwin

package serverfaults

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

// record is a line of the account.
type record struct{ worker, what, kind, subject, run, more string }

// account is what workers told.
type account struct {
	mu       sync.Mutex
	findings []string
	begun    map[string][]string          // runs of each activity, in order
	runs     map[string]string            // the activity of each run
	firm     map[string]string            // the run of each activity that must count
	cut      map[string]map[string]bool   // by kind: runs whose answer was cut in flight at least once
	open     map[string]map[string]record // by kind: runs whose answer is sent, and nothing came of it yet
	count    map[string]int               // of records by what and kind
	results  map[string]string            // the run of each activity whose result is recorded, see check
	watches  []*watch
	marks    chan string
	over     chan struct{} // closed when nobody can tell anything any more
}

// watch is somebody who waits for a record.
type watch struct {
	after int // so many of any kind
	match func(record) bool
	hit   chan struct{}
}

func newAccount() *account {
	a := &account{begun: map[string][]string{}, runs: map[string]string{}, firm: map[string]string{}, results: map[string]string{}, cut: map[string]map[string]bool{},
		open: map[string]map[string]record{}, count: map[string]int{}, marks: make(chan string, 1), over: make(chan struct{})}
	for _, kind := range kinds {
		a.cut[kind], a.open[kind] = map[string]bool{}, map[string]record{}
	}
	return a
}

// hear reads the account to its end.
func (a *account) hear(in io.Reader) {
	defer close(a.over)
	for lines := bufio.NewScanner(in); lines.Scan(); {
		f := strings.SplitN(lines.Text(), " ", 6)
		switch {
		case len(f) == 2 && f[0] == "mark":
			a.marks <- f[1]
		case len(f) == 6:
			a.note(record{f[0], f[1], f[2], f[3], f[4], f[5]})
		default:
			a.find("the account has the line %q", lines.Text())
		}
	}
}

func (a *account) find(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.found(format, args...)
}

// found is find with mu held.
func (a *account) found(format string, args ...any) {
	a.findings = append(a.findings, fmt.Sprintf(format, args...))
}

func (a *account) note(r record) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[r.what+" "+r.kind]++
	switch r.what {
	case "begin":
		a.begun[r.subject] = append(a.begun[r.subject], r.run)
		a.runs[r.run] = r.subject
		if by, ok := a.firm[r.subject]; ok {
			a.found("activity %s runs again (%s), and the server had taken the answer of %s", r.subject, r.run, by)
		}
	case "send":
		a.open[r.kind][r.run] = r
	case "firm", "late", "cut", "away":
		delete(a.open[r.kind], r.run)
		if r.what == "cut" {
			a.cut[r.kind][r.run] = true
		}
		if r.what == "firm" && r.kind == activity {
			if by, ok := a.firm[r.subject]; ok {
				a.found("activity %s: the server took the answers of %s and %s", r.subject, by, r.run)
			}
			a.firm[r.subject] = r.run
		}
	default:
		a.found("%s of %s %s by %s: %s", r.what, r.kind, r.subject, r.worker, r.more)
	}
	a.watches = slices.DeleteFunc(a.watches, func(w *watch) bool {
		if w.after--; w.after >= 0 || !w.match(r) {
			return false
		}
		close(w.hit)
		return true
	})
}

// next is closed at the first record that matches after so many others.
func (a *account) next(after int, match func(record) bool) <-chan struct{} {
	w := &watch{after, match, make(chan struct{})}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.watches = append(a.watches, w)
	return w.hit
}

// sends matches an answer that is being sent: of any worker if it is "".
func sends(worker, kind string) func(record) bool {
	return func(r record) bool {
		return r.what == "send" && r.kind == kind && (worker == "" || r.worker == worker)
	}
}

// cuts gives how many answers of each kind were cut in flight, and the kind that has fewest.
func (a *account) cuts() (n map[string]int, rarest string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	n = map[string]int{}
	for _, kind := range kinds {
		n[kind] = len(a.cut[kind])
		if rarest == "" || n[kind] < n[rarest] {
			rarest = kind
		}
	}
	return n, rarest
}

// died notes the end of a worker's process: what it had sent was cut in flight.
func (a *account) died(process string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for kind, runs := range a.open {
		for run := range runs {
			if strings.HasPrefix(run, process+"-") {
				a.cut[kind][run] = true
				delete(runs, run)
			}
		}
	}
}

// counts shows all records by what and kind.
func (a *account) counts() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(a.count)) {
		fmt.Fprintf(&b, "  %-16s %d\n", key, a.count[key])
	}
	return b.String()
}
