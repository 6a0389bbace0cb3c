package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// An orchestration calls another one as it calls an activity. The child is an
// instance of its own, with its own history.
func ExampleOrchestration_Call() {
	review := durable.NewOrchestration("review", func(ctx *durable.Context, text string) (bool, error) {
		return len(text) < 20, nil
	})
	publish := durable.NewOrchestration("publish", func(ctx *durable.Context, text string) (string, error) {
		ok, err := review.Call(ctx, text)
		if err != nil || !ok {
			return "rejected", err
		}
		return "published", nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", review, publish)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(publish.Run(ctx, rt.Client(), "A short text."))
	// Output: published <nil>
}
