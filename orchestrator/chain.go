package orchestrator

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
)

// RunChain gives the input to the first agent, what it says to the second, and so
// on. The outcome's text is the last one's. The first agent that fails ends the
// chain: the error is that agent's, and the outcome has what was found before it.
func RunChain(ctx *durable.Context, team Team, input any) (Outcome, error) {
	text, err := plainText(input)
	if err != nil {
		return Outcome{}, err
	}
	var out Outcome
	for i, a := range team {
		f := Finding{Task: Task{Agent: a.Name(), Text: text}}
		f.Result, err = a.Call(ctx, text)
		if err != nil {
			f.Error = err.Error()
			out.Findings = append(out.Findings, f)
			return out, fmt.Errorf("chain: agent %d of %d: %w", i+1, len(team), err)
		}
		text = f.Result.Text
		out.Findings = append(out.Findings, f)
		out.Text = text
	}
	return out, nil
}

// Chain is RunChain as an orchestration.
func Chain(name string, team Team) *durable.Orchestration[string, Outcome] {
	return durable.NewOrchestration(name, func(ctx *durable.Context, input string) (Outcome, error) {
		return RunChain(ctx, team, input)
	})
}
