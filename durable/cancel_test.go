package durable_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// What was given up is gone: a program that goes on later neither starts the
// activity again nor sets the timer.
func TestCanceledStaysCanceled(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		running, ended := make(chan string, 10), make(chan struct{})
		act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) {
			running <- in
			<-ctx.Done()
			close(ended)
			return "", ctx.Err()
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			in, cancel := ctx.WithTimeout(1000 * time.Hour)
			task := act.Start(in, "one")
			if _, err := durable.WaitForEvent[string](ctx, "stop").Await(); err != nil {
				return "", err
			}
			cancel()
			if _, err := task.Await(); !errors.Is(err, context.Canceled) {
				return "", errors.New("not canceled")
			}
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		rt := d.run(t, durable.Options{}, o, act)
		id, err := o.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		<-running
		if err := rt.Client().RaiseEvent(t.Context(), id, "stop", ""); err != nil {
			t.Fatal(err)
		}
		<-ended // its context ended although the orchestration has not
		want := "OrchestratorStarted ExecutionStarted TimerCreated TaskScheduled OrchestratorStarted EventRaised GenericEvent GenericEvent"
		equal(t, "history", kinds(t, rt.Client(), id), want)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, o, act)
		if err := rt.Client().RaiseEvent(t.Context(), id, "go", "done"); err != nil {
			t.Fatal(err)
		}
		got, err := o.Wait(t.Context(), rt.Client(), id)
		if err != nil || got != "done" {
			t.Errorf("got %q, %v", got, err)
		}
		if len(running) > 0 {
			t.Error("the activity was started again")
		}
		equal(t, "history", kinds(t, rt.Client(), id), want+" OrchestratorStarted EventRaised ExecutionCompleted")
	})
}

// Whether an at-most-once activity took effect is known only to itself: a call that
// was given up completes with its answer, one that had not started says so, and one
// whose process ended is asked for.
func TestCancelAtMostOnce(t *testing.T) {
	var answers []string
	body := func(call *durable.Activity[string, string]) *durable.Orchestration[string, string] {
		return durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			in, cancel := ctx.WithCancel()
			task := call.Start(in, "pay", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 5}))
			if _, err := durable.WaitForEvent[string](ctx, "stop").Await(); err != nil {
				return "", err
			}
			cancel()
			got, err := task.Await()
			if err != nil {
				return "error: " + err.Error(), nil
			}
			return got, nil
		})
	}
	t.Run("running", func(t *testing.T) {
		running := make(chan struct{})
		act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) {
			close(running)
			<-ctx.Done()
			return "paid all the same", nil
		}, durable.AtMostOnce())
		o := body(act)
		rt := open(t, o, act)
		id, err := o.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		<-running
		if err := rt.Client().RaiseEvent(t.Context(), id, "stop", ""); err != nil {
			t.Fatal(err)
		}
		got, err := o.Wait(t.Context(), rt.Client(), id)
		if err != nil || got != "paid all the same" {
			t.Errorf("got %q, %v", got, err)
		}
		effects, err := rt.Effects(t.Context(), id)
		if err != nil || len(effects) != 1 || effects[0].Receipt.IsZero() {
			t.Errorf("effects: %+v %v", effects, err)
		}
	})
	t.Run("not started", func(t *testing.T) {
		act := durable.NewActivity("act", func(context.Context, string) (string, error) {
			answers = append(answers, "started")
			return "", nil
		}, durable.AtMostOnce())
		o := body(act)
		block := make(chan struct{})
		other := durable.NewActivity("other", func(context.Context, string) (string, error) { <-block; return "", nil })
		first := durable.NewOrchestration("first", func(ctx *durable.Context, _ string) (string, error) { return other.Call(ctx, "") })
		rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Activities: 1, Logger: quiet}, o, act, other, first)
		if err != nil {
			t.Fatal(err)
		}
		defer closeRuntime(t, rt)
		c := rt.Client()
		if _, err := first.Schedule(t.Context(), c, ""); err != nil { // it has the only place
			t.Fatal(err)
		}
		id, err := o.Schedule(t.Context(), c, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.RaiseEvent(t.Context(), id, "stop", ""); err != nil {
			t.Fatal(err)
		}
		close(block)
		got, err := o.Wait(t.Context(), c, id)
		equal(t, "result", got, "error: activity act failed: the call of act was canceled before it started")
		if err != nil || len(answers) > 0 {
			t.Errorf("%v, calls: %v", err, answers)
		}
	})
	t.Run("its process ended", func(t *testing.T) {
		onEach(t, func(t *testing.T, d *disk) {
			running := make(chan struct{}, 2)
			proceed := make(chan struct{})
			act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) {
				running <- struct{}{}
				<-proceed
				return "", errors.New("too late")
			}, durable.Reconcile(func(context.Context, string) (string, bool, error) { return "found", true, nil }))
			o := body(act)
			rt := d.run(t, durable.Options{}, o, act)
			id, err := o.Schedule(t.Context(), rt.Client(), "")
			if err != nil {
				t.Fatal(err)
			}
			<-running
			if err := rt.Client().RaiseEvent(t.Context(), id, "stop", ""); err != nil {
				t.Fatal(err)
			}
			image := d.crash(t)
			close(proceed)
			closeRuntime(t, rt)
			rt = image.run(t, durable.Options{}, o, act)
			got, err := o.Wait(t.Context(), rt.Client(), id)
			if err != nil || got != "found" || len(running) > 0 {
				t.Errorf("got %q, %v; %d more calls", got, err, len(running))
			}
		})
	})
}

// What goes over to the next execution: events, unless they are dropped, and the
// wish that the instance cancel itself.
func TestContinueAsNewKeeps(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []durable.CallOption
		want string
	}{
		{"all", nil, "one"},
		{"no events", []durable.CallOption{durable.DropEvents()}, "nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := durable.NewOrchestration("o", func(ctx *durable.Context, round int) (string, error) {
					if round == 0 {
						if err := ctx.Sleep(time.Hour); err != nil {
							return "", err
						}
						return "", ctx.ContinueAsNew(1, c.opts...)
					}
					got := "nothing"
					durable.Select(ctx, durable.Events[string](ctx, "e").On(func(v string, _ error) { got = v }), durable.On(ctx.Timer(time.Hour), func(time.Time, error) {}))
					return got, nil
				})
				rt := open(t, o)
				id, err := o.Schedule(t.Context(), rt.Client(), 0)
				if err != nil {
					t.Fatal(err)
				}
				if err := rt.Client().RaiseEvent(t.Context(), id, "E", "one"); err != nil {
					t.Fatal(err)
				}
				got, err := o.Wait(t.Context(), rt.Client(), id)
				if err != nil || got != c.want {
					t.Errorf("got %q, %v", got, err)
				}
			})
		})
	}
	t.Run("cancellation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			o := durable.NewOrchestration("o", func(ctx *durable.Context, round int) (string, error) {
				if err := ctx.Sleep(time.Hour); round > 0 {
					return "", err
				}
				return "", ctx.ContinueAsNew(1, durable.DropEvents()) // whatever the error was
			})
			rt := open(t, o)
			id, err := o.Schedule(t.Context(), rt.Client(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if err := rt.Client().Cancel(t.Context(), id, "enough"); err != nil {
				t.Fatal(err)
			}
			_, err = o.Wait(t.Context(), rt.Client(), id)
			s, _ := rt.Client().Get(t.Context(), id)
			if !errors.Is(err, context.Canceled) || s.Status != history.Canceled {
				t.Errorf("got %v, status %v", err, s.Status)
			}
		})
	})
}

// A parent sees that its child was cancelled.
func TestChildCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (bool, error) {
			_, err := napper.Call(ctx, 48*time.Hour, durable.WithInstanceID("kid"))
			return errors.Is(err, context.Canceled), nil
		})
		rt := open(t, parent, napper)
		id, err := parent.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := rt.Client().Cancel(t.Context(), "kid", "no"); err != nil {
			t.Fatal(err)
		}
		if got, err := parent.Wait(t.Context(), rt.Client(), id); err != nil || !got {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
