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

// An agent with one tool. The model is a script, so the example needs no key.
func Example() {
	type City struct {
		Name string `json:"name" jsonschema:"description=City in English"`
	}
	weather := tools.New("weather", "Current weather in a city.",
		func(ctx context.Context, in City) (string, error) { return "It rains in " + in.Name + ".", nil },
		tools.Pure())
	assistant := agents.New(agents.Config{
		Name:         "assistant",
		Instructions: "Answer in one sentence.",
		Model:        "script",
		Tools:        []tools.Tool{weather},
	})

	script := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "weather", Arguments: map[string]string{"name": "Oslo"}}}},
		scripted.Entry{Text: "Yes, take an umbrella."},
	)
	ctx := context.Background()
	rt, err := agents.Open(ctx, "memory:", agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, durable.Options{}, []*agents.Agent{assistant})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()

	for ev, err := range assistant.Run(ctx, rt, "Do I need an umbrella in Oslo?") {
		if err != nil {
			log.Fatal(err)
		}
		switch ev.Kind {
		case agents.EventTool:
			fmt.Println("calls", ev.Tool)
		case agents.EventEnd:
			fmt.Println(ev.Result.Text)
			fmt.Println(ev.Result.Turns, "turns,", ev.Result.ToolCalls, "tool call")
		}
	}
	// Output:
	// calls weather
	// Yes, take an umbrella.
	// 2 turns, 1 tool call
}

// A tool that needs a person's approval: the run waits, for as long as it takes,
// and the decision may come from another process.
func ExampleDecide() {
	type Payment struct {
		Invoice string `json:"invoice"`
	}
	pay := tools.New("pay", "Pay an invoice.",
		func(ctx context.Context, in Payment) (string, error) { return "paid " + in.Invoice, nil },
		tools.Unsafe(), tools.NeedsApproval(tools.Approval{Question: "Pay this invoice?"}))
	clerk := agents.New(agents.Config{Name: "clerk", Model: "script", Tools: []tools.Tool{pay}})

	script := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "pay", Arguments: Payment{"2026-17"}}}},
		scripted.Entry{When: scripted.When{Tool: "not our invoice"}, Text: "I did not pay it."},
	)
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, clerk))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := clerk.Schedule(ctx, rt.Client(), "Pay what is due.")
	if err != nil {
		log.Fatal(err)
	}

	var waiting []agents.Approval
	for len(waiting) == 0 {
		if waiting, err = agents.Inbox(ctx, rt.Client(), run, true); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(waiting[0].Question, waiting[0].Tool, waiting[0].Arguments)
	settled, err := agents.Decide(ctx, rt.Client(), waiting[0].ID, agents.Decision{By: "eva", Comment: "not our invoice"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(settled.Status)

	got, err := clerk.Wait(ctx, rt.Client(), run)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Text)
	// Output:
	// Pay this invoice? pay {"invoice":"2026-17"}
	// rejected
	// I did not pay it.
}
