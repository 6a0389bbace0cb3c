package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// desk is workers whose work a test does by hand.
type desk struct {
	mu        sync.Mutex
	offered   []Work
	withdrawn int
}

func (d *desk) Offer(w Work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.offered = append(d.offered, w)
}

func (d *desk) Withdraw(w Work) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i := slices.Index(d.offered, w); i >= 0 {
		d.offered = slices.Delete(d.offered, i, i+1)
		d.withdrawn++
	}
}

// next takes the oldest work of a kind when nothing moves any more.
func next[W Work](t *testing.T, d *desk) W {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, w := range d.offered {
		if w, ok := w.(W); ok {
			d.offered = slices.Delete(d.offered, i, i+1)
			return w
		}
	}
	var none W
	t.Fatalf("no %T is offered", none)
	return none
}

// idle checks that nothing is offered.
func (d *desk) idle(t *testing.T, when string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.offered) > 0 {
		t.Errorf("%s: %d things are offered, %T first", when, len(d.offered), d.offered[0])
	}
}

// turn begins the turn that is offered.
func (d *desk) turn(t *testing.T) (*TurnWork, *Turn) {
	t.Helper()
	w := next[*TurnWork](t, d)
	turn, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	return w, turn
}

// make does the turn that is offered, with these actions, numbered from id.
func (d *desk) make(t *testing.T, id int32, actions ...*history.Event) *Turn {
	t.Helper()
	w, turn := d.turn(t)
	for i, a := range actions {
		a.ID = id + int32(i)
	}
	turn.Actions = actions
	if err := w.Complete(t.Context(), turn); err != nil {
		t.Fatal(err)
	}
	return turn
}

// call does the call that is offered.
func (d *desk) call(t *testing.T, result string) {
	t.Helper()
	w := next[*CallWork](t, d)
	c, err := w.Begin()
	if err == nil {
		err = w.Complete(t.Context(), c, Outcome{Result: history.Payload(result)})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// batch begins the batch that is offered and gives the inputs of its operations.
func (d *desk) batch(t *testing.T) (*BatchWork, *EntityBatch, string) {
	t.Helper()
	w := next[*BatchWork](t, d)
	b, err := w.Begin()
	if err != nil {
		t.Fatal(err)
	}
	var inputs []string
	for _, op := range b.Ops {
		inputs = append(inputs, string(op.Data))
	}
	return w, b, strings.Join(inputs, " ")
}

// add does the first n operations of a batch as the entity adder would.
func add(t *testing.T, w *BatchWork, b *EntityBatch, n int) {
	t.Helper()
	b.Ops = b.Ops[:n]
	adder.Run(b)
	if err := w.Complete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func isErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, not %v", what, err, want)
	}
}

// kinds writes which kinds of events there are.
func kinds(evs []*history.Event) string {
	var s []string
	for _, ev := range evs {
		s = append(s, ev.Kind.String())
	}
	return strings.Join(s, " ")
}

// outsideTest runs a test with an engine that has nothing but workers.
func outsideTest(t *testing.T, test func(t *testing.T, d *desk, e *Engine, s *memory.Store)) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &desk{}, memory.New()
		test(t, d, start(t, s, Definitions{}, Options{Workers: d}), s)
	})
}

// A turn that was given to another is not the first one's any more; one that was only given back
// is, until somebody begins it.
func TestStaleTurn(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, _ *memory.Store) {
		begin(t, e, "i", "o", "")
		w, first := d.turn(t)
		w.Release(first)
		w, second := d.turn(t)
		if first.New[0] == second.New[0] {
			t.Error("a turn that is begun again has the old time")
		}
		first.Actions = []*history.Event{complete("first")}
		isErr(t, "the first one's answer", w.Complete(t.Context(), first), ErrStale)
		w.Release(second)
		w.Release(first) // of something else by now
		second.Actions = []*history.Event{complete("second")}
		isErr(t, "late, but nobody else has it", w.Complete(t.Context(), second), nil)
		isErr(t, "again", w.Complete(t.Context(), second), ErrStale)
		equal(t, "result", finish(t, e, "i"), "second")
		d.idle(t, "at the end")
		equal(t, "withdrawn", d.withdrawn, 1)
	})
}

func TestStaleCall(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, _ *memory.Store) {
		begin(t, e, "i", "o", "")
		d.make(t, 0, schedule("a", ""))
		w := next[*CallWork](t, d)
		first, _ := w.Begin()
		w.Release(first)
		second, _ := next[*CallWork](t, d).Begin()
		isErr(t, "the first one's answer", w.Complete(t.Context(), first, Outcome{Result: history.Payload("1")}), ErrStale)
		w.Release(first) // it has nothing to give back
		d.idle(t, "while the second has it")
		w.Release(second)
		isErr(t, "late, but nobody else has it", w.Complete(t.Context(), second, Outcome{Result: history.Payload("2")}), nil)
		isErr(t, "again", w.Complete(t.Context(), second, Outcome{Result: history.Payload("3")}), ErrStale)
		turn := d.make(t, 1, complete(""))
		equal(t, "the answer", string(turn.New[1].Data), "2")
		equal(t, "events", kinds(events(t, e, "i", "")), "OrchestratorStarted ExecutionStarted TaskScheduled OrchestratorStarted TaskCompleted ExecutionCompleted")
	})
}

// What comes while a worker has a turn is on disk at once, and in the next turn.
func TestEventsWhileOut(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		begin(t, e, "i", "o", "")
		w, turn := d.turn(t)
		for n := range 3 {
			isErr(t, "raise", e.Raise(t.Context(), "i", fmt.Sprint(n), nil), nil)
		}
		crashed := &desk{}
		after, _ := reopen(t, s, Definitions{}, Options{Workers: crashed})
		equal(t, "after a crash", kinds(crashed.make(t, 0, complete("")).New), "OrchestratorStarted ExecutionStarted EventRaised EventRaised EventRaised")
		equal(t, "its result", finish(t, after, "i"), "")
		isErr(t, "complete", w.Complete(t.Context(), turn), nil)
		next := d.make(t, 0, complete("done"))
		equal(t, "the next turn", kinds(next.New), "OrchestratorStarted EventRaised EventRaised EventRaised")
		equal(t, "first", next.New[1].Name, "0")
		equal(t, "its past", next.PastEvents, int64(2))
	})
}

// A termination waits for no worker, whether it has the turn or there is none.
func TestTerminateWhileOut(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		begin(t, e, "i", "o", "")
		w, turn := d.turn(t)
		isErr(t, "raise", e.Raise(t.Context(), "i", "e", nil), nil)
		isErr(t, "terminate", e.Terminate(t.Context(), "i", history.Payload("enough"), false), nil)
		equal(t, "result", finish(t, e, "i"), "terminated: enough")
		turn.Actions = []*history.Event{complete("late")}
		isErr(t, "the answer", w.Complete(t.Context(), turn), ErrStale)
		equal(t, "events", kinds(events(t, e, "i", "")), "OrchestratorStarted ExecutionStarted EventRaised ExecutionTerminated ExecutionCompleted")
		begin(t, e, "j", "o", "")
		isErr(t, "terminate", e.Terminate(t.Context(), "j", nil, false), nil)
		d.idle(t, "after it ended")
		again, image := reopen(t, s, Definitions{}, Options{Workers: &desk{}})
		equal(t, "after a crash", finish(t, again, "j"), "terminated: ")
		inbox, err := image.Inbox(t.Context(), "i")
		if err != nil || len(inbox) > 0 {
			t.Errorf("%d messages are left in the inbox, %v", len(inbox), err)
		}
	})
}

// The answer of an activity is on disk when its worker hears so, though nobody makes a turn of it;
// the next engine does not ask for it again.
func TestAnswerInInbox(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		begin(t, e, "i", "o", "")
		d.make(t, 0, schedule("a", ""), schedule("b", ""))
		d.call(t, "A")
		crashed := &desk{}
		after, _ := reopen(t, s, Definitions{}, Options{Workers: crashed})
		synctest.Wait()
		var names []string
		for _, w := range crashed.offered {
			names = append(names, w.About().Name)
		}
		slices.Sort(names)
		equal(t, "offered after a crash", strings.Join(names, " "), "b o")
		turn := crashed.make(t, 2, complete("done"))
		equal(t, "the answer", string(turn.New[1].Data), "A")
		equal(t, "result", finish(t, after, "i"), "done")
	})
}

// An activity that must be done at most once, called by an orchestration outside, has its receipt on
// disk together with its answer: no crash makes its outcome unknown.
func TestReceiptInInbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		paid := 0
		pay := activity("pay", AtMostOnce, func(*Call) string { paid++; return fmt.Sprint(paid) })
		d, s := &desk{}, memory.New()
		e := start(t, s, Definitions{Activities: []Activity{pay}}, Options{Workers: d})
		begin(t, e, "i", "o", "")
		d.make(t, 0, schedule("pay", ""))
		synctest.Wait()
		w, turn := d.turn(t) // the answer is in a worker's hands
		crashed := &desk{}
		after, _ := reopen(t, s, Definitions{Activities: []Activity{pay}}, Options{Workers: crashed})
		effects, err := after.Effects(t.Context(), "i")
		if err != nil || len(effects) != 1 || effects[0].Receipt.IsZero() {
			t.Errorf("effects %+v, %v", effects, err)
		}
		equal(t, "the answer after the crash", string(crashed.make(t, 1, complete("")).New[1].Data), "1")
		turn.Actions = []*history.Event{complete("")}
		turn.Actions[0].ID = 1
		isErr(t, "complete", w.Complete(t.Context(), turn), nil)
		effects, err = e.Effects(t.Context(), "i")
		if err != nil || len(effects) != 1 || paid != 1 {
			t.Errorf("paid %d times, effects %+v, %v", paid, effects, err)
		}
	})
}

// What a worker answers must be possible: else nothing is done, and the turn stays the worker's.
func TestBadActions(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, _ *memory.Store) {
		begin(t, e, "i", "o", "")
		d.make(t, 0, schedule("a", ""))
		isErr(t, "raise", e.Raise(t.Context(), "i", "e", nil), nil)
		w, turn := d.turn(t)
		long := strings.Repeat("x", 101)
		at := func(id int32, ev history.Event) *history.Event { ev.ID = id; return &ev }
		for name, actions := range map[string][]*history.Event{
			"the number of a call that has no answer": {at(0, history.Event{Kind: history.TimerCreated, FireAt: time.Now()})},
			"a negative number":                       {at(-1, *schedule("a", ""))},
			"a number twice":                          {at(1, *schedule("a", "")), at(1, *schedule("b", ""))},
			"an activity without a name":              {at(1, *schedule("", ""))},
			"a timer without a time":                  {at(1, history.Event{Kind: history.TimerCreated})},
			"an end that is none":                     {at(1, history.Event{Kind: history.ExecutionCompleted, Status: history.Running})},
			"something after the end":                 {at(1, *complete("")), at(2, *schedule("a", ""))},
			"an event to nobody":                      {at(1, history.Event{Kind: history.EventSent, Name: "e"})},
			"a termination of what cannot be":         {at(1, history.Event{Kind: history.ExecutionTerminated, Target: long})},
			"a signal to what is no entity":           {at(1, history.Event{Kind: history.EntityOperationSignaled, Target: "x", Request: "r"})},
			"a call without a request id":             {at(1, history.Event{Kind: history.EntityOperationCalled, Target: "@a@b"})},
			"a lock of nothing":                       {at(1, history.Event{Kind: history.EntityLockRequested, Request: "r"})},
			"a lock of what is no entity":             {at(1, history.Event{Kind: history.EntityLockRequested, Request: "r", LockSet: []string{"x"}})},
			"an event that is no action":              {at(1, history.Event{Kind: history.TaskCompleted})},
		} {
			turn.Actions = actions
			isErr(t, name, w.Complete(t.Context(), turn), ErrInvalid)
		}
		turn.Actions = []*history.Event{at(7, *schedule("b", "")), at(-1, *complete("end"))}
		isErr(t, "an end without a number", w.Complete(t.Context(), turn), nil)
		evs := events(t, e, "i", "")
		equal(t, "its number", evs[len(evs)-1].ID, 8)
	})
}

// Rewinding is the engine's: a worker gets a history without the failure, also after a crash.
func TestRewindOutside(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		begin(t, e, "i", "o", "")
		d.make(t, 0, schedule("good", ""), schedule("bad", ""))
		d.call(t, "fine")
		d.make(t, 2)
		w := next[*CallWork](t, d)
		c, _ := w.Begin()
		isErr(t, "fail", w.Complete(t.Context(), c, Outcome{Failure: &history.Failure{Type: "No", Message: "no"}}), nil)
		d.make(t, 2, &history.Event{Kind: history.ExecutionCompleted, Status: history.Failed, Failure: &history.Failure{Type: "No", Message: "no"}})
		equal(t, "failed", finish(t, e, "i"), "failed: No: no")
		isErr(t, "rewind", e.Rewind(t.Context(), "i", "mended"), nil)
		crashed := &desk{}
		after, _ := reopen(t, s, Definitions{}, Options{Workers: crashed})
		for d, e := range map[*desk]*Engine{d: e, crashed: after} {
			w, turn := d.turn(t)
			equal(t, "new events", kinds(turn.New), "OrchestratorStarted")
			var past []*history.Event
			for ev, err := range turn.Past {
				if err != nil {
					t.Fatal(err)
				}
				past = append(past, ev)
			}
			equal(t, "past", kinds(past), "OrchestratorStarted ExecutionStarted TaskScheduled OrchestratorStarted TaskCompleted OrchestratorStarted")
			bad := schedule("bad", "")
			bad.ID = 1
			turn.Actions = []*history.Event{bad}
			isErr(t, "complete", w.Complete(t.Context(), turn), nil)
			d.call(t, "fine too")
			d.make(t, 2, complete("well"))
			equal(t, "result", finish(t, e, "i"), "well")
		}
	})
}

// WaitStart ends when the first turn is on disk, and costs nothing until then.
func TestWaitStart(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, _ *memory.Store) {
		started := make(chan *State, 2)
		for _, id := range []string{"i", "j"} {
			go func() {
				s, err := e.WaitStart(context.Background(), id)
				if err != nil {
					t.Error(err)
				}
				started <- s
			}()
		}
		synctest.Wait()
		begin(t, e, "i", "o", "in")
		w, turn := d.turn(t)
		synctest.Wait()
		equal(t, "before the first turn is done", len(started), 0)
		isErr(t, "complete", w.Complete(t.Context(), turn), nil)
		s := <-started
		equal(t, "state", fmt.Sprint(s.ID, s.Status, string(s.Input)), fmt.Sprint("i", history.Running, "in"))
		begin(t, e, "j", "o", "")
		isErr(t, "terminate", e.Terminate(t.Context(), "j", nil, false), nil)
		equal(t, "ended before it began", (<-started).Status, history.Terminated)
	})
}

// An instance whose history outgrows its limit fails, wherever its code runs; one that ends with
// that turn does not.
func TestMaxHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := &desk{}, memory.New()
		e := start(t, s, Definitions{
			Orchestrations: []Orchestration{
				orchestration("local", sequence(schedule("upper", "a"), schedule("upper", "b"))),
				orchestration("long", sequence(schedule("upper", "a"), schedule("upper", "b"), schedule("upper", "c"))),
			}, Activities: []Activity{upper},
		}, Options{Workers: d, MaxHistory: 8})
		begin(t, e, "l", "local", "")
		begin(t, e, "o", "outside", "")
		d.make(t, 0, schedule("upper", ""), schedule("upper", ""), schedule("upper", ""), schedule("upper", ""))
		d.make(t, 4, schedule("upper", ""))
		if got := finish(t, e, "o"); !strings.HasPrefix(got, "failed: HistoryTooLarge: ") {
			t.Errorf("outside: %s", got)
		}
		equal(t, "it ended with its last event", finish(t, e, "l"), "B")
		begin(t, e, "m", "long", "")
		equal(t, "local", finish(t, e, "m"), "failed: HistoryTooLarge: its history would have 9 events, and may have 8: let it continue as new from time to time, or raise the limit")
	})
}

// What came before a timer was due stands before it, also where it is too much for one turn.
func TestTimerBehindMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &desk{}
		e := start(t, memory.New(), Definitions{}, Options{Workers: d})
		begin(t, e, "i", "o", "")
		d.make(t, 0, &history.Event{Kind: history.TimerCreated, FireAt: time.Now().Add(time.Hour)})
		for _, name := range []string{"large", "decision"} {
			isErr(t, "raise", e.Raise(t.Context(), "i", name, make(history.Payload, maxDrain)), nil)
			time.Sleep(time.Minute)
		}
		time.Sleep(2 * time.Hour)
		equal(t, "one turn", kinds(d.make(t, 1).New), "OrchestratorStarted EventRaised")
		equal(t, "the next", kinds(d.make(t, 1, complete("")).New), "OrchestratorStarted EventRaised TimerFired")
	})
}
