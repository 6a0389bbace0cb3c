package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// Terminate ends an instance at once, cancels its activities, answers its parent
// and, with recurse, ends its children at every depth.
func TestTerminate(t *testing.T) {
	for _, recurse := range []bool{false, true} {
		t.Run(fmt.Sprintf("recurse=%v", recurse), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cancelled := make(chan string, 1)
				hang := Activity{Name: "hang", Run: func(ctx context.Context, c *Call) Outcome {
					<-ctx.Done()
					cancelled <- c.Instance.ID
					return Outcome{}
				}}
				d := Definitions{
					Orchestrations: []Orchestration{
						orchestration("top", sequence(child("middle", "m"))),
						orchestration("middle", sequence(child("leaf", "l"))),
						orchestration("leaf", sequence(schedule("hang", ""))),
					},
					Activities: []Activity{hang},
				}
				e := start(t, memory.New(), d, Options{})
				begin(t, e, "t", "top", "")
				synctest.Wait()
				if err := e.Suspend(t.Context(), "m", nil); err != nil {
					t.Fatal(err)
				}
				if err := e.Terminate(t.Context(), "m", history.Payload("stop"), recurse); err != nil {
					t.Fatal(err)
				}
				equal(t, "middle", finish(t, e, "m"), "terminated: stop")
				equal(t, "top", finish(t, e, "t"), "failed: OrchestrationTerminated: the sub-orchestration was terminated")
				synctest.Wait()
				st, err := e.Get(t.Context(), "l", false)
				if err != nil {
					t.Fatal(err)
				}
				if recurse {
					equal(t, "leaf", st.Status, history.Terminated)
					equal(t, "cancelled", <-cancelled, "l")
				} else {
					equal(t, "leaf", st.Status, history.Running)
				}
				evs := events(t, e, "m", "")
				equal(t, "history", show(evs[len(evs)-3:]), "OrchestratorStarted-1 ExecutionTerminated-1 ExecutionCompleted+1")
				if err := e.Terminate(t.Context(), "m", nil, recurse); err != nil {
					t.Errorf("a second time: %v", err)
				}
				end(t, e)
			})
		})
	}
}

// While an instance is suspended, everything arrives and nothing runs.
func TestSuspend(t *testing.T) {
	s := memory.New()
	d := Definitions{Orchestrations: []Orchestration{orchestration("o", sequence(wait(), wait()))}}
	e := start(t, s, d, Options{})
	begin(t, e, "i", "o", "")
	for _, f := range []func() error{
		func() error { return e.Suspend(t.Context(), "i", history.Payload("why")) },
		func() error { return e.Raise(t.Context(), "i", "x", nil) },
	} {
		if err := f(); err != nil {
			t.Fatal(err)
		}
	}
	e, _ = reopen(t, s, d, Options{})
	st, err := e.Get(t.Context(), "i", false)
	if err != nil || st.Status != history.Suspended {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := e.Resume(t.Context(), "i", nil); err != nil {
		t.Fatal(err)
	}
	if st, err = e.Get(t.Context(), "i", false); err != nil || st.Status != history.Running {
		t.Fatalf("%+v, %v", st, err)
	}
}

// Between a decision and a deadline the earlier one wins, also when no program ran
// at either time.
func TestDecisionAndDeadline(t *testing.T) {
	for _, c := range []struct {
		name    string
		decided time.Duration
		want    string
	}{
		{"decided in time", time.Hour, "TimerCreated+0 OrchestratorStarted-1 EventRaised-1 TimerFired-1"},
		{"too late", 3 * time.Hour, "TimerCreated+0 OrchestratorStarted-1 TimerFired-1 EventRaised-1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				epoch := time.Now()
				d := Definitions{Orchestrations: []Orchestration{orchestration("o", func([]*history.Event) []*history.Event {
					return []*history.Event{{Kind: history.TimerCreated, FireAt: epoch.Add(2 * time.Hour)}}
				})}}
				s := memory.New()
				e := start(t, s, d, Options{})
				begin(t, e, "i", "o", "")
				end(t, e)
				time.Sleep(c.decided)
				e, s = reopen(t, s, Definitions{}, Options{}) // a short command
				if err := e.Raise(t.Context(), "i", "decision", nil); err != nil {
					t.Fatal(err)
				}
				end(t, e)
				time.Sleep(24 * time.Hour)
				e, _ = reopen(t, s, d, Options{})
				synctest.Wait()
				equal(t, "history", show(events(t, e, "i", "")[2:]), c.want)
				end(t, e)
			})
		})
	}
}

// Opening reads one page of timers; the others come when the clock gets there,
// also when the store fails for a while.
func TestTimersAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2*duePage + 100
		epoch := time.Now()
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", func(seen []*history.Event) []*history.Event {
			var i int
			_, _ = fmt.Sscan(string(seen[1].Data), &i)
			a := []*history.Event{{Kind: history.TimerCreated, FireAt: epoch.Add(time.Duration(i+1) * time.Hour)}}
			if len(seen) > 2 {
				a = append(a, complete(""))
			}
			return a
		})}}
		s := memory.New()
		e := start(t, s, d, Options{})
		for i := range n {
			begin(t, e, fmt.Sprint(i), "o", fmt.Sprint(i))
		}
		end(t, e)

		image := s.Clone()
		var mu sync.Mutex
		var failing []time.Time
		f := storetest.NewFault(image, func(op storetest.Op, k int) error {
			mu.Lock()
			defer mu.Unlock()
			if op == storetest.OpDue && k > 1 && k < 5 {
				failing = append(failing, time.Now())
				return errDisk
			}
			return nil
		})
		e = start(t, f, d, Options{})
		e.timers.mu.Lock()
		equal(t, "timers in memory", len(e.timers.heap), duePage)
		e.timers.mu.Unlock()
		for _, i := range []int{0, duePage - 1, duePage, n - 1} {
			finish(t, e, fmt.Sprint(i))
			if late := time.Since(epoch.Add(time.Duration(i+1) * time.Hour)); late < 0 || late > time.Minute {
				t.Errorf("timer %d is late by %v", i, late)
			}
		}
		if len(failing) != 3 || failing[1].Sub(failing[0]) < time.Second || failing[2].Sub(failing[1]) < time.Second {
			t.Errorf("reads failed at %v", failing)
		}
		end(t, e)
	})
}

// A clock that is set back between the timer and its turn does not lose the timer.
func TestTimerWithClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		back, calls := time.Duration(0), 0
		due := time.Now().Add(time.Hour)
		now := func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			if !now.Before(due) && calls < 2 { // the first look says it is due, the next one not
				if calls++; calls == 2 {
					back = time.Hour
				}
			}
			return now.Add(-back)
		}
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", sequence(&history.Event{Kind: history.TimerCreated, FireAt: due}))}}
		e := start(t, memory.New(), d, Options{Now: now})
		begin(t, e, "i", "o", "")
		finish(t, e, "i")
		if late := time.Since(due); late != time.Hour {
			t.Errorf("it fired %v after it was due", late)
		}
		end(t, e)
	})
}

// Timers of one instance that are due at the same time, one created when the other
// has fired, all fire.
func TestTimersDueAtTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		due := &history.Event{Kind: history.TimerCreated, FireAt: time.Now().UTC()}
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", sequence(due, due, due))}}
		e := start(t, memory.New(), d, Options{})
		begin(t, e, "i", "o", "")
		finish(t, e, "i")
		end(t, e)
	})
}

// A single call beside a fan-out waits for one round, not for the fan-out.
func TestFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var many []*history.Event
		for range 1000 {
			many = append(many, schedule("slow", ""))
		}
		d := Definitions{
			Orchestrations: []Orchestration{
				orchestration("fan", func([]*history.Event) []*history.Event { return many }),
				orchestration("one", sequence(schedule("slow", ""))),
			},
			Activities: []Activity{activity("slow", AtLeastOnce, func(*Call) string { time.Sleep(time.Second); return "" })},
		}
		e := start(t, memory.New(), d, Options{Activities: 4})
		begin(t, e, "f", "fan", "")
		before := time.Now()
		begin(t, e, "o", "one", "")
		finish(t, e, "o")
		if took := time.Since(before); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
		if err := e.Terminate(t.Context(), "f", nil, false); err != nil {
			t.Fatal(err)
		}
		end(t, e)
	})
}

// An activity that ends its goroutine fails, and the dispatcher goes on.
func TestGoexitInActivity(t *testing.T) {
	quit := Activity{Name: "quit", Run: func(context.Context, *Call) Outcome { runtime.Goexit(); panic("not reached") }}
	e := start(t, memory.New(), chainOf(1, quit), Options{Activities: 1})
	for i := range 3 {
		begin(t, e, fmt.Sprint(i), "chain", "")
		equal(t, "output", finish(t, e, fmt.Sprint(i)), "failed: Goexit: the activity quit ended its goroutine (runtime.Goexit)")
	}
	end(t, e)
}

// What an orchestration starts in its last turn is recorded and never runs.
func TestStartedInTheLastTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d Definitions
		for _, effect := range []Effect{AtLeastOnce, Pure, AtMostOnce} {
			name := fmt.Sprint("act", effect)
			d.Activities = append(d.Activities, activity(name, effect, func(*Call) string { t.Errorf("%s ran", name); return "" }))
			d.Orchestrations = append(d.Orchestrations, orchestration(name, func([]*history.Event) []*history.Event {
				return []*history.Event{schedule(name, ""), complete("")}
			}))
		}
		g, shut, open := gate(memory.New())
		e := start(t, g, d, Options{})
		for _, a := range d.Activities {
			shut()
			go func() { _, _ = e.Start(t.Context(), Start{ID: a.Name, Name: a.Name}) }()
			synctest.Wait() // what may run ahead of the disk has run
			open()
			finish(t, e, a.Name)
			equal(t, "history", show(events(t, e, a.Name, "")), "OrchestratorStarted-1 ExecutionStarted-1 TaskScheduled+0 ExecutionCompleted+1")
		}
		synctest.Wait()
		end(t, e)
	})
}
