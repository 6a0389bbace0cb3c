package durable_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// After a crash, activities whose answers were committed are not asked again, and
// the others are, with the same key.
func TestCrashRepeatsOnlyWhatIsLost(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		var mu sync.Mutex
		keys := map[string][]string{}
		note := func(ctx context.Context, what string) {
			mu.Lock()
			defer mu.Unlock()
			info, _ := durable.Info(ctx)
			keys[what] = append(keys[what], info.Key)
		}
		hang := make(chan struct{})
		running := make(chan struct{}, 2)
		act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) {
			note(ctx, in)
			if in == "second" {
				running <- struct{}{}
				<-hang
			}
			return in, nil
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			if _, err := act.Call(ctx, "first"); err != nil {
				return "", err
			}
			return act.Call(ctx, "second")
		})
		rt := d.run(t, durable.Options{}, o, act)
		id, err := o.Schedule(t.Context(), rt.Client(), "")
		if err != nil {
			t.Fatal(err)
		}
		<-running
		image := d.crash(t)
		again := image.run(t, durable.Options{}, o, act)
		<-running
		close(hang)
		for _, r := range []*durable.Runtime{again, rt} {
			if got, err := o.Wait(t.Context(), r.Client(), id); got != "second" || err != nil {
				t.Errorf("got %q, %v", got, err)
			}
		}
		if len(keys["first"]) != 1 || len(keys["second"]) != 2 || keys["second"][0] != keys["second"][1] || keys["first"][0] == keys["second"][0] {
			t.Errorf("calls by key: %v", keys)
		}
	})
}

// Every part of an orchestration goes on after a restart between any two steps.
func TestRestartAnywhere(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		child := durable.NewOrchestration("child", func(ctx *durable.Context, n int) (int, error) {
			v, err := durable.WaitForEvent[int](ctx, "go").Await()
			return n + v, err
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			kid := child.Start(ctx, 1, durable.WithInstanceID("kid"))
			early, err := durable.WaitForEvent[string](ctx, "Early").Await()
			if err != nil {
				return "", err
			}
			balance, err := deposit.Call(ctx, "a", 5)
			if err != nil {
				return "", err
			}
			v, err := kid.Await()
			return fmt.Sprint(early, balance, v), err
		})
		steps := []func(c *durable.Client) error{
			func(c *durable.Client) error {
				_, err := o.Schedule(t.Context(), c, "", durable.WithInstanceID("i"))
				return err
			},
			func(c *durable.Client) error { return c.Suspend(t.Context(), "i", "night") },
			func(c *durable.Client) error { return c.RaiseEvent(t.Context(), "i", "early", "e") },
			func(c *durable.Client) error { return c.Resume(t.Context(), "i", "day") },
			func(c *durable.Client) error { return c.RaiseEvent(t.Context(), "kid", "GO", 2) },
		}
		for _, step := range steps {
			rt := d.run(t, durable.Options{}, o, child, accounts)
			d.until(t, rt, func() bool { // the child is there from the first step on
				_, err := rt.Client().Get(t.Context(), "kid")
				started := err == nil
				if !started {
					err = step(rt.Client())
					step = func(*durable.Client) error { return nil }
				}
				return started && err == nil
			})
			if err := step(rt.Client()); err != nil {
				t.Fatal(err)
			}
			closeRuntime(t, rt)
		}
		rt := d.run(t, durable.Options{}, o, child, accounts)
		got, err := o.Wait(t.Context(), rt.Client(), "i")
		if got != "e5 3" && got != "e 5 3" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		increasing(t, record(t, rt.Client(), "i"))
	})
}

// The idempotency key names the logical call: the same for its attempts, another
// for each call, each execution of a continue-as-new and each instance.
func TestIdempotencyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		keys := map[string][]string{}
		act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			info, _ := durable.Info(ctx)
			where := fmt.Sprint(info.Instance, in)
			keys[where] = append(keys[where], info.Key)
			if len(info.Key) != 32 {
				return "", fmt.Errorf("key %q", info.Key)
			}
			if info.Attempt < 3 {
				return "", errors.New("again")
			}
			return "", nil
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (string, error) {
			p := durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Hour})
			for _, call := range []string{"x", "y"} {
				if _, err := act.Call(ctx, fmt.Sprint(n, call), p); err != nil {
					return "", err
				}
			}
			if n < 2 {
				return "", ctx.ContinueAsNew(n + 1)
			}
			return "", nil
		})
		rt := open(t, o, act)
		for _, id := range []string{"i", "j"} {
			if _, err := o.Run(t.Context(), rt.Client(), 1, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
		}
		var all []string
		for where, k := range keys {
			if len(k) != 3 || k[0] != k[1] || k[1] != k[2] {
				t.Errorf("%s: %v", where, k)
			}
			all = append(all, k[0])
		}
		slices.Sort(all)
		if n := len(slices.Compact(all)); n != 8 {
			t.Errorf("%d different keys of 8 calls", n)
		}
		closeRuntime(t, rt)
	})
}

// Continue-as-new takes along what nobody has consumed, drops late answers, keeps
// old histories, and answers the parent at the very end.
func TestContinueAsNew(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		running, proceed := make(chan string, 10), make(chan struct{})
		slow := signalled("slow", running, proceed)
		loop := durable.NewOrchestration("loop", func(ctx *durable.Context, n int) (string, error) {
			if n == 0 {
				slow.Start(ctx, "abandoned")
				if _, err := durable.WaitForEvent[string](ctx, "next").Await(); err != nil {
					return "", err
				}
				return "", ctx.ContinueAsNew(n + 1)
			}
			ctx.SetCustomStatus(n)
			left, err := durable.WaitForEvent[string](ctx, "kept").Await()
			return fmt.Sprint(n, left), err
		})
		parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (string, error) {
			return loop.Call(ctx, 0, durable.WithInstanceID("loop"))
		})
		rt := d.run(t, durable.Options{}, loop, parent, slow)
		if _, err := parent.Schedule(t.Context(), rt.Client(), "", durable.WithInstanceID("p")); err != nil {
			t.Fatal(err)
		}
		<-running
		for _, ev := range []string{"kept", "next"} {
			if err := rt.Client().RaiseEvent(t.Context(), "loop", ev, ev); err != nil {
				t.Fatal(err)
			}
		}
		close(proceed)
		if got, err := parent.Wait(t.Context(), rt.Client(), "p"); got != "1kept" && got != "1 kept" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		executions, err := rt.Client().Executions(t.Context(), "loop")
		if err != nil || len(executions) != 2 {
			t.Fatalf("%v, %v", executions, err)
		}
		var last *history.Event
		for ev, err := range rt.Client().History(t.Context(), "loop", executions[0]) {
			if err != nil {
				t.Fatal(err)
			}
			last = ev
		}
		if last.Kind != history.ExecutionCompleted || last.Status != history.ContinuedAsNew || string(last.Data) != "1" {
			t.Errorf("the first execution ended with %+v", last)
		}
		equal(t, "second history", kinds(t, rt.Client(), "loop"), "OrchestratorStarted ExecutionStarted EventRaised ExecutionCompleted")
	})
}

// Retries wait for durable timers, stop at what is not retriable, at the number of
// attempts, at the timeout, and where the predicate says so.
func TestRetry(t *testing.T) {
	fatal := errors.New("fatal")
	for _, c := range []struct {
		name     string
		p        durable.RetryPolicy
		err      error
		attempts int64
		took     time.Duration
	}{
		{"none", durable.RetryPolicy{}, errors.New("x"), 1, 0},
		{"attempts", durable.RetryPolicy{MaxAttempts: 4, FirstInterval: time.Hour, Backoff: 2}, errors.New("x"), 4, 7 * time.Hour},
		{"no backoff", durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Hour}, errors.New("x"), 3, 2 * time.Hour},
		{"limit", durable.RetryPolicy{MaxAttempts: 4, FirstInterval: 3 * time.Hour, Backoff: 2, MaxInterval: 2 * time.Hour}, errors.New("x"), 4, 6 * time.Hour},
		{"timeout", durable.RetryPolicy{MaxAttempts: 100, FirstInterval: time.Hour, Timeout: 150 * time.Minute}, errors.New("x"), 3, 2 * time.Hour},
		{"not retriable", durable.RetryPolicy{MaxAttempts: 3}, durable.NonRetriable(fatal), 1, 0},
		{"predicate", durable.RetryPolicy{MaxAttempts: 3, Retry: func(err error) bool {
			var f *durable.TaskFailedError
			return errors.As(err, &f) && f.Message != "fatal"
		}}, fatal, 1, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n atomic.Int64
				fails := durable.NewActivity("fails", func(context.Context, string) (string, error) { n.Add(1); return "", c.err })
				o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
					return fails.Call(ctx, "", durable.WithRetry(c.p))
				})
				rt := open(t, o, fails)
				before := time.Now()
				if _, err := o.Run(t.Context(), rt.Client(), "", durable.WithInstanceID("i")); err == nil {
					t.Error("no error")
				}
				equal(t, "attempts", n.Load(), c.attempts)
				equal(t, "time", time.Since(before), c.took)
				closeRuntime(t, rt)
			})
		})
	}
}

// An operation that fails, panics or ends its goroutine changes nothing and sends
// nothing; those after it run.
func TestEntityRollback(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		log := durable.NewEntity[[]string]("Log")
		ping := durable.Operation(log, "ping", func(_ *durable.EntityContext, s *[]string, what string) (int, error) {
			*s = append(*s, what)
			return len(*s), nil
		})
		try := durable.Operation(log, "try", func(ctx *durable.EntityContext, s *[]string, how string) (int, error) {
			*s = append(*s, how)
			if err := ping.SignalFrom(ctx, "other", how); err != nil {
				return 0, err
			}
			switch how {
			case "error":
				return 0, errors.New("no")
			case "panic":
				panic("no")
			case "exit":
				runtime.Goexit()
			case "delete":
				ctx.Delete()
			}
			return len(*s), nil
		})
		o := durable.NewOrchestration("o", func(ctx *durable.Context, how []string) ([]string, error) {
			var tasks []*durable.Task[int]
			for _, h := range how {
				tasks = append(tasks, try.Start(ctx, "k", h))
			}
			var got []string
			for _, task := range tasks {
				n, err := task.Await()
				got = append(got, fmt.Sprint(n, err != nil))
			}
			return got, nil
		})
		rt := d.run(t, durable.Options{}, o, log)
		got, err := o.Run(t.Context(), rt.Client(), []string{"a", "error", "b", "panic", "exit", "c", "delete", "d"})
		if err != nil || fmt.Sprint(got) != "[1 false 0 true 2 false 0 true 0 true 3 false 4 false 1 false]" {
			t.Errorf("got %v, %v", got, err)
		}
		d.until(t, rt, func() bool {
			other, _, err := log.Get(t.Context(), rt.Client(), "other")
			return err == nil && fmt.Sprint(other) == "[a b c delete d]"
		})
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{}, o, log)
		if s, ok, err := log.Get(t.Context(), rt.Client(), "k"); !ok || fmt.Sprint(s) != "[d]" || err != nil {
			t.Errorf("after a restart: %v, %v, %v", s, ok, err)
		}
		if got, err := o.Run(t.Context(), rt.Client(), []string{"e"}); err != nil || fmt.Sprint(got) != "[2 false]" {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
