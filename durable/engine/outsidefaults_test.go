package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// hands are workers by hand: what is offered waits until the test does it.
type hands struct {
	mu      sync.Mutex
	waits   []Work
	blocked chan struct{} // while it is set, Offer waits for it, and the owner with it
}

func (h *hands) Offer(w Work) {
	h.mu.Lock()
	h.waits = append(h.waits, w)
	blocked := h.blocked
	h.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
}

func (h *hands) Withdraw(w Work) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waits = slices.DeleteFunc(h.waits, func(x Work) bool { return x == w })
}

// names are those of what waits.
func (h *hands) names() string {
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var s []string
	for _, w := range h.waits {
		s = append(s, w.About().Name)
	}
	return strings.Join(s, " ")
}

// take takes the one thing that waits.
func take[W Work](t *testing.T, h *hands) W {
	t.Helper()
	if n := h.names(); n == "" || strings.Contains(n, " ") {
		t.Fatalf("what waits is %q, not one thing", n)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	w, ok := h.waits[0].(W)
	if !ok {
		t.Fatalf("what waits is a %T", h.waits[0])
	}
	h.waits = nil
	return w
}

// turnOf begins the one turn that waits.
func turnOf(t *testing.T, h *hands) (*TurnWork, *Turn) {
	t.Helper()
	w := take[*TurnWork](t, h)
	turn, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return w, turn
}

// batchOf begins the one batch that waits.
func batchOf(t *testing.T, h *hands) (*BatchWork, *EntityBatch) {
	t.Helper()
	w := take[*BatchWork](t, h)
	b, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return w, b
}

// act completes a turn.
func act(t *testing.T, w *TurnWork, turn *Turn, actions ...*history.Event) {
	t.Helper()
	turn.Actions = actions
	if err := w.Complete(t.Context(), turn); err != nil {
		t.Fatal(err)
	}
}

// operated completes a batch.
func operated(t *testing.T, w *BatchWork, b *EntityBatch) {
	t.Helper()
	b.State, b.Results = history.Payload("s"), make([]Outcome, len(b.Ops))
	if err := w.Complete(t.Context(), b); err != nil {
		t.Error(err)
	}
}

// namesOf are the names of events of a kind.
func namesOf(evs []*history.Event, k history.Kind) string {
	var s []string
	for _, ev := range evs {
		if ev.Kind == k {
			s = append(s, ev.Name)
		}
	}
	return strings.Join(s, " ")
}

// A timer that is due when a worker's command comes is not forgotten for it.
func TestDueWhileWorkerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		e := start(t, memory.New(), Definitions{}, Options{Workers: h})
		const id = "@c@1"
		if err := e.Signal(t.Context(), id, "now", nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
		w, b := batchOf(t, h)
		if err := e.Signal(t.Context(), id, "later", nil, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		in := e.post(id, nil) // the instance is due, and waits for a place in the run queue
		time.Sleep(2 * time.Hour)
		go operated(t, w, b)
		synctest.Wait()
		e.runTurns(in)
		_, b = batchOf(t, h)
		equal(t, "the operation", b.Ops[0].Name, "later")
		end(t, e)
	})
}

// What one sender sends to an instance of the workers keeps its order, also where a
// crash finds some of it received and some not.
func TestOrderAfterCrashOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		send := func(name string, size int) *history.Event {
			return &history.Event{Kind: history.EventSent, Target: "t", Name: name, Data: make(history.Payload, size)}
		}
		d := Definitions{Orchestrations: []Orchestration{orchestration("sender", func([]*history.Event) []*history.Event {
			return []*history.Event{send("first", maxDrain), send("second", 1), complete("")}
		})}}
		s := memory.New()
		h := &hands{}
		e := start(t, s, d, Options{Workers: h})
		begin(t, e, "t", "remote", "")
		w, turn := turnOf(t, h)
		act(t, w, turn)

		h.blocked = make(chan struct{}) // the owner stops when it has received the first one
		go func() { _, _ = e.Start(t.Context(), Start{ID: "s", Name: "sender"}) }()
		equal(t, "offered", h.names(), "remote")
		if err := e.commits.settle(); err != nil {
			t.Fatal(err)
		}
		after := &hands{}
		again, _ := reopen(t, s, d, Options{Workers: after})
		w, turn = turnOf(t, after)
		got := namesOf(turn.New, history.EventRaised)
		for after.names() != "" || !strings.Contains(got, "second") {
			act(t, w, turn)
			w, turn = turnOf(t, after)
			got += " " + namesOf(turn.New, history.EventRaised)
		}
		equal(t, "events", got, "first second")
		close(h.blocked)
		synctest.Wait()
		end(t, e)
		end(t, again)
	})
}

// A lock request does not wait for a batch that no worker has.
func TestLockBehindLostBatch(t *testing.T) {
	for _, given := range []bool{false, true} {
		t.Run(fmt.Sprint("given ", given), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const id = "@c@1"
				holder := func(seen []*history.Event) []*history.Event {
					acts := []*history.Event{{Kind: history.EntityLockRequested, Request: "r1", LockSet: []string{id}}}
					if namesOf(seen, history.EventRaised) != "" {
						acts = append(acts, &history.Event{Kind: history.EntityOperationCalled, Target: id, Name: "op", Request: "c1"})
					}
					return acts
				}
				d := Definitions{Orchestrations: []Orchestration{orchestration("holder", holder), orchestration("next", locker("r2", id))}}
				h := &hands{}
				e := start(t, memory.New(), d, Options{Workers: h})
				begin(t, e, "one", "holder", "")
				synctest.Wait()
				begin(t, e, "two", "next", "")
				synctest.Wait()
				equal(t, "holder", holders(t, e, id), "[one]")
				raise(t, e, "one")
				w, b := batchOf(t, h)
				if !given {
					w.Release(b)
				}
				if err := e.Terminate(t.Context(), "one", nil, false); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if given {
					w.Release(b)
				}
				synctest.Wait()
				_ = e.commits.settle()
				equal(t, "holder after the end of the first", holders(t, e, id), "[two]")
				equal(t, "offered while it is locked", h.names(), "")
				b.Results = make([]Outcome, 1)
				if err := w.Complete(t.Context(), b); err == nil {
					t.Error("an operation ran while another had the lock")
				}
				raise(t, e, "two")
				w, b = batchOf(t, h)
				operated(t, w, b)
				end(t, e)
			})
		})
	}
}

// A turn that is given out again and again does not grow with what waits behind it.
func TestReleasedTurnStaysSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		e := start(t, memory.New(), Definitions{}, Options{Workers: h})
		begin(t, e, "t", "remote", "")
		const events = 40
		for i := range events {
			if err := e.Raise(t.Context(), "t", fmt.Sprint(i), make(history.Payload, 200<<10)); err != nil {
				t.Fatal(err)
			}
		}
		size := func(turn *Turn) (n int) {
			for _, ev := range turn.New {
				n += len(ev.Data)
			}
			return n
		}
		w, turn := turnOf(t, h)
		for range 20 {
			w.Release(turn)
			w, turn = turnOf(t, h)
		}
		if n := size(turn); n > 2*maxDrain {
			t.Errorf("after 20 tries a turn has %d bytes", n)
		}
		got := namesOf(turn.New, history.EventRaised)
		for !strings.HasSuffix(got, fmt.Sprint(events-1)) {
			act(t, w, turn)
			w, turn = turnOf(t, h)
			got += " " + namesOf(turn.New, history.EventRaised)
		}
		equal(t, "events", len(strings.Fields(got)), events)
		end(t, e)
	})
}

// Failures count when it is measured how much a turn takes.
func TestFailuresHaveASize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		e := start(t, memory.New(), Definitions{}, Options{Workers: h})
		begin(t, e, "t", "remote", "")
		w, turn := turnOf(t, h)
		const calls, stack = 64, 100 << 10
		var all []*history.Event
		for i := range calls {
			a := schedule("call", "")
			a.ID = int32(i)
			all = append(all, a)
		}
		act(t, w, turn, all...)
		synctest.Wait()
		h.mu.Lock()
		work := h.waits
		h.waits = nil
		h.mu.Unlock()
		equal(t, "calls", len(work), calls)
		for _, x := range work {
			c, err := x.(*CallWork).Begin()
			if err != nil {
				t.Fatal(err)
			}
			f := &history.Failure{Type: "T", Cause: &history.Failure{Stack: strings.Repeat("s", stack)}}
			if err := x.(*CallWork).Complete(t.Context(), c, Outcome{Failure: f}); err != nil {
				t.Fatal(err)
			}
		}
		_, turn = turnOf(t, h)
		if n := len(turn.New) * stack; n > 2*maxDrain {
			t.Errorf("a turn has failures of %d bytes", n)
		}
		end(t, e)
	})
}

// An instance that takes the place of one that waits for a worker is offered as what
// it is.
func TestReplacedWhileOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		e := start(t, memory.New(), Definitions{}, Options{Workers: h})
		begin(t, e, "x", "before", "")
		equal(t, "offered", h.names(), "before")
		before := h.waits[0].(*TurnWork)
		if _, err := e.Start(t.Context(), Start{ID: "x", Name: "after", Reuse: []history.Status{history.Pending, history.Terminated}}); err != nil {
			t.Fatal(err)
		}
		equal(t, "offered then", h.names(), "after")
		if _, err := before.Begin(); !errors.Is(err, ErrStale) {
			t.Errorf("a worker that took the one before begins: %v", err)
		}
		w, turn := turnOf(t, h)
		act(t, w, turn, &history.Event{Kind: history.ExecutionCompleted, ID: -1, Status: history.Completed})
		end(t, e)
	})
}

// What failed because no definition here has its version is nobody's to replay, with
// or without workers.
func TestRewindRefusedWithWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := orchestration("o", waiting)
		o.Version = "1"
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{o}},
			Options{Workers: &hands{}, Versions: VersionPolicy{Match: MatchStrict, Mismatch: MismatchFails}})
		if _, err := e.Start(t.Context(), Start{ID: "x", Name: "o", Version: "2"}); err != nil {
			t.Fatal(err)
		}
		finish(t, e, "x")
		if err := e.Rewind(t.Context(), "x", ""); err != nil {
			t.Error(err)
		}
		end(t, e)
	})
}

// A call whose time is over is offered no longer.
func TestTimedOutCallIsWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		deadline := time.Now().Add(time.Hour)
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{calling("remote", &history.Terms{Deadline: deadline})}}, Options{Workers: h})
		begin(t, e, "x", "call", "")
		equal(t, "offered", h.names(), "remote")
		time.Sleep(2 * time.Hour)
		equal(t, "offered after its time", h.names(), "")
		end(t, e)
	})
}

// A timer that came while a worker had the turn comes again when the clock was set
// back meanwhile.
func TestClockSetBackWhileTurnIsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hands{}
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		e := start(t, memory.New(), Definitions{}, Options{Workers: h, Now: now})
		begin(t, e, "x", "remote", "")
		w, turn := turnOf(t, h)
		act(t, w, turn, &history.Event{Kind: history.TimerCreated, ID: 1, FireAt: now().Add(time.Hour)})
		raise(t, e, "x")
		w, turn = turnOf(t, h)
		ahead.Store(int64(2 * time.Hour))
		time.Sleep(5 * time.Minute)
		ahead.Store(0)
		act(t, w, turn)
		equal(t, "offered before the timer is due", h.names(), "")
		time.Sleep(2 * time.Hour)
		_, turn = turnOf(t, h)
		equal(t, "the event", turn.New[1].Kind, history.TimerFired)
		end(t, e)
	})
}
