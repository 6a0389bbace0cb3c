package durable_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// crowd counts who is inside.
type crowd struct {
	mu        sync.Mutex
	now, most int
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

// A limit holds over all instances, for each attempt, and after a restart in the
// middle; other activities do not wait for it, also where the limited ones are
// more than there are places.
func TestMaxConcurrent(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		var inside crowd
		var running chan string
		proceed := make(chan struct{})
		narrow := durable.NewActivity("narrow", func(ctx context.Context, in string) (string, error) {
			inside.enter()
			defer inside.leave()
			select {
			case running <- in:
			default:
			}
			select {
			case <-proceed:
			case <-ctx.Done():
				return "", context.Cause(ctx)
			}
			return in, nil
		}, durable.MaxConcurrent(3))
		other := durable.NewActivity("other", func(_ context.Context, in string) (string, error) { return "other " + in, nil })
		wide := durable.NewOrchestration("wide", func(ctx *durable.Context, n int) (int, error) {
			tasks := durable.StartEach(ctx, make([]struct{}, n), func(struct{}) *durable.Task[string] { return narrow.Start(ctx, ctx.InstanceID()) })
			beside, err := other.Call(ctx, ctx.InstanceID())
			if err != nil {
				return 0, err
			}
			ctx.SetCustomStatus(beside)
			got, err := durable.All(ctx, tasks)
			return len(got), err
		})
		defs := []durable.Definition{narrow, other, wide}
		start := func() *durable.Runtime {
			running = make(chan string, 3)
			rt := d.run(t, durable.Options{Activities: 8}, defs...)
			for range 3 {
				<-running
			}
			return rt
		}
		running = make(chan string, 3)
		rt := d.run(t, durable.Options{Activities: 8}, defs...)
		for _, id := range []string{"a", "b"} {
			if _, err := wide.Schedule(t.Context(), rt.Client(), 40, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []string{"a", "b"} {
			d.until(t, rt, func() bool {
				s, err := rt.Client().Get(t.Context(), id)
				return err == nil && string(s.CustomStatus) == fmt.Sprintf("%q", "other "+id)
			})
		}
		closeRuntime(t, rt)
		rt = start()
		close(proceed)
		for _, id := range []string{"a", "b"} {
			if n, err := wide.Wait(t.Context(), rt.Client(), id); n != 40 || err != nil {
				t.Errorf("%s: %d, %v", id, n, err)
			}
		}
		closeRuntime(t, rt)
		equal(t, "most at once", inside.most, 3)
	})
}

// A rate is for each key, made from the input; and what waits for it takes nothing.
func TestRateLimitByKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type request struct{ Customer string }
		var mu sync.Mutex
		begun := time.Now()
		at := map[string][]time.Duration{}
		ask := durable.NewActivity("ask", func(_ context.Context, r request) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			at[r.Customer] = append(at[r.Customer], time.Since(begun))
			return "", nil
		}, durable.RateLimit(func(r request) string {
			if r.Customer == "panics" {
				panic("no key")
			}
			return r.Customer
		}, 2, 2*time.Second))
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (int, error) {
			tasks := durable.StartEach(ctx, strings.Fields("a a a a b panics a"), func(c string) *durable.Task[string] { return ask.Start(ctx, request{c}) })
			tasks = append(tasks, durable.StartActivity[string](ctx, "ask", 7)) // does not decode: its function says so
			_, err := durable.All(ctx, tasks)
			if err == nil || !strings.Contains(err.Error(), "does not decode") {
				return 0, fmt.Errorf("the wrong input: %w", err)
			}
			return len(tasks), nil
		})
		rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet, Activities: 1}, o, ask)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := o.Run(t.Context(), rt.Client(), ""); n != 8 || err != nil {
			t.Errorf("got %d, %v", n, err)
		}
		equal(t, "a", fmt.Sprint(at["a"]), "[0s 0s 1s 2s 3s]")
		equal(t, "b", fmt.Sprint(at["b"]), "[0s]")
		equal(t, "one without a key", fmt.Sprint(at["panics"]), "[0s]")
		closeRuntime(t, rt)
	})
}

// A rate that is none is found when the runtime opens.
func TestRateLimitNone(t *testing.T) {
	a := durable.NewActivity("a", func(_ context.Context, _ string) (string, error) { return "", nil }, durable.RateLimit[string](nil, 0, time.Second))
	_, err := durable.Open(t.Context(), "memory:", a)
	if err == nil || !strings.Contains(err.Error(), `activity "a" has a rate of 0 in 1s`) {
		t.Errorf("got %v", err)
	}
}

// With one place, the more urgent of the calls that wait goes first.
func TestPriorityOfCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []string
		work := durable.NewActivity("work", func(_ context.Context, in string) (string, error) {
			order = append(order, in)
			time.Sleep(time.Second)
			return "", nil
		}, durable.Idempotent())
		o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
			_, err := durable.All(ctx, []*durable.Task[string]{
				work.Start(ctx, "last", durable.WithPriority(5)), work.Start(ctx, "usual"), work.Start(ctx, "as usual", durable.WithPriority(3)),
				work.Start(ctx, "first", durable.WithPriority(1)),
			})
			return "", err
		})
		rt, err := durable.OpenStore(t.Context(), memory.New(), durable.Options{Logger: quiet, Activities: 1}, o, work)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := o.Run(t.Context(), rt.Client(), ""); err != nil {
			t.Fatal(err)
		}
		equal(t, "order", strings.Join(order, ", "), "first, usual, as usual, last")
		closeRuntime(t, rt)
	})
}
