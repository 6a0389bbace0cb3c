package orchestrator_test

import (
	"context"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

var (
	planner = agents.New(agents.Config{Name: "planner", Model: "m", Instructions: "You plan."})
	logs    = member("logs", "Searches the logs.")
	metrics = member("metrics", "Queries the metrics.")
	writer  = member("writer", "")
	crew    = orchestrator.Team{logs, metrics, writer}
)

// member is an agent whose failures are final, so that no test waits.
func member(name, description string) *agents.Agent {
	return agents.New(agents.Config{Name: name, Description: description, Model: "m", Retry: &durable.RetryPolicy{}})
}

// define is what a runtime needs for the crew and some orchestrations, with one
// model for all.
func define(m models.Model, defs ...durable.Definition) durable.Definition {
	all := append([]*agents.Agent{planner}, crew...)
	agentsDef := agents.Define(agents.Options{Models: func(context.Context, string) (models.Model, error) { return m, nil }}, all...)
	return durable.Bundle(append(defs, agentsDef)...)
}

// open runs definitions on a store.
func open(t *testing.T, s *memory.Store, o durable.Options, defs ...durable.Definition) *durable.Runtime {
	t.Helper()
	rt, err := durable.OpenStore(t.Context(), s, o, defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}

// run runs an orchestration with a model to its end.
func run[Out any](t *testing.T, m models.Model, o *durable.Orchestration[string, Out], in string) (Out, error) {
	t.Helper()
	rt := open(t, memory.New(), durable.Options{}, define(m, o))
	return o.Run(t.Context(), rt.Client(), in)
}

// plan is a planner's turn in a script.
func plan(turn int, steps ...orchestrator.Step) scripted.Entry {
	return scripted.Entry{Agent: "planner", Turn: turn, Output: orchestrator.Plan{Steps: append([]orchestrator.Step{}, steps...)}}
}

// says is an agent's answer in a script whenever the user's message has a text.
func says(agent, when, text string) scripted.Entry {
	return scripted.Entry{Agent: agent, When: scripted.When{User: when}, Text: text}
}

// fails is an agent's failure likewise.
func fails(agent, when string) scripted.Entry {
	return scripted.Entry{Agent: agent, When: scripted.When{User: when}, Error: &scripted.Failure{Kind: models.KindQuota, Message: "no credit"}}
}

func step(id, agent, task string, after ...string) orchestrator.Step {
	return orchestrator.Step{ID: id, Agent: agent, Task: task, DependsOn: after}
}
