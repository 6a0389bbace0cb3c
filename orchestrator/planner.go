package orchestrator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// PlanOptions tune a planner; the zero value works.
type PlanOptions struct {
	// MaxSteps bounds the steps of each plan. 0: 32.
	MaxSteps int
	// MaxRepairs bounds how often a plan that cannot be carried out goes back to
	// the planner. 0: twice; negative: never.
	MaxRepairs int
	// MaxRevisions bounds how often the planner may go on with another plan when
	// steps have failed. 0: once; negative: never.
	MaxRevisions int
	// Limit bounds how many steps run at once. 0: no limit.
	Limit int
}

// withDefaults puts numbers in the place of those that stand for something.
func (o PlanOptions) withDefaults() PlanOptions {
	or := func(n *int, zero int) {
		if *n == 0 {
			*n = zero
		}
		*n = max(*n, 0)
	}
	or(&o.MaxSteps, 32)
	or(&o.MaxRepairs, 2)
	or(&o.MaxRevisions, 1)
	or(&o.Limit, 0)
	return o
}

// PlanAndRun asks a planner for a [Plan] that solves the input's task with the team,
// and carries it out.
//
// The planner is told the names and descriptions of the team and answers with a plan,
// whatever structured output it has else. One that cannot be carried out (a circle, an
// unknown specialist, an id twice, a dependency that is no step, too many steps) goes
// back with what is wrong. Each step starts as soon as those that it depends on have
// results, and is told its task and their findings. A step that fails is reported, as
// are those that depend on it, which are not begun; the others go on. Then the planner
// may revise: its next plan adds steps, or replaces those without a result by using
// their ids; one without steps leaves it at what there is.
//
// The outcome has every step in the order of the plans, also those without a result:
// see [Outcome.Err]. An error says that the planner failed or that its plan stayed
// wrong; if that happened at a revision, the outcome has what was found before.
func PlanAndRun(ctx *durable.Context, planner *agents.Agent, team Team, input any, o PlanOptions) (Outcome, error) {
	text, err := plainText(input)
	if err != nil {
		return Outcome{}, err
	}
	p := &planning{ctx: ctx, planner: planner, team: team, o: o.withDefaults(), conversation: ctx.NewGUID()}
	ask := p.request(text)
	for revisions := 0; ; revisions++ {
		plan, err := p.ask(ask)
		if err != nil {
			return newOutcome(p.found), err
		}
		p.run(plan)
		if p.complete() || len(plan.Steps) == 0 || revisions == p.o.MaxRevisions {
			return newOutcome(p.found), nil
		}
		ask = p.revision()
	}
}

// Planner is PlanAndRun as an orchestration. It fails also if no step had a result.
func Planner(name string, planner *agents.Agent, team Team, o PlanOptions) *durable.Orchestration[string, Outcome] {
	return durable.NewOrchestration(name, func(ctx *durable.Context, input string) (Outcome, error) {
		out, err := PlanAndRun(ctx, planner, team, input, o)
		if err != nil {
			return out, err
		}
		return out, out.Err()
	})
}

// planning is one PlanAndRun.
type planning struct {
	ctx     *durable.Context
	planner *agents.Agent
	team    Team
	o       PlanOptions
	// conversation is the planner's: it knows its earlier plans when it corrects
	// or revises them.
	conversation string
	found        []Finding
}

// ask gets a plan that can be carried out.
func (p *planning) ask(text string) (Plan, error) {
	for repairs := 0; ; repairs++ {
		r, err := p.planner.Call(p.ctx, text, agents.InConversation(p.conversation), agents.WithOutput(planOutput))
		if err != nil {
			return Plan{}, fmt.Errorf("planner %s: %w", p.planner.Name(), err)
		}
		plan, err := agents.Decode[Plan](r)
		if err != nil {
			return Plan{}, fmt.Errorf("planner %s: %w", p.planner.Name(), err)
		}
		problems := rules{p.team, p.o.MaxSteps, p.found}.check(plan)
		if len(problems) == 0 {
			return plan, nil
		}
		if repairs == p.o.MaxRepairs {
			return Plan{}, fmt.Errorf("planner %s: after %d corrections its plan still cannot be carried out: %s",
				p.planner.Name(), repairs, strings.Join(problems, "; "))
		}
		text = "The plan cannot be carried out:\n- " + strings.Join(problems, "\n- ") + "\n\nGive the whole plan again, corrected."
	}
}

// planOutput is the structured output that planners are asked for.
var planOutput = agents.OutputOf[Plan]()

// run carries out a plan that was checked, and takes its findings.
func (p *planning) run(plan Plan) {
	jobs := make([]*job, len(plan.Steps))
	for i, s := range plan.Steps {
		jobs[i] = &job{agent: p.team.agent(s.Agent), finding: Finding{Task: Task{ID: s.ID, Agent: s.Agent, Text: s.Task}}}
	}
	for i, s := range plan.Steps {
		var before []func() Finding // what the step is told of
		for k, d := range s.DependsOn {
			if slices.Index(s.DependsOn, d) < k {
				continue
			}
			if n := plan.index(d); n >= 0 {
				jobs[i].after = append(jobs[i].after, jobs[n])
				before = append(before, func() Finding { return jobs[n].finding })
			} else {
				f := p.found[p.index(d)]
				before = append(before, func() Finding { return f })
			}
		}
		jobs[i].input = func() string { return stepInput(s.Task, before) }
	}
	schedule(p.ctx, jobs, p.o.Limit)
	for _, j := range jobs {
		if i := p.index(j.finding.ID); i >= 0 {
			p.found[i] = j.finding
		} else {
			p.found = append(p.found, j.finding)
		}
	}
}

// index finds a finding by the id of its step; -1 if there is none.
func (p *planning) index(id string) int {
	return slices.IndexFunc(p.found, func(f Finding) bool { return f.ID == id })
}

// complete reports whether every step has a result.
func (p *planning) complete() bool {
	return !slices.ContainsFunc(p.found, func(f Finding) bool { return !f.Done() })
}

// stepInput is what a specialist is told.
func stepInput(task string, before []func() Finding) string {
	if len(before) == 0 {
		return task
	}
	parts := []string{task, "What was found before:"}
	for _, f := range before {
		parts = append(parts, f().Markdown())
	}
	return strings.Join(parts, "\n\n")
}

// request is what the planner is told first.
func (p *planning) request(task string) string {
	var b strings.Builder
	b.WriteString("Make a plan for this task:\n\n" + task + "\n\nThe steps of the plan are carried out by these specialists:\n")
	for _, a := range p.team {
		b.WriteString("- " + a.Name())
		if d := a.Description(); d != "" {
			b.WriteString(": " + d)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, `
Give each step an id, the specialist (agent) and its task. A specialist sees only the task and the findings of the
steps that its step depends on (dependsOn), so say in the task all that it must know. Steps that do not depend on each
other run at the same time. At most %d steps.`, p.o.MaxSteps)
	return b.String()
}

// revision is what the planner is told when steps have failed.
func (p *planning) revision() string {
	return `Some steps of the plan have no result. This is what there is now:

` + newOutcome(p.found).Text + `

Go on with another plan: only the steps that are to be done now. A step that has no result is replaced by one with its
id. New steps may depend on those that are done. If nothing more can be done, give a plan without steps.`
}
