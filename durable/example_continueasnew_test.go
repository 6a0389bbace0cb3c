package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// An orchestration that runs for ever begins anew every so often, so that its
// history stays short. What it has to know goes along as its input.
func ExampleContext_ContinueAsNew() {
	type State struct{ Day, Total int }
	measure := durable.NewActivity("measure", func(ctx context.Context, day int) (int, error) {
		return day * 10, nil
	}, durable.Pure())
	monitor := durable.NewOrchestration("monitor", func(ctx *durable.Context, s State) (int, error) {
		n, err := measure.Call(ctx, s.Day)
		if err != nil {
			return 0, err
		}
		s.Total += n
		if s.Day++; s.Day < 4 {
			return 0, ctx.ContinueAsNew(s)
		}
		return s.Total, nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", monitor, measure)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	total, err := monitor.Run(ctx, rt.Client(), State{}, durable.WithInstanceID("m"))
	fmt.Println(total, err)
	executions, err := rt.Client().Executions(ctx, "m")
	fmt.Println(len(executions), "executions", err)
	// Output:
	// 60 <nil>
	// 4 executions <nil>
}
