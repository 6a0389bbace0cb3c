package agents_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

// What all runs together may ask of a model: the third run of a second waits, at no
// cost, and would also wait if the program were started anew.
func ExampleQuota() {
	assistant := agents.New(agents.Config{Name: "assistant", Model: "gpt-4.1"})
	script := scripted.New(scripted.Entry{Text: "Yes.", Always: true})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
		Quotas: map[string]agents.Quota{"gpt-4.1": {Requests: 2, Tokens: 30_000, Per: time.Second}},
	}, assistant))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()

	var runs []string
	for range 3 {
		run, err := assistant.Schedule(ctx, rt.Client(), "Is it Monday?")
		if err != nil {
			log.Fatal(err)
		}
		runs = append(runs, run)
	}
	for _, run := range runs {
		if _, err := assistant.Wait(ctx, rt.Client(), run); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(len(runs), "answers")
	// Output: 3 answers
}
