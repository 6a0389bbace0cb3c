package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// An entity's operations run in order, as many at a time as the worker likes, and after a crash
// those that were not answered.
func TestBatches(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		for _, x := range []string{"1", "2", "3"} {
			isErr(t, "signal", e.Signal(t.Context(), "@Adder@k", "add", history.Payload(x), time.Time{}), nil)
		}
		w, first, ops := d.batch(t)
		equal(t, "the first batch", ops, "1 2 3")
		_, err := e.Entity(t.Context(), "@adder@k")
		isErr(t, "before it has a state", err, ErrNotFound)
		w.Release(first)
		w, second, _ := d.batch(t)
		isErr(t, "the first one's answer", w.Complete(t.Context(), first), ErrStale)
		isErr(t, "no results", w.Complete(t.Context(), second), ErrInvalid)
		add(t, w, second, 2)
		crashed := &desk{}
		_, _ = reopen(t, s, Definitions{}, Options{Workers: crashed})
		_, after, ops := crashed.batch(t)
		equal(t, "after a crash", ops+" to "+string(after.State), "3 to 12")
		isErr(t, "signal", e.Signal(t.Context(), "@adder@k", "add", history.Payload("4"), time.Time{}), nil)
		w, third, ops := d.batch(t)
		equal(t, "the rest", ops, "3 4")
		add(t, w, third, 2)
		d.idle(t, "at the end")
		state, err := e.Entity(t.Context(), "@adder@k")
		if err != nil || string(state.State) != "1234" {
			t.Errorf("state %+v, %v", state, err)
		}
	})
}

// A lock is granted when everything before it has run, and only the holder's operations run until
// it is free, in whatever order they came and though the server crashed.
func TestLockOutside(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, s *memory.Store) {
		lock := &history.Event{Kind: history.EntityLockRequested, Request: "section", LockSet: []string{"@adder@k"}}
		call := &history.Event{Kind: history.EntityOperationCalled, Request: "call", Name: "add", Target: "@ADDER@k", Data: history.Payload("held")}
		signal := func(e *Engine, x string) {
			isErr(t, "signal", e.Signal(t.Context(), "@adder@k", "add", history.Payload(x), time.Time{}), nil)
		}
		signal(e, "before")
		begin(t, e, "i", "o", "")
		d.make(t, 0, lock)
		signal(e, "after")
		w, b, ops := d.batch(t)
		equal(t, "before the lock", ops, "before")
		d.idle(t, "while what stands before the lock runs")
		add(t, w, b, 1)
		turn := d.make(t, 1, call)
		equal(t, "granted", kinds(turn.New), "OrchestratorStarted EntityLockGranted")
		state, _ := e.Entity(t.Context(), "@adder@k")
		equal(t, "holder", state.LockedBy, "i")
		finishIt := func(d *desk, e *Engine) {
			w, b, ops := d.batch(t)
			equal(t, "under the lock", ops, "held")
			add(t, w, b, 1)
			equal(t, "answered", kinds(d.make(t, 2, complete("")).New), "OrchestratorStarted EntityOperationCompleted")
			w, b, ops = d.batch(t)
			equal(t, "free again", ops, "after")
			add(t, w, b, 1)
			state, _ := e.Entity(t.Context(), "@adder@k")
			equal(t, "state", string(state.State)+state.LockedBy, "beforeheldafter")
			d.idle(t, "at the end")
		}
		synctest.Wait()
		crashed := &desk{}
		after, _ := reopen(t, s, Definitions{}, Options{Workers: crashed})
		finishIt(crashed, after)
		finishIt(d, e)
	})
}

// A holder that ends frees its locks, but nobody gets one while an operation of the holder runs.
func TestLockWhileBatchOut(t *testing.T) {
	outsideTest(t, func(t *testing.T, d *desk, e *Engine, _ *memory.Store) {
		lock := func(request string) *history.Event {
			return &history.Event{Kind: history.EntityLockRequested, Request: request, LockSet: []string{"@adder@k"}}
		}
		begin(t, e, "i", "o", "")
		d.make(t, 0, lock("one"))
		w, turn := d.turn(t) // it has the lock
		begin(t, e, "j", "o", "")
		d.make(t, 0, lock("two"))
		call := &history.Event{Kind: history.EntityOperationCalled, ID: 1, Request: "call", Name: "add", Target: "@adder@k", Data: history.Payload("i")}
		turn.Actions = []*history.Event{call}
		isErr(t, "complete", w.Complete(t.Context(), turn), nil)
		batch, b, _ := d.batch(t)
		isErr(t, "terminate", e.Terminate(t.Context(), "i", nil, false), nil)
		d.idle(t, "while the operation runs")
		add(t, batch, b, 1)
		equal(t, "then", kinds(d.make(t, 1, complete("")).New), "OrchestratorStarted EntityLockGranted")
		equal(t, "result", finish(t, e, "j"), "")
	})
}

// A purge takes an entity with its state, whoever runs it, unless something waits for it.
func TestPurgeEntity(t *testing.T) {
	for _, local := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			d := &desk{}
			defs := Definitions{}
			if local {
				defs.Entities = []Entity{adder}
			}
			e := start(t, memory.New(), defs, Options{Workers: d})
			purge := func(what string, want int) {
				t.Helper()
				n, err := e.Purge(t.Context(), []string{"@Adder@k"}, false)
				if err != nil || n != want {
					t.Errorf("%s (local %v): purged %d, %v", what, local, n, err)
				}
			}
			signal := func(at time.Time) {
				isErr(t, "signal", e.Signal(t.Context(), "@adder@k", "add", history.Payload("1"), at), nil)
				if !local && at.IsZero() {
					w, b, _ := d.batch(t)
					purge("while its operation runs", 0)
					add(t, w, b, 1)
				}
			}
			purge("nothing", 0)
			signal(time.Time{})
			purge("one with a state", 1)
			_, err := e.Entity(t.Context(), "@adder@k")
			isErr(t, "after it", err, ErrNotFound)
			purge("again", 0)
			signal(time.Time{})
			signal(time.Now().Add(time.Hour))
			purge("with a signal to come", 0)
			state, err := e.Entity(t.Context(), "@adder@k")
			if err != nil || string(state.State) != "1" {
				t.Errorf("state %+v, %v", state, err)
			}
		})
	}
}
