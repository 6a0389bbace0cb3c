package scenario

import (
	"fmt"
	"slices"
	"strings"
)

// Names are what a program has for scenarios, by name.
type Names struct {
	Tools, Agents, Orchestrations []string
}

// Check reports what a scenario needs and a program does not have, and agents that both have, as an
// [*Error] like those of [Parse]. It does not look at what the program's own agents use.
func (s *Scenario) Check(have Names) error {
	p := &problems{file: s.path}
	at := func(path ...any) position { return s.places.find(path...).position }
	agents := slices.Clone(have.Agents)
	for i, a := range s.Agents {
		if slices.Contains(have.Agents, a.Name) {
			p.add(at("agents", i, "name"), "the program has an agent %s too; rename this one, or remove it to use the program's", quote(a.Name))
		}
		agents = append(agents, a.Name)
		for j, tool := range a.Tools {
			if !slices.Contains(have.Tools, tool) {
				p.add(at("agents", i, "tools", j), "unknown tool %s; %s", quote(tool), choice("tools", have.Tools))
			}
		}
	}
	agent := func(name string, path ...any) {
		if name != "" && !slices.Contains(agents, name) {
			p.add(at(path...), "unknown agent %s; %s", quote(name), choice("agents", agents))
		}
	}
	t := s.Team
	agent(t.Agent, "team", "agent")
	if t.Orchestration != "" && !slices.Contains(have.Orchestrations, t.Orchestration) {
		p.add(at("team", "orchestration"), "unknown orchestration %s; %s", quote(t.Orchestration), choice("orchestrations", have.Orchestrations))
	}
	if t.Planner != nil {
		agent(t.Planner.Agent, "team", "planner", "agent")
		for i, name := range t.Planner.Specialists {
			agent(name, "team", "planner", "specialists", i)
		}
	}
	if t.Specialists != nil {
		for i, name := range t.Specialists.Agents {
			agent(name, "team", "specialists", "agents", i)
		}
	}
	return p.err()
}

// choice lists what there is.
func choice(what string, names []string) string {
	if len(names) == 0 {
		return fmt.Sprintf("there are no %s", what)
	}
	return fmt.Sprintf("there are %s", clip(slices.Sorted(slices.Values(names)), 30))
}

// clip lists names, as long as there are not too many.
func clip(names []string, limit int) string {
	if more := len(names) - limit; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:limit], ", "), more)
	}
	return strings.Join(names, ", ")
}
