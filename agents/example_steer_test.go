package agents_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

// A person adds something while the model writes: the run goes on because of it.
func ExampleSay() {
	writing, said := make(chan struct{}), make(chan struct{})
	writer := agents.New(agents.Config{Name: "writer", Model: "script", Hooks: agents.Hooks{
		AfterModel: func(_ context.Context, req *models.Request, _ *models.Response) error {
			if len(req.Messages) == 1 { // the first turn takes a while
				close(writing)
				<-said
			}
			return nil
		},
	}})
	script := scripted.New(
		scripted.Entry{When: scripted.When{User: "poem"}, Text: "The sea is wide."},
		scripted.Entry{When: scripted.When{User: "rhyme"}, Text: "The sea is wide, it has a tide."},
	)
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, writer))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := writer.Schedule(ctx, rt.Client(), "Write a poem.")
	if err != nil {
		log.Fatal(err)
	}

	<-writing
	if err := agents.Say(ctx, rt.Client(), run, "It should rhyme."); err != nil {
		log.Fatal(err)
	}
	close(said)

	got, err := writer.Wait(ctx, rt.Client(), run)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Text)
	fmt.Println(got.Turns, "turns")
	// Output:
	// The sea is wide, it has a tide.
	// 2 turns
}
