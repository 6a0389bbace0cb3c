package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// greeter is an orchestration by hand: it calls an activity in its first turn and
// ends in the next. It is given the past only when this executor has not seen it.
type greeter struct{ answer *history.Event }

func (g *greeter) Turn(t *engine.Turn) {
	begun := false
	look := func(ev *history.Event) {
		begun = begun || ev.Kind == history.ExecutionStarted
		if ev.Kind == history.TaskCompleted {
			g.answer = ev
		}
	}
	for _, ev := range t.New {
		look(ev)
	}
	switch {
	case g.answer != nil:
		t.Actions = []*history.Event{{Kind: history.ExecutionCompleted, ID: 1, Status: history.Completed, Data: g.answer.Data}}
	case begun:
		t.Actions = []*history.Event{{Kind: history.TaskScheduled, ID: 0, Name: "greet", Data: history.Payload("Oslo")}}
	}
}

func (g *greeter) Close() {}

// The engine runs anything that turns events into actions; package durable gives it
// Go functions.
func Example() {
	ctx := context.Background()
	e, err := engine.Open(ctx, memory.New(), engine.Definitions{
		Orchestrations: []engine.Orchestration{{Name: "greeter", New: func() engine.Executor { return &greeter{} }}},
		Activities: []engine.Activity{{Name: "greet", Run: func(_ context.Context, c *engine.Call) engine.Outcome {
			return engine.Outcome{Result: append(history.Payload("Hello "), c.Input...)}
		}}},
	}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer e.Close()
	id, err := e.Start(ctx, engine.Start{Name: "greeter"})
	if err != nil {
		log.Fatal(err)
	}
	s, err := e.Wait(ctx, id)
	fmt.Println(s.Status, string(s.Output), err)
	for ev := range e.History(ctx, id, "") {
		fmt.Println(ev.Kind, ev.ID)
	}
	// Output:
	// completed Hello Oslo <nil>
	// OrchestratorStarted -1
	// ExecutionStarted -1
	// TaskScheduled 0
	// OrchestratorStarted -1
	// TaskCompleted -1
	// ExecutionCompleted 1
}
