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

// A hook answers in the place of a tool, another one is told of the end.
func ExampleHooks() {
	type City struct {
		Name string `json:"name"`
	}
	weather := tools.New("weather", "Current weather in a city.",
		func(context.Context, City) (string, error) { return "", fmt.Errorf("the service is down") }, tools.Pure())
	assistant := agents.New(agents.Config{Name: "assistant", Model: "script", Tools: []tools.Tool{weather}, Hooks: agents.Hooks{
		BeforeTool: func(_ context.Context, t tools.Tool, call tools.Call) (*tools.Result, error) {
			fmt.Println(t.Name(), call.Arguments)
			res := tools.Text("Rain, as it was an hour ago.")
			return &res, nil
		},
		RunEnd: func(_ context.Context, s agents.RunState, end agents.RunEnd) error {
			fmt.Println("after", s.Turns, "turns:", end.Result.Text)
			return nil
		},
	}})
	script := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "weather", Arguments: City{"Oslo"}}}},
		scripted.Entry{When: scripted.When{Tool: "Rain"}, Text: "Take an umbrella."},
	)
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, assistant))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := assistant.Schedule(ctx, rt.Client(), "Do I need an umbrella?")
	if err != nil {
		log.Fatal(err)
	}
	if _, err := assistant.Wait(ctx, rt.Client(), run); err != nil {
		log.Fatal(err)
	}
	// Output:
	// weather {"name":"Oslo"}
	// after 2 turns: Take an umbrella.
}
