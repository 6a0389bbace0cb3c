package agents_test

import (
	"context"
	"errors"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestErrorsOfRuns: callers tell why a run failed by errors.Is, whoever they are.
func TestErrorsOfRuns(t *testing.T) {
	look := tools.New("look", "", func(context.Context, struct{}) (string, error) { return "seen", nil }, tools.Pure())
	for _, c := range []struct {
		name   string
		config agents.Config
		input  string
		want   error
	}{
		{"turns", agents.Config{MaxTurns: 1, Tools: []tools.Tool{look}}, "go", agents.ErrMaxTurns},
		{"blocked", agents.Config{Guardrails: []agents.Guardrail{byWord(agents.OnInput)}}, "a bomb", agents.ErrBlocked},
		{"blocked beside", agents.Config{Guardrails: []agents.Guardrail{{Name: "g", On: agents.OnInput, Beside: true, Check: byWord(agents.OnInput).Check}}}, "a bomb", agents.ErrBlocked},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			c.config.Name, c.config.Model = "a", "m"
			a := agents.New(c.config)
			m := turns(answer("", "", models.ToolCall{ID: "1", Name: "look"}))
			var inside error
			caller := durable.NewOrchestration("caller", func(ctx *durable.Context, in string) (string, error) {
				_, inside = a.Call(ctx, in)
				return "", inside
			})
			rt, err := durable.OpenStore(ctx, memory.New(), durable.Options{}, agents.Define(agents.Options{Models: only(m)}, a), caller)
			if err != nil {
				t.Fatal(err)
			}
			defer rt.Close()
			id, err := a.Schedule(ctx, rt.Client(), c.input)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, rt.Client(), id); !errors.Is(err, c.want) {
				t.Errorf("Wait: %v", err)
			}
			if _, err := caller.Run(ctx, rt.Client(), c.input); !errors.Is(err, c.want) || !errors.Is(inside, c.want) {
				t.Errorf("Call: %v, Run: %v", inside, err)
			}
		})
	}
}
