package orchestrator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

// Plan is what a planner answers: steps, in any order.
type Plan struct {
	Steps []Step `json:"steps" jsonschema:"description=The steps; they run side by side unless they depend on each other"`
}

// Step is one task of a plan.
type Step struct {
	ID    string `json:"id" jsonschema:"description=A short name of the step which no other step has"`
	Agent string `json:"agent" jsonschema:"description=The specialist who does it"`
	Task  string `json:"task" jsonschema:"description=What the specialist is told; it sees nothing else but the findings of the steps in dependsOn"`
	// DependsOn are the ids of steps whose findings this one needs.
	DependsOn []string `json:"dependsOn,omitempty" jsonschema:"description=Ids of steps that must be done before"`
	// Why is for the people who read the plan.
	Why string `json:"why,omitempty" jsonschema:"description=Why this step is needed in one sentence"`
}

// maxProblems bounds how many problems of one plan are listed.
const maxProblems = 10

// rules are what a plan is checked against.
type rules struct {
	team     Team
	maxSteps int
	// found are the findings so far: steps with a result are done, those without
	// may be replaced.
	found []Finding
}

// check lists what is wrong with a plan, in the order of its steps, for the planner
// to correct. A plan without steps is one that leaves it at what there is, so it is
// wrong only where there is nothing.
func (r rules) check(p Plan) []string {
	var problems []string
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	switch n := len(p.Steps); {
	case n == 0 && len(r.found) == 0:
		add("it has no steps")
	case n > r.maxSteps:
		add("it has %d steps; at most %d are allowed", n, r.maxSteps)
		return problems
	}
	for i, s := range p.Steps {
		id := models.OneLine(s.ID, shown)
		switch {
		case strings.TrimSpace(s.ID) == "":
			add("step %d has no id", i+1)
		case p.index(s.ID) != i:
			add("two steps have the id %q", id)
		case r.done(s.ID):
			add("step %q is done already: leave it out; others may depend on it", id)
		}
		if r.team.agent(s.Agent) == nil {
			add("step %q: %s", id, r.team.unknown(s.Agent))
		}
		if strings.TrimSpace(s.Task) == "" {
			add("step %q has no task", id)
		}
		for _, d := range s.DependsOn {
			if p.index(d) < 0 && !r.done(d) {
				add("step %q depends on %q, which is neither a step of the plan nor done", id, models.OneLine(d, shown))
			}
		}
	}
	if c := p.cycle(); c != nil {
		add("steps depend on each other in a circle: %s", models.OneLine(strings.Join(c, " → "), 1000))
	}
	if n := len(problems); n > maxProblems {
		problems = append(problems[:maxProblems], fmt.Sprintf("and %d more problems", n-maxProblems))
	}
	return problems
}

// done reports whether a step of an earlier plan has a result.
func (r rules) done(id string) bool {
	return slices.ContainsFunc(r.found, func(f Finding) bool { return f.ID == id && f.Done() })
}

// index finds a step by id; -1 if there is none.
func (p Plan) index(id string) int {
	return slices.IndexFunc(p.Steps, func(s Step) bool { return s.ID == id })
}

// cycle gives the ids along the first circle of dependencies, its first id also
// last; nil if there is none.
func (p Plan) cycle() []string {
	const open, closed = 1, 2
	state := make([]int, len(p.Steps))
	var path []string
	var visit func(i int) bool
	visit = func(i int) bool {
		id := p.Steps[i].ID
		path = append(path, id)
		if state[i] == open {
			path = path[slices.Index(path, id):]
			return true
		}
		if state[i] == 0 {
			state[i] = open
			for _, d := range p.Steps[i].DependsOn {
				if k := p.index(d); k >= 0 && visit(k) {
					return true
				}
			}
			state[i] = closed
		}
		path = path[:len(path)-1]
		return false
	}
	for i := range p.Steps {
		if visit(i) {
			return path
		}
	}
	return nil
}
