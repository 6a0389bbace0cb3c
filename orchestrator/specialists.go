package orchestrator

import (
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
)

// FanOptions tune a fan-out; the zero value runs everything at once.
type FanOptions struct {
	// Limit bounds how many tasks run at once. 0: no limit.
	Limit int
}

// FanOut gives each task to its agent, side by side, waits for all, and gives their
// findings in the order of the tasks. An agent that fails does not sink the others:
// its finding has the error. FanOut itself fails, before anything starts, if a task
// is for an agent that is not in the team, or if the limit is negative.
func FanOut(ctx *durable.Context, team Team, tasks []Task, o FanOptions) ([]Finding, error) {
	if o.Limit < 0 {
		return nil, fmt.Errorf("fan-out: the limit is %d: it must not be negative", o.Limit)
	}
	jobs := make([]*job, len(tasks))
	for i, t := range tasks {
		a := team.agent(t.Agent)
		if a == nil {
			return nil, fmt.Errorf("fan-out: task %d: %s", i+1, team.unknown(t.Agent))
		}
		jobs[i] = &job{agent: a, finding: Finding{Task: t}, input: func() string { return t.Text }}
	}
	schedule(ctx, jobs, o.Limit)
	findings := make([]Finding, len(jobs))
	for i, j := range jobs {
		findings[i] = j.finding
	}
	return findings, nil
}

// Specialists is a fan-out as an orchestration: its input goes to every member, and
// the outcome has what each said. It fails if all of them did.
func Specialists(name string, team Team, o FanOptions) *durable.Orchestration[string, Outcome] {
	return durable.NewOrchestration(name, func(ctx *durable.Context, input string) (Outcome, error) {
		findings, err := FanOut(ctx, team, team.Tasks(input), o)
		if err != nil {
			return Outcome{}, err
		}
		out := newOutcome(findings)
		return out, out.Err()
	})
}
