package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// An instance can be scheduled for later, and take the place of another one.
func ExampleWithStartAt() {
	report := durable.NewOrchestration("report", func(_ *durable.Context, of string) (string, error) {
		return "the report of " + of, nil
	})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", report)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	tomorrow := time.Now().AddDate(0, 0, 1)
	id, err := report.Schedule(ctx, rt.Client(), "Monday", durable.WithInstanceID("report"), durable.WithStartAt(tomorrow))
	if err != nil {
		log.Fatal(err)
	}
	s, err := rt.Client().Get(ctx, id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(s.Status)

	// Somebody cannot wait.
	out, err := report.Run(ctx, rt.Client(), "today", durable.WithInstanceID("report"),
		durable.WithReuse(history.Pending, history.Terminated))
	fmt.Println(out, err)
	// Output:
	// pending
	// the report of today <nil>
}
