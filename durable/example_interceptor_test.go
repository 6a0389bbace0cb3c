package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// A value that travels as a header would: from the caller's context into the tags of
// the instance, from there to its activities, and back into a context.
func ExampleInterceptor() {
	type tenant struct{}
	travel := durable.Interceptor{
		Client: func(ctx context.Context, c *durable.ClientCall, next durable.ClientFunc) error {
			if c.Op == durable.ClientSchedule {
				c.Tags = map[string]string{"tenant": ctx.Value(tenant{}).(string)}
			}
			return next(ctx, c)
		},
		Call: func(ctx *durable.Context, c *durable.OutgoingCall) { c.Tags["tenant"] = ctx.Tags()["tenant"] },
		Activity: func(ctx context.Context, c *durable.ActivityCall, next durable.ActivityFunc) (history.Payload, error) {
			info, _ := durable.Info(ctx)
			fmt.Println("before", c.Name, string(c.Input))
			out, err := next(context.WithValue(ctx, tenant{}, info.Tags["tenant"]), c)
			fmt.Println("after", c.Name, string(out))
			return out, err
		},
	}
	greet := durable.NewActivity("greet", func(ctx context.Context, name string) (string, error) {
		return "Hello " + name + " of " + ctx.Value(tenant{}).(string), nil
	})
	welcome := durable.NewOrchestration("welcome", func(ctx *durable.Context, name string) (string, error) {
		return greet.Call(ctx, name)
	})

	rt, err := durable.OpenWith(context.Background(), "memory:", durable.Options{Interceptors: []durable.Interceptor{travel}}, welcome, greet)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(welcome.Run(context.WithValue(context.Background(), tenant{}, "Acme"), rt.Client(), "Ann"))
	// Output:
	// before greet "Ann"
	// after greet "Hello Ann of Acme"
	// Hello Ann of Acme <nil>
}
