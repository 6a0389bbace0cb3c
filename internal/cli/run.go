package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

type runFlags struct {
	id, input, program string
	live               bool
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run PATH",
		Short: "Start a run and stay with it",
		Long: `Start a run and stay with it.

PATH is a scenario file, or a directory with one (scenario.yaml). A directory with
a Go main package is a program of agents: it is built, and takes over from here
with the same arguments. Its scenario.yaml, if it has one, says what to do;
without one, the program's only agent is given --input.

Where a person must decide, a terminal is asked; without one the scenario's
decisions are taken, or the request waits in the inbox and the exit code is 6.`,
		Example: `  agentrun run examples/incident
  agentrun run scenario.yaml --id first -o json
  agentrun run examples/hello --input "What is the weather in Oslo?" --live`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 && a.ownsDefinitions() {
				return nil
			}
			return exactly("the PATH of a scenario or program")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			path := ""
			if len(args) > 0 {
				path = args[0]
			}
			return a.run(c.Context(), path, f)
		},
	}
	c.Flags().StringVar(&f.id, "id", "", "`ID` of the run; by default one is made")
	c.Flags().StringVar(&f.input, "input", "", "`TEXT` to give in place of the scenario's input")
	c.Flags().BoolVar(&f.live, "live", false, "ask real models, which may cost money")
	c.Flags().StringVar(&f.program, "program", "", "`DIR` of the Go program that runs PATH")
	a.holdFlag(c)
	return c
}

func (a *app) run(ctx context.Context, path string, f runFlags) error {
	if !a.ownsDefinitions() {
		if dir := programFor(path, f.program); dir != "" {
			return a.become(ctx, dir)
		}
	}
	sc, err := a.load(path)
	if err != nil {
		return err
	}
	tags, err := a.tags(sc, f.live)
	if err != nil {
		return err
	}
	s, err := a.open(ctx, scenario.Options{Scenario: sc, Live: f.live, Tags: tags})
	if err != nil {
		return a.hint(err, path, f)
	}
	return a.with(s, func() error {
		id, err := start(ctx, s, sc, f, tags)
		if err != nil {
			return a.startError(err, f.id)
		}
		a.begins(id, sc, f.live)
		return a.follow(ctx, s, sc, id)
	})
}

// programFor is the directory of the program that runs what is at path; "" for
// none.
func programFor(path, flag string) string {
	if flag != "" {
		return flag
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() && isProgram(path) {
		return path
	}
	return ""
}

// start makes an id that people can tell from others, unless one was given.
func start(ctx context.Context, s *scenario.Session, sc *scenario.Scenario, f runFlags, tags map[string]string) (string, error) {
	if f.id != "" {
		return s.Start(ctx, f.id, f.input, tags)
	}
	for {
		id, err := s.Start(ctx, sc.Name+"-"+strings.ToLower(rand.Text()[:6]), f.input, tags)
		if !errors.Is(err, durable.ErrExists) {
			return id, err
		}
	}
}

func (a *app) startError(err error, id string) error {
	if errors.Is(err, durable.ErrExists) {
		return usagef("there is a run %s already; go on with it: %s", id, a.typed("resume", id))
	}
	if errors.Is(err, scenario.ErrNoInput) {
		return usage(err)
	}
	return err
}

// hint says of names that a scenario does not find that its program may have them.
func (a *app) hint(err error, path string, f runFlags) error {
	var wrong *scenario.Error
	dir := filepath.Dir(path)
	if errors.As(err, &wrong) && !a.ownsDefinitions() && f.program == "" && isProgram(dir) {
		a.term.printf("agentrun: if the program in %s has them, run that: %s\n", dir, a.typed("run", path, "--program", dir))
	}
	return err
}

// tags are what a run remembers of how it was started.
func (a *app) tags(sc *scenario.Scenario, live bool) (map[string]string, error) {
	tags := map[string]string{}
	set := func(tag, path string) (err error) {
		if path != "" {
			tags[tag], err = portable(path)
		}
		return err
	}
	if live {
		tags[scenario.TagLive] = "true"
	}
	file := sc.Path()
	if implicit(sc) {
		file = ""
	}
	return tags, errors.Join(set(scenario.TagScenario, file), set(scenario.TagProgram, a.dir))
}
