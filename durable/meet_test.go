package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Where two features meet.

// rewindOnce runs an orchestration that fails, rewinds it an hour later, and gives
// what it ends with; its history must then replay.
func rewindOnce[Out any](t *testing.T, pass func(time.Duration), o *durable.Orchestration[int, Out], defs ...durable.Definition) (Out, error) {
	t.Helper()
	d := &disk{memory: memory.New(), committed: make(chan struct{}, 1)}
	defs = append(defs, o)
	rt := d.run(t, durable.Options{Cached: -1}, defs...)
	if _, err := o.Run(t.Context(), rt.Client(), 0, durable.WithInstanceID("i")); err == nil {
		t.Fatal("it did not fail")
	}
	pass(time.Hour)
	if err := rt.Client().Rewind(t.Context(), "i", ""); err != nil {
		t.Fatal(err)
	}
	out, err := o.Wait(t.Context(), rt.Client(), "i")
	if diff, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), "i", ""), nil, defs...); diff != nil || err != nil {
		t.Errorf("replay: %v, %v", diff, err)
	}
	closeRuntime(t, rt)
	return out, err
}

// A failure that ends a scope on the way out, as a deferred cancel does, can be
// rewound: nothing was given up that the end would not have taken along.
func TestRewindOfScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("b")
		act := durable.NewActivity("act", w.do)
		slow := durable.NewActivity("slow", func(ctx context.Context, in string) (string, error) {
			w.mu.Lock()
			cut := w.fails["b"] > 0
			w.mu.Unlock()
			if cut {
				<-ctx.Done()
			}
			return w.do(ctx, in)
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (string, error) {
			in, cancel := ctx.WithTimeout(24 * time.Hour)
			defer cancel()
			beside, late := slow.Start(in, "slow"), in.Timer(2*time.Hour)
			a, err := act.Call(in, "a")
			if err != nil {
				return "", err
			}
			b, err := act.Call(in, "b")
			if err != nil {
				return "", err
			}
			c, err := beside.Await()
			if err == nil {
				_, err = late.Await()
			}
			return a + b + c, err
		})
		begun := time.Now()
		got, err := rewindOnce(t, func(d time.Duration) { time.Sleep(d) }, o, act, slow)
		equal(t, "output", fmt.Sprint(got, err), "ABSLOW<nil>")
		equal(t, "calls", w.String(), "a:1/1 b:2/1 slow:2/1")
		equal(t, "after", time.Since(begun), 2*time.Hour)
	})
}

// A call that was given up, and said that it never started, is not made when the
// orchestration is rewound because of another one.
func TestRewindLeavesCanceledCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("x")
		act := durable.NewActivity("act", w.do)
		paid := 0
		pay := durable.NewActivity("pay", func(ctx context.Context, n int) (int, error) {
			if n == 1 { // the one that occupies the place
				<-ctx.Done()
				return 0, ctx.Err()
			}
			paid++
			return n, nil
		}, durable.AtMostOnce(), durable.MaxConcurrent(1))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (string, error) {
			first := pay.Start(ctx, 1)
			second := pay.Start(ctx, 2)
			if err := ctx.Sleep(time.Minute); err != nil {
				return "", err
			}
			second.Cancel()
			first.Cancel()
			_, err1 := first.Await()
			_, err2 := second.Await()
			if err1 == nil || err2 == nil {
				return "", errors.New("it was paid")
			}
			return act.Call(ctx, "x")
		})
		got, err := rewindOnce(t, func(d time.Duration) { time.Sleep(d) }, o, act, pay)
		equal(t, "output", fmt.Sprint(got, err), "X<nil>")
		equal(t, "paid", paid, 0)
	})
}

// A call that is made again by a rewind has its whole time from schedule to close
// again.
func TestRewindBeginsDeadlineAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		var left []time.Duration
		act := durable.NewActivity("act", func(ctx context.Context, _ int) (int, error) {
			n++
			at, _ := ctx.Deadline()
			left = append(left, time.Until(at))
			if n == 1 {
				return 0, errors.New("at first")
			}
			time.Sleep(9 * time.Minute)
			return n, nil
		}, durable.ScheduleToClose(10*time.Minute))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (int, error) {
			return act.Call(ctx, 0)
		})
		got, err := rewindOnce(t, func(d time.Duration) { time.Sleep(d) }, o, act)
		equal(t, "output", fmt.Sprint(got, err), "2 <nil>")
		equal(t, "time left", fmt.Sprint(left), "[10m0s 10m0s]")
	})
}

// A call that is given up between two attempts keeps no progress.
func TestProgressOfCallCanceledBetweenAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := durable.NewActivity("work", func(ctx context.Context, _ string) (string, error) {
			return "", errors.Join(durable.Heartbeat(ctx, "here"), errors.New("failed"))
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			task := work.Start(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 2, FirstInterval: time.Hour}))
			if err := ctx.Sleep(time.Minute); err != nil {
				return "", err
			}
			task.Cancel()
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		s := memory.New()
		rt, err := durable.OpenStore(t.Context(), s, durable.Options{Logger: quiet, Cached: -1}, o, work)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Schedule(t.Context(), rt.Client(), ""); err != nil {
			t.Fatal(err)
		}
		kept := func() (n int) {
			for _, err := range s.Clone().Progress(t.Context()) {
				if n++; err != nil {
					t.Error(err)
				}
			}
			return n
		}
		time.Sleep(30 * time.Second)
		equal(t, "between the attempts", kept(), 1)
		time.Sleep(time.Minute)
		equal(t, "when it is given up", kept(), 0)
		closeRuntime(t, rt)
	})
}

// What a coroutine has started and left behind is cancelled with the scope around
// it.
func TestCancelReachesWhatCoroutinesLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (string, error) {
			in, cancel := ctx.WithCancel()
			var inner *durable.Context
			left, err := durable.Go(in, func(ctx *durable.Context) (*durable.Task[time.Time], error) {
				inner, _ = ctx.WithCancel()
				return ctx.Timer(time.Hour), nil
			}).Await()
			if err != nil {
				return "", err
			}
			below := inner.Timer(2 * time.Hour)
			cancel()
			_, err = left.Await()
			_, err2 := below.Await()
			return fmt.Sprint(errors.Is(err, context.Canceled), errors.Is(err2, context.Canceled)), nil
		})
		rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet, Cached: -1}, o)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Run(t.Context(), rt.Client(), 0)
		equal(t, "output", fmt.Sprint(got, err), "true true<nil>")
		closeRuntime(t, rt)
	})
}
