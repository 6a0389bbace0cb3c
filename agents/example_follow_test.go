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

// A page shows a run, loses its connection, and goes on with the cursor.
func ExampleFollow() {
	assistant := agents.New(agents.Config{Name: "assistant", Model: "script"})
	script := scripted.New(scripted.Entry{Text: "Take an umbrella."})
	ctx := context.Background()
	rt, err := agents.Open(ctx, "memory:", agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, durable.Options{}, []*agents.Agent{assistant})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	run, err := assistant.Schedule(ctx, rt.Client(), "Will it rain?")
	if err != nil {
		log.Fatal(err)
	}

	var cursor agents.Cursor
	text := ""
	show := func(ev agents.Event) {
		switch ev.Kind {
		case agents.EventDelta:
			text += ev.Text
		case agents.EventSuperseded:
			text = ""
		case agents.EventAnswer:
			if ev.Error == "" {
				text += ev.Text[ev.Offset:]
			}
		}
		cursor = ev.Cursor
	}
	for ev, err := range agents.Follow(ctx, rt.Client(), run, cursor) {
		if err != nil {
			log.Fatal(err)
		}
		show(ev)
		if ev.Kind == agents.EventTurn {
			break // the connection is lost
		}
	}
	for ev, err := range agents.Follow(ctx, rt.Client(), run, cursor) {
		if err != nil {
			log.Fatal(err)
		}
		show(ev)
	}
	fmt.Println(text)
	// Output: Take an umbrella.
}
