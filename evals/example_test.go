package evals_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

type place struct {
	City string `json:"city"`
}

// assistant is an agent whose only tool has this name.
func assistant(tool string) *agents.Agent {
	weather := tools.New(tool, "Weather in a city.", func(_ context.Context, p place) (string, error) { return p.City + ": rain", nil }, tools.Pure())
	return agents.New(agents.Config{Name: "assistant", Model: "any", Tools: []tools.Tool{weather}})
}

// A run is recorded. Today's code does the same; after its tool is renamed, it cannot.
func Example() {
	ctx := context.Background()
	model := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "weather", Arguments: map[string]any{"city": "Oslo"}}}},
		scripted.Entry{Text: "Take an umbrella."},
	)
	agent := assistant("weather")
	rt, err := agents.Open(ctx, "memory:", agents.Options{Models: only(model)}, durable.Options{}, []*agents.Agent{agent})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	id, err := agent.Schedule(ctx, rt.Client(), "Umbrella?", agents.With(durable.WithInstanceID("run-1")))
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := agent.Wait(ctx, rt.Client(), id); err != nil {
		fmt.Println(err)
		return
	}

	var file bytes.Buffer
	if err := evals.Export(ctx, rt.Client(), id, &file); err != nil {
		fmt.Println(err)
		return
	}
	rec, err := evals.Read(&file)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tool := range []string{"weather", "forecast"} {
		d, err := evals.Strict(ctx, rec, agents.Define(agents.Options{}, assistant(tool)))
		if err != nil {
			fmt.Println(err)
			return
		}
		if d == nil {
			fmt.Println("no divergence")
			continue
		}
		_, what, _ := strings.Cut(d.Error(), "): ") // leave out ids, which differ from run to run
		fmt.Println(what)
	}
	// Output:
	// no divergence
	// the agent has another manifest now than was recorded; changed: tools (forecast is new, weather is gone); agent assistant
}
