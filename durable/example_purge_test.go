package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Instances that ended are kept until somebody purges them, or for as long as
// their orchestration says.
func ExampleClient_PurgeWhere() {
	greet := durable.NewOrchestration("greet", func(_ *durable.Context, name string) (string, error) {
		return "Hello, " + name, nil
	}, durable.Retain(90*24*time.Hour))
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", greet)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	for _, name := range []string{"Ada", "Grace", "Edsger"} {
		if _, err := greet.Run(ctx, rt.Client(), name, durable.WithInstanceID("greet-"+name)); err != nil {
			log.Fatal(err)
		}
	}
	n, err := rt.Client().Purge(ctx, "greet-Ada", true)
	fmt.Println(n, err)
	n, err = rt.Client().PurgeWhere(ctx, durable.Query{Names: []string{"greet"}, CompletedTo: time.Now()}, true)
	fmt.Println(n, err)
	// Output:
	// 1 <nil>
	// 2 <nil>
}
