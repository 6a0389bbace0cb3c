package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// ask makes a request of an instance, before which its owner runs a function.
func ask(e *Engine, id string, what commandKind, before func()) <-chan error {
	return e.request(&message{to: id, ev: &history.Event{Time: e.now()}, ask: &command{what: what, look: func(*instance) {
		if before != nil {
			before()
		}
	}}})
}

// What is on its way to an instance while it is purged finds nobody, and nothing
// of it stays on the disk: a message that was stored before, and the answer and
// the receipt of an activity that still ran.
func TestPurgeAndWhatIsOnItsWay(t *testing.T) {
	for name, apart := range map[string]bool{"in one batch": false, "in a later batch": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := memory.New()
				proceed := make(chan struct{})
				once := Activity{Name: "once", Effect: AtMostOnce, Run: func(context.Context, *Call) Outcome {
					<-proceed
					return Outcome{Result: history.Payload("late")}
				}}
				sender := orchestration("sender", func([]*history.Event) []*history.Event {
					return []*history.Event{{Kind: history.EventSent, Target: "x", Name: "hello"}, complete("")}
				})
				e := start(t, s, Definitions{
					Orchestrations: []Orchestration{orchestration("calls", sequence(schedule("once", ""))), sender},
					Activities:     []Activity{once},
				}, Options{})
				begin(t, e, "x", "calls", "")
				synctest.Wait()
				if err := e.Terminate(t.Context(), "x", nil, false); err != nil {
					t.Fatal(err)
				}
				row, err := s.Instance(t.Context(), "x")
				if err != nil {
					t.Fatal(err)
				}
				held := make(chan struct{})
				purged := ask(e, "x", askPurge, func() { <-held })
				synctest.Wait()
				if apart {
					ask(e, "x", askNothing, func() { _ = e.commits.write(&changeSet{}) })
				}
				begin(t, e, "s", "sender", "")
				finish(t, e, "s")
				if waiting, err := s.Inbox(t.Context(), "x"); len(waiting) != 1 || err != nil {
					t.Fatalf("%d messages wait, %v", len(waiting), err)
				}
				close(held)
				if err := <-purged; err != nil {
					t.Fatal(err)
				}
				begin(t, e, "x", "sender", "") // so that the late answer finds another one
				close(proceed)
				synctest.Wait()
				if err := e.Err(); err != nil {
					t.Fatal(err)
				}
				waiting, err := s.Inbox(t.Context(), "x")
				if len(waiting) != 0 || err != nil {
					t.Errorf("%d messages are left, %v", len(waiting), err)
				}
				effects, err := s.Effects(t.Context(), row.Num)
				if len(effects) != 0 || err != nil {
					t.Errorf("effects are left: %v, %v", effects, err)
				}
				end(t, e)
			})
		})
	}
}

// An intent that comes to the log after the end of its orchestration is not
// written, and its activity not started.
func TestNoIntentAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, shut, open := gate(memory.New())
		once := Activity{Name: "once", Effect: AtMostOnce, Run: func(context.Context, *Call) Outcome {
			t.Error("it ran")
			return Outcome{}
		}}
		e := start(t, s, Definitions{
			Orchestrations: []Orchestration{orchestration("calls", sequence(wait(), wait(), schedule("once", "")))},
			Activities:     []Activity{once},
		}, Options{})
		begin(t, e, "x", "calls", "")
		c := &call{in: e.instances.get("x"), act: e.activities["once"], exec: "e", num: 1, ev: schedule("once", "")}
		shut()
		go func() { _ = e.Raise(t.Context(), "x", "other", nil) }() // a commit that waits
		synctest.Wait()
		written := make(chan error, 1)
		go func() {
			o, ok := e.performOnce(context.Background(), c, &Call{})
			if !ok || o.Failure == nil || o.Failure.Type != Canceled {
				t.Errorf("got %+v, %v", o, ok)
			}
			written <- nil
		}()
		synctest.Wait()
		c.abort()
		open()
		<-written
		if effects, err := s.Effects(t.Context(), 1); len(effects) != 0 || err != nil {
			t.Errorf("effects %v, %v", effects, err)
		}
		end(t, e)
	})
}

// A sweep that fails is tried again after the next commit; one that loses the
// lease halts the engine.
func TestSweepFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		f := storetest.NewFault(memory.New(), func(op storetest.Op, _ int) error {
			if op == storetest.OpSweep && broken {
				return errors.New("no room")
			}
			return nil
		})
		e := start(t, f, Definitions{Orchestrations: []Orchestration{orchestration("o", sequence())}}, Options{})
		begin(t, e, "a", "o", "")
		finish(t, e, "a")
		if n, err := e.Purge(t.Context(), []string{"a"}, false); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		time.Sleep(time.Hour)
		before := f.Calls(storetest.OpSweep)
		if before > 6 {
			t.Errorf("%d sweeps: it does not wait", before)
		}
		broken = false
		begin(t, e, "b", "o", "")
		synctest.Wait()
		after := f.Calls(storetest.OpSweep)
		if after <= before {
			t.Error("it was not tried again")
		}
		begin(t, e, "c", "o", "")
		synctest.Wait()
		equal(t, "sweeps with nothing to do", f.Calls(storetest.OpSweep), after)
		end(t, e)
	})
}
