package agents_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// An agent is a tool of another one. Each call is a run of its own, a child of the
// caller's, with its own conversation, tools and approvals.
func ExampleAsTool() {
	lawyer := agents.New(agents.Config{Name: "lawyer", Description: "Knows contracts.", Model: "script"})
	clerk := agents.New(agents.Config{Name: "clerk", Model: "script", Tools: []tools.Tool{agents.AsTool(lawyer)}})

	script := scripted.New(
		scripted.Entry{Agent: "clerk", Calls: []scripted.Call{{Tool: "lawyer", Arguments: agents.Assignment{Task: "May we cancel contract 17?"}}}},
		scripted.Entry{Agent: "lawyer", Text: "Until May."},
		scripted.Entry{Agent: "clerk", When: scripted.When{Tool: "Until May."}, Text: "You can cancel until May."},
	)
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, clerk))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := clerk.Schedule(ctx, rt.Client(), "Can I leave contract 17?")
	if err != nil {
		log.Fatal(err)
	}
	got, err := clerk.Wait(ctx, rt.Client(), run)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Text)
	// Output: You can cancel until May.
}
