package cli

import (
	"context"
	"errors"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) evalCommand() *cobra.Command {
	var strict bool
	var program string
	run := &cobra.Command{
		Use:   "run SUITE | run --strict RECORDING...",
		Short: "Run a suite, or replay recordings",
		Long: `Run the cases of a suite, or replay recordings: today's code must take the steps
that were recorded. No model and no tool is called by a replay.`,
		Example: `  agentrun runs export RUN --out testdata/run.json
  agentrun eval run --strict testdata/run.json`,
		Args: func(c *cobra.Command, args []string) error {
			switch {
			case strict && len(args) == 0:
				return usagef("eval run --strict needs RECORDING files")
			case strict:
				return nil
			}
			return exactly("a SUITE, or --strict and recordings")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			suite, own, err := suiteOf(args, strict)
			if err != nil {
				return err
			}
			if program != "" {
				own = program
			}
			return a.eval(c.Context(), suite, own)
		},
	}
	run.Flags().BoolVar(&strict, "strict", false, "the arguments are recordings to replay")
	run.Flags().StringVar(&program, "program", "", "`DIR` of the program, in place of the one that the suite or recording names")
	return a.group("eval", "Replay recordings and run suites", run)
}

// suiteOf reads a suite, or makes one of recordings, and gives the directory of the
// program that it is for; "" for none.
func suiteOf(args []string, strict bool) (*evals.Suite, string, error) {
	if strict {
		return strictSuite(args)
	}
	suite, err := evals.LoadSuite(args[0])
	if err != nil {
		return nil, "", usage(err)
	}
	dir, err := localTag(suite.Program)
	return suite, dir, err
}

// strictSuite is a suite of recordings, which are all of one program.
func strictSuite(files []string) (*evals.Suite, string, error) {
	program := ""
	for i, file := range files {
		rec, err := evals.Load(file)
		if err != nil {
			return nil, "", usage(err)
		}
		if i > 0 && rec.Program != program {
			return nil, "", usagef("%s is of another program than %s; replay them one after the other", file, files[0])
		}
		program = rec.Program
	}
	dir, err := localTag(program)
	return &evals.Suite{
		Version: evals.Version, Name: "strict",
		Cases: []evals.Case{{Name: "strict", Mode: evals.ModeStrict, Recordings: files}},
	}, dir, err
}

func (a *app) eval(ctx context.Context, suite *evals.Suite, program string) error {
	if program != "" && !a.ownsDefinitions() {
		return a.become(ctx, program)
	}
	results, err := suite.Run(ctx, a.program, evals.Options{Scenario: recordedScenario, OnResult: a.evalResult})
	if errors.Is(err, evals.ErrNoCases) {
		return usage(err)
	}
	if err != nil {
		return err
	}
	if err := a.printResults(results); err != nil {
		return err
	}
	return ended(evalExit(results.Verdict()))
}

// recordedScenario finds the scenario that a recording remembers.
func recordedScenario(path string) (*scenario.Scenario, error) {
	file, err := local(path)
	if err != nil {
		return nil, err
	}
	return scenario.Load(file)
}

// evalResult says what is wrong with a result, as soon as it is there.
func (a *app) evalResult(r evals.Result) {
	if r.Message != "" {
		a.term.printf("%s: %s\n", caseName(r), oneLine(r.Message, 2000))
	}
	for _, f := range r.Failures {
		a.term.printf("%s: %s\n", caseName(r), oneLine(f, 2000))
	}
}

func caseName(r evals.Result) string {
	if r.Recording == "" {
		return r.Case
	}
	return r.Case + " " + filepath.ToSlash(r.Recording)
}

func (a *app) printResults(r *evals.Results) error {
	if a.format == formatJSON {
		return a.printJSON(r)
	}
	err := printList(a, r.Results, []string{"CASE", "MODE", "RESULT", "TOOK"}, func(x evals.Result) []string {
		return []string{caseName(x), x.Mode, string(x.Status), seconds(x.Duration)}
	})
	if err == nil && a.format == formatTable {
		a.term.printf("%s: %s, %s\n", r.Suite, r.Verdict(), several(len(r.Results), "result"))
	}
	return err
}

// evalExit is the exit code of a verdict.
func evalExit(s evals.Status) int {
	switch s {
	case evals.Passed:
		return exitDone
	case evals.Failed:
		return exitFailed
	case evals.Diverged:
		return exitDiverged
	}
	return exitSetup // it could not be run
}
