package cli

import (
	"context"
	"errors"
	"os"
	"os/user"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/scenario"
)

// Where decisions come from, in the record.
const (
	fromCommand  = "cli"      // approve and reject
	fromTerminal = "terminal" // asked in place
)

// people decide for a run that this process stays with: the person at the
// terminal, or else whom the scenario declares.
type people struct {
	app      *app
	scenario *scenario.Scenario // nil: none
	progress *progress
	asker    *asker // nil: nobody sits at a terminal
}

func newPeople(a *app, sc *scenario.Scenario, p *progress) *people {
	ps := &people{app: a, progress: p}
	if a.hold {
		return ps
	}
	ps.scenario = sc
	if a.term.isTerm && isTerminal(a.in) {
		ps.asker = newAsker(a.in, a.term)
	}
	return ps
}

// Decide asks whoever is there.
func (ps *people) Decide(ctx context.Context, a agents.Approval) (agents.Decision, bool, error) {
	if ps.asker != nil {
		return ps.asker.ask(ctx, a)
	}
	if ps.scenario == nil {
		return agents.Decision{}, false, nil
	}
	d, ok := ps.scenario.Declared(a)
	return d, ok, nil
}

// Undecided says how a request that stays in the inbox can be decided.
func (ps *people) Undecided(a agents.Approval) {
	t := ps.app.term
	t.printf("\nwaiting for a person: %s\n", question(a))
	if a.Arguments != "" {
		t.printf("  arguments: %s\n", oneLine(a.Arguments, 400))
	}
	t.printf("  approve:   %s\n", ps.app.typed("approve", a.ID))
	t.printf("  reject:    %s\n\n", ps.app.typed("reject", a.ID))
}

// Outcome says what became of a decision.
func (ps *people) Outcome(a agents.Approval, d agents.Decision, err error) {
	verb := "approved"
	if !d.Approve {
		verb = "rejected"
	}
	switch {
	case err != nil && errors.Is(err, agents.ErrNotCounted) && a.Status != agents.Waiting:
		ps.progress.note("decided elsewhere meanwhile: " + string(a.Status))
		return
	case err != nil:
		ps.progress.note(err.Error())
		return
	case d.Arguments != "":
		verb += " with other arguments"
	}
	ps.progress.decidedHere(a.ID)
	by := "by " + d.By
	if d.From == fromScenario {
		by += ", as the scenario declares"
	}
	ps.progress.note(verb + " " + by)
}

// fromScenario is where declared decisions come from, see scenario.Declared.
const fromScenario = "scenario"

// question is what a request asks, in a line.
func question(a agents.Approval) string { return oneLine(scenario.Question(a), 400) }

// userName is who decides: the user of the operating system.
func userName() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	if name := os.Getenv("USER"); name != "" {
		return name
	}
	return "somebody"
}
