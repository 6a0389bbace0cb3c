package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A failed call is tried again by policy. The waits between are durable timers, and
// the idempotency key is the same for each attempt.
func ExampleWithRetry() {
	fetch := durable.NewActivity("fetch", func(ctx context.Context, url string) (string, error) {
		info, _ := durable.Info(ctx)
		if info.Attempt < 3 {
			return "", errors.New("timeout")
		}
		return fmt.Sprintf("%s, in attempt %d", url, info.Attempt), nil
	})
	o := durable.NewOrchestration("o", func(ctx *durable.Context, url string) (string, error) {
		return fetch.Call(ctx, url, durable.WithRetry(durable.RetryPolicy{
			MaxAttempts:   5,
			FirstInterval: time.Millisecond,
			Backoff:       2,
			MaxInterval:   time.Minute,
		}))
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, fetch)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), "page"))
	// Output: page, in attempt 3 <nil>
}
