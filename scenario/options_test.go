package scenario_test

import (
	"context"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
)

// TestProgramOptions has a program's prices, quotas and hooks hold in a session.
func TestProgramOptions(t *testing.T) {
	s, err := scenario.Parse("s.yaml", []byte(`version: 1
name: s
team: {agent: a}
agents: [{name: a, model: m, instructions: Go.}]
input: Go.
script: {answers: [{text: Done., usage: {inputTokens: 3, outputTokens: 1}}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	var hooked []string
	p := &scenario.Program{
		Prices: models.Prices{"m": {Input: models.Dollar, Output: models.Dollar}},
		Quotas: map[string]agents.Quota{"m": {Requests: 10}},
		Hooks: agents.Hooks{BeforeModel: func(_ context.Context, q *models.Request) (*models.Response, error) {
			hooked = append(hooked, q.Agent)
			return nil, nil
		}},
	}
	session, err := p.Open(t.Context(), scenario.Options{Store: "memory:", Scenario: s, Latency: scripted.NoLatency})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := session.Start(ctx, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Client().Wait(ctx, id); err != nil {
		t.Fatal(err)
	}
	r, err := scenario.Inspect(ctx, session.Client(), id)
	if err != nil {
		t.Fatal(err)
	}
	if r.Cost != 4000 || r.Unpriced != 0 || r.Models["m"] != 1 {
		t.Errorf("cost %v, %d unpriced, models %v", r.Cost, r.Unpriced, r.Models)
	}
	if len(hooked) != 1 || hooked[0] != "a" {
		t.Errorf("the hook was called for %v", hooked)
	}
	if !manifestOf(t, session.Client(), "manifest:a").Quota {
		t.Error("the run knows of no quota")
	}
}
