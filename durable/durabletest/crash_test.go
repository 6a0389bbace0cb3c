package durabletest_test

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
	"github.com/agentrun-dev/agentrun/durable/durabletest"
)

var (
	add = durable.NewActivity("add", func(_ context.Context, in [2]int) (int, error) { return in[0] + in[1], nil })

	square = durable.NewActivity("square", func(_ context.Context, n int) (int, error) { return n * n, nil }, durable.Pure())

	flaky = durable.NewActivity("flaky", func(ctx context.Context, n int) (int, error) {
		info, _ := durable.Info(ctx)
		if info.Attempt < 3 {
			return 0, errors.New("not yet")
		}
		return n, nil
	})

	counter = durable.NewEntity[int]("counter")
	count   = durable.Operation(counter, "add", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		if n < 0 {
			return 0, errors.New("only up")
		}
		*sum += n
		return *sum, nil
	})

	leaf = durable.NewOrchestration("leaf", func(ctx *durable.Context, n int) (int, error) {
		if n > 2 {
			return add.Call(ctx, [2]int{n, 100})
		}
		if err := ctx.Sleep(time.Hour); err != nil {
			return 0, err
		}
		return 0, ctx.ContinueAsNew(n + 1)
	})

	// everything uses all that an orchestration can.
	everything = durable.NewOrchestration("everything", func(ctx *durable.Context, n int) ([]int, error) {
		var got []int
		sum := 0
		for i := range n {
			var err error
			if sum, err = add.Call(ctx, [2]int{sum, i}); err != nil {
				return nil, err
			}
			got = append(got, sum)
		}
		squares, err := durable.All(ctx, durable.StartEach(ctx, got, func(n int) *durable.Task[int] { return square.Start(ctx, n) }))
		if err != nil {
			return nil, err
		}
		got = append(got, squares...)
		child := leaf.Start(ctx, 1)
		for range 3 {
			v, err := count.Call(ctx, ctx.InstanceID(), 5)
			if err != nil {
				return nil, err
			}
			got = append(got, v)
		}
		if _, err := count.Call(ctx, ctx.InstanceID(), -1); err == nil {
			return nil, errors.New("the counter went down")
		}
		v, err := flaky.Call(ctx, 7, durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Minute, Backoff: 2}))
		if err != nil {
			return nil, err
		}
		got = append(got, v)
		if v, err = child.Await(); err != nil {
			return nil, err
		}
		ctx.SetCustomStatus("waiting")
		decision, deadline := durable.WaitForEvent[int](ctx, "decision"), ctx.Timer(72*time.Hour)
		if durable.Any(ctx, decision, deadline) == deadline {
			return nil, errors.New("nobody decided")
		}
		d, err := decision.Await()
		return append(got, v, d), err
	})

	defs = []durable.Definition{add, square, flaky, counter, leaf, everything}
)

func TestCrashEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) ([]int, error) {
			id, err := everything.Schedule(ctx, env.Client(), 3)
			if err != nil {
				return nil, err
			}
			time.Sleep(24 * time.Hour) // virtual
			if err := env.Client().RaiseEvent(ctx, id, "Decision", 42); err != nil {
				return nil, err
			}
			got, err := everything.Wait(ctx, env.Client(), id)
			if err != nil {
				return nil, err
			}
			sum, _, err := counter.Get(ctx, env.Client(), id)
			return append(got, sum), err
		})
		if points < 20 {
			t.Errorf("only %d crash points", points)
		}
	})
}

// An at-most-once activity with a Reconcile that can tell: it runs once whatever
// happens.
func TestCrashAtMostOnce(t *testing.T) {
	var mu sync.Mutex
	world := map[string]int{} // what was paid, by key
	pay := durable.NewActivity("pay", func(ctx context.Context, n int) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		info, _ := durable.Info(ctx)
		if world[info.Key] != 0 {
			return 0, fmt.Errorf("%s was paid twice", info.Key)
		}
		world[info.Key] = n
		return n, nil
	}, durable.Reconcile(func(ctx context.Context, n int) (int, bool, error) {
		mu.Lock()
		defer mu.Unlock()
		info, _ := durable.Info(ctx)
		paid, ok := world[info.Key]
		return paid, ok, nil
	}))
	payAll := durable.NewOrchestration("payAll", func(ctx *durable.Context, n int) (int, error) {
		sum := 0
		for i := range n {
			paid, err := pay.Call(ctx, i+1)
			if err != nil {
				return 0, err
			}
			sum += paid
		}
		return sum, nil
	})
	points := durabletest.CrashEverywhere(t, []durable.Definition{pay, payAll}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		clear(world)
		got, err := payAll.Run(ctx, env.Client(), 3)
		if len(world) != 3 {
			t.Errorf("paid %v", world)
		}
		return got, err
	})
	if points < 9 {
		t.Errorf("only %d crash points", points)
	}
}

// fake is a testing.TB that notes failures.
type fake struct {
	testing.TB
	mu     sync.Mutex
	failed []string
}

func (f *fake) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = append(f.failed, fmt.Sprintf(format, args...))
}

func (f *fake) Failed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.failed) > 0
}

// A program whose result depends on a crash is found out.
func TestCrashFindsDifference(t *testing.T) {
	calls := 0
	tell := durable.NewActivity("tell", func(context.Context, string) (int, error) {
		calls++ // what a retried at-least-once activity does to the world
		return calls, nil
	})
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (int, error) { return tell.Call(ctx, "") })
	f := &fake{TB: t}
	durabletest.CrashEverywhere(f, []durable.Definition{tell, o}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		calls = 0
		return o.Run(ctx, env.Client(), "")
	})
	if len(f.failed) != 1 || !strings.Contains(f.failed[0], "crash after activity tell ended") {
		t.Fatalf("got %q", f.failed)
	}
}

// An at-most-once activity whose outcome nobody can tell fails the call: that is
// another result, and CrashEverywhere says where.
func TestCrashUnknownOutcome(t *testing.T) {
	pay := durable.NewActivity("pay", func(context.Context, int) (int, error) { return 1, nil }, durable.AtMostOnce())
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (int, error) { return pay.Call(ctx, n) })
	f := &fake{TB: t}
	durabletest.CrashEverywhere(f, []durable.Definition{pay, o}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		return o.Run(ctx, env.Client(), 1)
	})
	if len(f.failed) != 1 || !strings.Contains(f.failed[0], "whether it took effect is unknown") {
		t.Fatalf("got %q", f.failed)
	}
}

// A program that does nothing on the hub shows nothing.
func TestCrashNowhere(t *testing.T) {
	f := &fake{TB: t}
	durabletest.CrashEverywhere(f, defs, func(context.Context, *durabletest.Env) (int, error) { return 1, nil })
	if len(f.failed) != 1 || !strings.Contains(f.failed[0], "no crash point was hit") {
		t.Fatalf("got %q", f.failed)
	}
}
