package durable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// untilCut waits for the end of its context, and tells why it came.
func untilCut(name string, opts ...durable.ActivityOption) *durable.Activity[string, string] {
	return durable.NewActivity(name, func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", fmt.Errorf("cut: %w", context.Cause(ctx))
	}, opts...)
}

// Each timeout is an error that is told apart, on each store; the terms of a call
// win over those of the definition.
func TestTimeouts(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		defined := untilCut("defined", durable.StartToClose(10*time.Millisecond))
		patient := untilCut("patient", durable.StartToClose(time.Hour), durable.HeartbeatTimeout(time.Hour), durable.ScheduleToClose(time.Hour))
		short := 10 * time.Millisecond
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) ([]durable.Timeout, error) {
			var got []durable.Timeout
			for _, task := range []*durable.Task[string]{
				defined.Start(ctx, ""),
				defined.Start(ctx, "", durable.WithStartToClose(0), durable.WithScheduleToClose(short)),
				patient.Start(ctx, "", durable.WithStartToClose(short)),
				patient.Start(ctx, "", durable.WithHeartbeatTimeout(short)),
				patient.Start(ctx, "", durable.WithScheduleToClose(short)),
				durable.StartActivity[string](ctx, "patient", "", durable.WithScheduleToClose(short), durable.WithHeartbeatTimeout(0)),
				durable.StartActivity[string](ctx, "nobody has it", "", durable.WithScheduleToClose(short)),
			} {
				_, err := task.Await()
				if !durable.IsTimeout(err) || durable.UnknownOutcome(err) {
					return nil, fmt.Errorf("no timeout: %w", err)
				}
				got = append(got, durable.TimeoutOf(err))
			}
			return got, nil
		})
		rt := d.run(t, durable.Options{}, o, defined, patient)
		got, err := o.Run(t.Context(), rt.Client(), "")
		const want = "[StartToCloseTimeout ScheduleToCloseTimeout StartToCloseTimeout HeartbeatTimeout " +
			"ScheduleToCloseTimeout ScheduleToCloseTimeout ScheduleToCloseTimeout]"
		if fmt.Sprint(got) != want || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		closeRuntime(t, rt)
	})
}

// Schedule to close is for all attempts and the waits between them, and each
// attempt knows of it; no attempt begins after it, not even to fail at once.
func TestScheduleToCloseOverAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var starts []time.Duration
		begun := time.Now()
		fails := durable.NewActivity("fails", func(ctx context.Context, _ string) (string, error) {
			starts = append(starts, time.Since(begun))
			info, _ := durable.Info(ctx)
			if at, ok := ctx.Deadline(); !ok || !at.Equal(info.Deadline) || !at.Equal(begun.Add(10*time.Minute)) {
				t.Errorf("attempt %d: deadline %v", info.Attempt, at)
			}
			time.Sleep(time.Minute)
			return "", errors.New("not yet")
		}, durable.ScheduleToClose(10*time.Minute))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			_, err := fails.Call(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 100, FirstInterval: time.Minute, Backoff: 2}))
			return err.Error(), nil
		})
		rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet}, o, fails)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Run(t.Context(), rt.Client(), "")
		if got != "activity fails failed: not yet" || err != nil { // attempts at 0, 2, 5 and, had it not been for the deadline, 10 minutes
			t.Errorf("got %q, %v", got, err)
		}
		equal(t, "attempts", fmt.Sprint(starts), "[0s 2m0s 5m0s]")
		equal(t, "over after", time.Since(begun), 6*time.Minute)
		closeRuntime(t, rt)
	})
}

// A call keeps the terms that it was scheduled with, whatever the code says after
// a restart; and the replay of it is not another step.
func TestTermsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		within := time.Hour
		cut := durable.NewActivity("cut", func(ctx context.Context, _ string) (string, error) {
			if info, _ := durable.Info(ctx); info.Attempt == 1 {
				time.Sleep(30*time.Minute - time.Since(begun))
				return "", errors.New("tried again")
			}
			<-ctx.Done()
			return "", context.Cause(ctx)
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (durable.Timeout, error) {
			_, err := cut.Call(ctx, "", durable.WithScheduleToClose(within), durable.WithPriority(2),
				durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Minute}))
			return durable.TimeoutOf(err), nil
		})
		d := &disk{memory: memory.New(), committed: make(chan struct{}, 1)}
		rt := d.run(t, durable.Options{}, o, cut)
		id, err := o.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		closeRuntime(t, rt)
		within = time.Minute
		rt = d.run(t, durable.Options{}, o, cut)
		list, err := rt.Activities(t.Context(), id)
		if err != nil || len(list) != 1 || !list[0].Deadline.Equal(begun.Add(time.Hour)) || list[0].Priority != 2 {
			t.Errorf("%+v, %v", list, err)
		}
		got, err := o.Wait(t.Context(), rt.Client(), id)
		if got != durable.TimeoutScheduleToClose || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		equal(t, "over after", time.Since(begun), time.Hour)
		closeRuntime(t, rt)
	})
}

// A policy tries again after a timeout of an attempt. Start to close is each
// attempt's own.
func TestRetryAfterTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		var mu sync.Mutex
		var seen []error
		slow := durable.NewActivity("slow", func(ctx context.Context, _ string) (int, error) {
			if info, _ := durable.Info(ctx); info.Attempt == 3 {
				return info.Attempt, nil
			}
			<-ctx.Done()
			mu.Lock()
			seen = append(seen, context.Cause(ctx))
			mu.Unlock()
			return 0, ctx.Err()
		}, durable.StartToClose(5*time.Millisecond))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (int, error) {
			return slow.Call(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 5, Retry: durable.IsTimeout}))
		})
		rt := d.run(t, durable.Options{}, o, slow)
		got, err := o.Run(t.Context(), rt.Client(), "")
		if got < 3 || err != nil {
			t.Errorf("got %d, %v", got, err)
		}
		closeRuntime(t, rt)
		for _, cause := range seen {
			equal(t, "cause", durable.TimeoutOf(cause), durable.TimeoutStartToClose)
		}
	})
}

// An at-most-once call that was cut off is not tried again, whatever the policy,
// and its error is not that of a timeout.
func TestAtMostOnceTimeoutIsUnknown(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		runs := make(chan int, 5)
		pay := durable.NewActivity("pay", func(ctx context.Context, _ string) (string, error) {
			runs <- 1
			<-ctx.Done()
			return "", context.Cause(ctx)
		}, durable.AtMostOnce(), durable.StartToClose(5*time.Millisecond))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) ([]bool, error) {
			_, err := pay.Call(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 5}))
			return []bool{durable.UnknownOutcome(err), durable.IsTimeout(err)}, nil
		})
		rt := d.run(t, durable.Options{}, o, pay)
		got, err := o.Run(t.Context(), rt.Client(), "")
		if fmt.Sprint(got) != "[true false]" || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		closeRuntime(t, rt)
		equal(t, "runs", len(runs), 1)
	})
}

// The progress of a call that failed for good does not stay until its
// orchestration ends.
func TestProgressOfFailedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := durable.NewActivity("work", func(ctx context.Context, _ string) (string, error) {
			return "", errors.Join(durable.Heartbeat(ctx, "here"), errors.New("failed"))
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			_, _ = work.Call(ctx, "", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 2, FirstInterval: time.Minute}))
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		s := memory.New()
		rt, err := durable.OpenStore(t.Context(), s, durable.Options{Logger: quiet}, o, work)
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
		equal(t, "after the last", kept(), 0)
		closeRuntime(t, rt)
		equal(t, "in the end", kept(), 0)
	})
}

// A child that fails because of a timeout hands it on.
func TestTimeoutOfNested(t *testing.T) {
	for _, err := range []error{nil, errors.New("x"), &durable.TaskFailedError{Type: "x", Cause: &durable.TaskFailedError{Type: "y"}}} {
		if durable.IsTimeout(err) {
			t.Errorf("%v is a timeout", err)
		}
	}
	err := fmt.Errorf("outer: %w", &durable.TaskFailedError{Type: "x", Cause: &durable.TaskFailedError{Type: "HeartbeatTimeout"}})
	equal(t, "nested", durable.TimeoutOf(err), durable.TimeoutHeartbeat)
}

// A crash in the middle of a long work: the next process goes on from the
// progress that is on disk, and in the end nothing of it is left.
func TestProgressAfterCrash(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		type place struct{ Page, Row int }
		running, tell, stop := make(chan struct{}), make(chan struct{}), make(chan struct{})
		work := durable.NewActivity("work", func(ctx context.Context, crash bool) (place, error) {
			from, ok := durable.Progress[place](ctx)
			if ok {
				return from, nil
			}
			if _, ok := durable.Progress[string](ctx); ok {
				return place{}, errors.New("a progress before the first")
			}
			close(running)
			<-tell
			if err := durable.Heartbeat(ctx, place{3, 14}); err != nil {
				return place{}, err
			}
			<-stop
			return place{}, nil
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (place, error) {
			return work.Call(ctx, true)
		})
		rt := d.run(t, durable.Options{}, o, work)
		id, err := o.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		<-running
		select {
		case <-d.committed:
		default:
		}
		close(tell)
		<-d.committed // nothing else is left to be committed
		list, err := rt.Activities(t.Context(), id)
		if err != nil || len(list) != 1 || string(list[0].Progress) != `{"Page":3,"Row":14}` || !list[0].Running {
			t.Errorf("%+v, %v", list, err)
		}
		image := d.crash(t)
		close(stop)
		closeRuntime(t, rt)

		rt = image.run(t, durable.Options{}, o, work)
		got, err := o.Wait(t.Context(), rt.Client(), id)
		if got != (place{3, 14}) || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
		if list, err := rt.Activities(t.Context(), id); len(list) != 0 || err != nil {
			t.Errorf("%+v, %v", list, err)
		}
		closeRuntime(t, rt)
	})
}

// Heartbeat elsewhere, of what has no JSON form, and when it is too late.
func TestHeartbeatErrors(t *testing.T) {
	if err := durable.Heartbeat(t.Context(), 1); err == nil || !strings.Contains(err.Error(), "not that of an activity") {
		t.Errorf("got %v", err)
	}
	if _, ok := durable.Progress[int](t.Context()); ok {
		t.Error("progress without an activity")
	}
	var left context.Context
	a := durable.NewActivity("a", func(ctx context.Context, _ string) (string, error) {
		left = ctx
		if err := durable.Heartbeat(ctx, "one"); err != nil {
			return "", err
		}
		if _, ok := durable.Progress[int](ctx); ok {
			return "", errors.New("a text was read as a number")
		}
		if err := durable.Heartbeat(ctx, nil); err != nil { // alive, with nothing new
			return "", err
		}
		if p, ok := durable.Progress[string](ctx); !ok || p != "one" {
			return "", fmt.Errorf("progress %q %v", p, ok)
		}
		err := durable.Heartbeat(ctx, func() {})
		return fmt.Sprint(err), nil
	})
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) { return a.Call(ctx, "") })
	rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet}, o, a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := o.Run(t.Context(), rt.Client(), "")
	if !strings.Contains(got, "progress of activity a: func() has no JSON form") || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if err := durable.Heartbeat(left, "two"); err == nil {
		t.Error("a heartbeat of a call that is over")
	}
	closeRuntime(t, rt)
}

// What the caller gets wrong is told by the call.
func TestPriorityOutOfRange(t *testing.T) {
	a := untilCut("a")
	o := durable.NewOrchestration("o", func(ctx *durable.Context, p int) (string, error) {
		_, err := a.Call(ctx, "", durable.WithPriority(p))
		return fmt.Sprint(err), nil
	})
	rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet}, o, a)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []int{0, -1, 6} {
		got, err := o.Run(t.Context(), rt.Client(), p)
		want := fmt.Sprintf("activity a: its priority is %d: it must be from 1, the highest, to 5", p)
		if got != want || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	closeRuntime(t, rt)
}
