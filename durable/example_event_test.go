package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A person decides, or a deadline passes, whichever is first.
func ExampleWaitForEvent() {
	approve := durable.NewOrchestration("approve", func(ctx *durable.Context, what string) (string, error) {
		decision := durable.WaitForEvent[bool](ctx, "Decision")
		deadline := ctx.Timer(72 * time.Hour)
		if durable.Any(ctx, decision, deadline) == deadline {
			return what + ": nobody decided", nil
		}
		yes, err := decision.Await()
		if err != nil || !yes {
			return what + ": rejected", err
		}
		return what + ": approved", nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", approve)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	id, err := approve.Schedule(ctx, rt.Client(), "rollback", durable.WithInstanceID("rollback-7"))
	if err != nil {
		log.Fatal(err)
	}
	if err := rt.Client().RaiseEvent(ctx, id, "decision", true); err != nil { // names ignore case
		log.Fatal(err)
	}
	fmt.Println(approve.Wait(ctx, rt.Client(), id))
	// Output: rollback: approved <nil>
}
