package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) checkCommand() *cobra.Command {
	var program string
	c := &cobra.Command{
		Use:   "check",
		Short: "Tell which unfinished runs today's code cannot go on with",
		Long: `Run today's code through the history of every unfinished run, without any model or
tool, and list those that it takes other steps in than were recorded, or has no
code for, and runs of agents that would fail: they keep to tools, guardrails or
functions that are gone, or must not go on with an agent that has changed. The
exit code is 3 if there are some.`,
		Args: exactly(),
		RunE: func(c *cobra.Command, _ []string) error { return a.check(c.Context(), program) },
	}
	c.Flags().StringVar(&program, "program", "", "`DIR` of the program, in place of the one that the runs remember")
	return c
}

var unfinishedRuns = durable.Query{Statuses: []history.Status{history.Running, history.Pending, history.Suspended}}

// unfinished is what the unfinished instances of a store say of where their code is.
type unfinished struct {
	programs  []string // directories
	scenarios []string // files; "" for none
}

func findUnfinished(ctx context.Context, c *durable.Client) (*unfinished, error) {
	u := &unfinished{}
	for s, err := range c.Query(ctx, unfinishedRuns) {
		if err != nil {
			return nil, err
		}
		file, err := localTag(s.Tags[scenario.TagScenario])
		if err != nil {
			return nil, err
		}
		program, err := localTag(s.Tags[scenario.TagProgram])
		if err != nil {
			return nil, err
		}
		if !slices.Contains(u.scenarios, file) {
			u.scenarios = append(u.scenarios, file)
		}
		if program != "" && !slices.Contains(u.programs, program) {
			u.programs = append(u.programs, program)
		}
	}
	return u, nil
}

// checked is a part of a run that cannot go on.
type checked struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	Problem string `json:"problem"`
}

func (a *app) check(ctx context.Context, program string) error {
	var found []checked
	var u *unfinished
	err := a.again(ctx, func(c *durable.Client) (err error) {
		if u, err = findUnfinished(ctx, c); err != nil || a.anotherProgram(u, program) {
			return err
		}
		found, err = a.broken(ctx, c, u.scenarios)
		return err
	})
	switch {
	case err != nil:
		return err
	case a.anotherProgram(u, program) && program != "":
		return a.become(ctx, program)
	case a.anotherProgram(u, program) && len(u.programs) > 1:
		return usagef("the unfinished runs are of %d programs; say which one to check with --program DIR", len(u.programs))
	case a.anotherProgram(u, program):
		return a.become(ctx, u.programs[0])
	case len(found) == 0 && a.format == formatTable:
		a.term.printf("every unfinished run in %s can go on\n", a.store)
		return nil
	}
	if err := a.printChecked(found); err != nil || len(found) == 0 {
		return err
	}
	return ended(exitDiverged)
}

// printChecked prints a line for each, whole: a table would cut the problems.
func (a *app) printChecked(found []checked) error {
	if a.format != formatTable {
		return printList(a, found, nil, nil)
	}
	for _, c := range found {
		name := c.Name
		if c.Version != "" {
			name += " " + c.Version
		}
		if err := a.printText(fmt.Sprintf("%s (%s): %s", c.ID, name, c.Problem)); err != nil {
			return err
		}
	}
	return nil
}

// anotherProgram reports whether the code of the runs is in a program that this
// process is not.
func (a *app) anotherProgram(u *unfinished, program string) bool {
	return !a.ownsDefinitions() && (program != "" || len(u.programs) > 0)
}

// broken replays what is unfinished, each instance with the scenario that its run is
// of.
func (a *app) broken(ctx context.Context, c *durable.Client, scenarios []string) (found []checked, err error) {
	for _, file := range scenarios {
		var sc *scenario.Scenario
		if file != "" {
			if sc, err = scenario.Load(file); err != nil {
				return nil, usage(err)
			}
		}
		defs, err := a.program.Define(sc)
		if err != nil {
			return nil, usage(err)
		}
		for b, err := range durable.ReplayOpen(ctx, c, defs) {
			if err != nil {
				return nil, err
			}
			if own, err := localTag(b.Tags[scenario.TagScenario]); err != nil || own != file {
				continue // another round's
			}
			found = append(found, checked{b.ID, b.Name, b.Version, b.Err.Error()})
		}
		lost, err := brokenAgents(ctx, c, file, defs, found)
		if err != nil {
			return nil, err
		}
		found = append(found, lost...)
	}
	return found, nil
}

// brokenAgents finds the runs of agents that today's agents do not go on with, beside
// those that were found otherwise.
func brokenAgents(ctx context.Context, c *durable.Client, file string, defs durable.Definition, but []checked) (found []checked, err error) {
	notes, err := durable.Annotations(defs)
	if err != nil {
		return nil, err
	}
	for s, err := range c.Query(ctx, unfinishedRuns) {
		if err != nil {
			return nil, err
		}
		a, ok := notes[s.Name].(*agents.Agent)
		own, failed := localTag(s.Tags[scenario.TagScenario])
		if !ok || failed != nil || own != file || slices.ContainsFunc(but, func(x checked) bool { return x.ID == s.ID }) {
			continue
		}
		m, ok, err := agents.RunManifest(ctx, c, s.ID)
		if err != nil && !durable.IsNotFound(err) { // it may be purged meanwhile
			return nil, fmt.Errorf("run %s: %w", s.ID, err)
		}
		if why := a.Broken(m); ok && why != "" {
			found = append(found, checked{s.ID, s.Name, s.Version, why})
		}
	}
	return found, nil
}
