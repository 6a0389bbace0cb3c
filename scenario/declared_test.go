package scenario_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/scenario"
)

// A decision about calls of a tool says nothing about whether one that was cut off
// took effect: that takes a decision that names the question.
func TestDeclaredOutcome(t *testing.T) {
	const head = "version: 1\nname: n\nagents: [{name: a, model: m, instructions: i}]\nteam: {agent: a}\ndecisions:\n"
	request := func(k agents.Kind, question string) agents.Approval {
		return agents.Approval{Request: agents.Request{Kind: k, Tool: "pay", Agent: "a", Question: question}}
	}
	for _, c := range []struct {
		name, decisions string
		ask             agents.Approval
		ok, approve     bool
	}{
		{"call", "  - {tool: pay, decide: approve}\n", request(agents.KindTool, "Pay?"), true, true},
		{"outcome", "  - {tool: pay, decide: approve}\n", request(agents.KindOutcome, "Did pay take effect?"), false, false},
		{"outcome, named", "  - {tool: pay, decide: approve}\n  - {question: take effect, decide: reject}\n",
			request(agents.KindOutcome, "Did pay take effect?"), true, false},
		{"wait", "  - {tool: pay, decide: wait}\n  - {agent: a, decide: approve}\n", request(agents.KindTool, "Pay?"), false, false},
	} {
		s, err := scenario.Parse("n.yaml", []byte(head+c.decisions))
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := s.Declared(c.ask); ok != c.ok || d.Approve != c.approve {
			t.Errorf("%s: %+v, %v", c.name, d, ok)
		}
	}
}
