package durabletest_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
)

// Timeouts, heartbeats, limits and priorities give the same whatever crashes.
func TestCrashTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := durable.NewActivity("stuck", func(ctx context.Context, until int) (int, error) {
			if info, _ := durable.Info(ctx); info.Attempt >= until {
				return info.Attempt, nil
			}
			<-ctx.Done()
			return 0, context.Cause(ctx)
		}, durable.StartToClose(time.Minute))

		items := durable.NewActivity("items", func(ctx context.Context, n int) (int, error) {
			done, _ := durable.Progress[int](ctx)
			for ; done < n; done++ {
				if err := durable.Heartbeat(ctx, done); err != nil {
					return 0, err
				}
				time.Sleep(4 * time.Second)
			}
			return done, nil
		}, durable.HeartbeatTimeout(5*time.Second), durable.Idempotent())

		narrow := durable.NewActivity("narrow", func(_ context.Context, n int) (int, error) {
			time.Sleep(time.Second)
			return 10 * n, nil
		}, durable.MaxConcurrent(2), durable.RateLimit(func(n int) string { return string(rune('a' + n%2)) }, 1, 10*time.Second))

		program := durable.NewOrchestration("program", func(ctx *durable.Context, _ string) ([]any, error) {
			var got []any
			side := items.Start(ctx, 3)
			again := durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Second})
			n, err := stuck.Call(ctx, 2, again)
			got = append(got, n, durable.TimeoutOf(err))
			_, err = stuck.Call(ctx, 9, again, durable.WithScheduleToClose(90*time.Second))
			got = append(got, durable.TimeoutOf(err))
			var tasks []*durable.Task[int]
			for i := range 5 {
				tasks = append(tasks, narrow.Start(ctx, i, durable.WithPriority(1+i)))
			}
			all, err := durable.All(ctx, tasks)
			if err != nil {
				return nil, err
			}
			n, err = side.Await()
			return append(got, all, n), err
		})
		points := durabletest.CrashEverywhere(t, []durable.Definition{stuck, items, narrow, program}, func(ctx context.Context, env *durabletest.Env) ([]any, error) {
			got, err := program.Run(ctx, env.Client(), "")
			if s := fmt.Sprint(got); s != "[2  ScheduleToCloseTimeout [0 10 20 30 40] 3]" {
				t.Errorf("got %s", s)
			}
			return got, err
		})
		if points < 20 {
			t.Errorf("only %d crash points", points)
		}
	})
}

// An at-most-once activity whose time is over while it takes effect: it is paid
// once, and known to be, whatever crashes.
func TestCrashAtMostOnceTimeout(t *testing.T) {
	var mu sync.Mutex
	world := map[string]int{}
	pay := durable.NewActivity("pay", func(ctx context.Context, n int) (int, error) {
		mu.Lock()
		info, _ := durable.Info(ctx)
		if world[info.Key] != 0 {
			t.Errorf("%s was paid twice", info.Key)
		}
		world[info.Key] = n
		mu.Unlock()
		<-ctx.Done() // the bank's answer does not come
		return 0, errors.New("no answer")
	}, durable.StartToClose(time.Minute), durable.Reconcile(func(ctx context.Context, n int) (int, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		info, _ := durable.Info(ctx)
		paid, ok := world[info.Key]
		return paid, ok, nil
	}))
	order := durable.NewOrchestration("order", func(ctx *durable.Context, n int) (int, error) {
		return pay.Call(ctx, n, durable.WithRetry(durable.RetryPolicy{MaxAttempts: 5}))
	})
	synctest.Test(t, func(t *testing.T) {
		points := durabletest.CrashEverywhere(t, []durable.Definition{pay, order}, func(ctx context.Context, env *durabletest.Env) (int, error) {
			clear(world)
			return order.Run(ctx, env.Client(), 7)
		})
		if points < 5 {
			t.Errorf("only %d crash points", points)
		}
	})
}
