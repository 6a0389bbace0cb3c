package durabletest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
)

// A deploy that would break running instances is found by replaying what they did.
func ExampleReplay() {
	greet := durable.NewActivity("greet", func(_ context.Context, who string) (string, error) { return "hello " + who, nil })
	welcome := durable.NewActivity("welcome", func(_ context.Context, who string) (string, error) { return "welcome " + who, nil })
	before := durable.NewOrchestration("o", func(ctx *durable.Context, who string) (string, error) { return greet.Call(ctx, who) })
	after := durable.NewOrchestration("o", func(ctx *durable.Context, who string) (string, error) { return welcome.Call(ctx, who) })

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", before, greet)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if _, err := before.Run(ctx, rt.Client(), "you", durable.WithInstanceID("run-1")); err != nil {
		log.Fatal(err)
	}
	d, err := durabletest.Replay(ctx, rt.Client(), "run-1", before, greet)
	fmt.Println(d == nil, err)
	d, err = durabletest.Replay(ctx, rt.Client(), "run-1", after, welcome)
	fmt.Println(d.Address.Number, d.Field, d.Want, d.Got, err)
	// Output:
	// true <nil>
	// 2 name greet welcome <nil>
}
