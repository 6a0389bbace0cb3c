package durable_test

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// At most two exports run at once, however many were started. Those that wait
// cost nothing, and nothing else waits for them.
func ExampleMaxConcurrent() {
	var now, most atomic.Int64
	export := durable.NewActivity("export", func(_ context.Context, part int) (int, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer now.Add(-1)
		return part, nil
	}, durable.Idempotent(), durable.MaxConcurrent(2))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, parts []int) (int, error) {
		done, err := durable.All(ctx, durable.StartEach(ctx, parts, func(part int) *durable.Task[int] { return export.Start(ctx, part) }))
		return len(done), err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, export)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	n, err := o.Run(ctx, rt.Client(), make([]int, 100))
	fmt.Println(n, err, most.Load() <= 2)
	// Output: 100 <nil> true
}

// Each provider gets its own number of requests a second.
func ExampleRateLimit() {
	type request struct{ Provider, Prompt string }
	ask := durable.NewActivity("ask", func(_ context.Context, r request) (string, error) {
		return r.Provider + " says hello", nil
	}, durable.Pure(), durable.RateLimit(func(r request) string { return r.Provider }, 10, time.Second))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, provider string) (string, error) {
		return ask.Call(ctx, request{provider, "hello?"}, durable.WithPriority(1)) // before others that wait
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, ask)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), "one"))
	// Output: one says hello <nil>
}
