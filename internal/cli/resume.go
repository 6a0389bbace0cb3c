package cli

import (
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) resumeCommand() *cobra.Command {
	var program string
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "Go on with a run where it stopped",
		Long: `Go on with a run where it stopped, with the program, the scenario and the models
that it was started with. Of a run that has ended, print the result again.`,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error { return a.resume(c.Context(), args[0], program) },
	}
	c.Flags().StringVar(&program, "program", "", "`DIR` of the run's program, in place of the one it remembers")
	a.holdFlag(c)
	return c
}

// remembered is what a run says of how it was started.
type remembered struct {
	name    string // of the orchestration
	file    string // of the scenario; "": none
	program string // its directory; "": none
	live    bool
	tags    map[string]string
	ended   bool
	paused  bool
	report  *scenario.Report // as it was found
}

func (a *app) resume(ctx context.Context, id, program string) error {
	return a.goOnWith(ctx, id, program, nil)
}

// goOnWith goes on with a run. One that has ended goes on only if first is there, which
// is called before the run is followed.
func (a *app) goOnWith(ctx context.Context, id, program string, first func(context.Context, *scenario.Session) error) error {
	var r *remembered
	err := a.again(ctx, func(c *durable.Client) (err error) {
		r, err = remember(ctx, c, id)
		return err
	})
	if err != nil {
		return a.runError(err, id)
	}
	if r.ended && first == nil {
		return a.conclude(scenarioOf(r), r.report)
	}
	if program != "" {
		r.program = program
	}
	if !a.ownsDefinitions() && r.program != "" {
		return a.become(ctx, r.program)
	}
	var sc *scenario.Scenario
	if r.file != "" {
		if sc, err = scenario.Load(r.file); err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return setupf("the scenario %s of run %s is gone: put it back, or go to the directory that it is relative to", r.file, id)
			}
			return usage(err)
		}
	}
	return a.goOn(ctx, sc, id, r, first)
}

// goOn opens the store with what a run needs, and stays with it.
func (a *app) goOn(ctx context.Context, sc *scenario.Scenario, id string, r *remembered, first func(context.Context, *scenario.Session) error) error {
	s, err := a.open(ctx, scenario.Options{Scenario: sc, Live: r.live, Tags: r.tags, Resume: r.report})
	if err != nil {
		return err
	}
	return a.with(s, func() error {
		if !s.Runs(r.name) {
			return setupf("run %s is of %s, which this program does not define: resume it with the program that does, or give its directory with --program", id, r.name)
		}
		if first != nil {
			if err := first(ctx, s); err != nil {
				return err
			}
		}
		a.begins(id, sc, r.live)
		if r.paused {
			a.term.printf("it is paused, and goes on with: %s\n\n", a.typed("unpause", id))
		}
		return a.follow(ctx, s, sc, id)
	})
}

// remember reads a run's tags, and its report if it has ended.
func remember(ctx context.Context, c *durable.Client, id string) (*remembered, error) {
	st, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if st.Parent != "" {
		return nil, usagef("%s is a part of another run; see runs show %s", id, st.Parent)
	}
	r := &remembered{name: st.Name, ended: st.Status.Ended(), paused: scenario.ListedOf(st, 0).Status == scenario.Paused, live: st.Tags[scenario.TagLive] == "true", tags: st.Tags}
	if r.file, err = localTag(st.Tags[scenario.TagScenario]); err != nil {
		return nil, err
	}
	if r.program, err = localTag(st.Tags[scenario.TagProgram]); err != nil {
		return nil, err
	}
	r.report, err = scenario.Inspect(ctx, c, id)
	return r, err
}

func localTag(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return local(path)
}

// scenarioOf is the scenario of a run that has ended, whose expectations still say
// whether it went well; nil if it cannot be read any more.
func scenarioOf(r *remembered) *scenario.Scenario {
	if r.file == "" {
		return nil
	}
	sc, err := scenario.Load(r.file)
	if err != nil {
		return nil
	}
	return sc
}

// runError says of an unknown run what to do.
func (a *app) runError(err error, id string) error {
	if durable.IsNotFound(err) {
		return usagef("there is no run %s in %s; see %s", id, a.store, a.typed("runs", "list"))
	}
	return err
}
