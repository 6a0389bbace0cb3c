package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A timer waits on disk, not in memory: an hour or a month is the same to it.
func ExampleContext_Sleep() {
	remind := durable.NewOrchestration("remind", func(ctx *durable.Context, after time.Duration) (string, error) {
		begun := ctx.Now()
		if err := ctx.Sleep(after); err != nil {
			return "", err
		}
		if ctx.Now().Sub(begun) < after {
			return "too early", nil
		}
		return "it is time", nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", remind)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(remind.Run(ctx, rt.Client(), 10*time.Millisecond))
	// Output: it is time <nil>
}
