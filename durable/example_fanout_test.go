package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// Many activities side by side, and their results in order.
func ExampleAll() {
	length := durable.NewActivity("length", func(ctx context.Context, word string) (int, error) {
		return len(word), nil
	}, durable.Pure())
	total := durable.NewOrchestration("total", func(ctx *durable.Context, words []string) (int, error) {
		tasks := durable.StartEach(ctx, words, func(word string) *durable.Task[int] { return length.Start(ctx, word) })
		lengths, err := durable.All(ctx, tasks)
		if err != nil {
			return 0, err
		}
		sum := 0
		for _, n := range lengths {
			sum += n
		}
		return sum, nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", total, length)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(total.Run(ctx, rt.Client(), []string{"plan", "act", "check"}))
	// Output: 12 <nil>
}
