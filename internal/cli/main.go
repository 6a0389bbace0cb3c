package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/scenario"
)

// Environment variables that the command reads.
const (
	envStore   = "AGENTRUN_STORE"   // the default of --store
	envLog     = "AGENTRUN_LOG"     // debug, info, warn or error
	envProgram = "AGENTRUN_PROGRAM" // directory that this program was built from, by an agentrun that became it
	envCommand = "AGENTRUN_COMMAND" // how the user calls that agentrun
)

// defaultStore is beside the work that it is about.
const defaultStore = "sqlite:.agentrun/agentrun.db"

// app is one call of the command.
type app struct {
	program *scenario.Program
	args    []string // without the program's name
	dir     string   // that this program was built from, by an agentrun that became it; "": none
	command string   // how the user calls this command
	in      *os.File
	out     io.Writer
	term    *terminal // standard error

	store  string
	format string
	hold   bool // requests are left to others
}

// Main runs the command line for a program and gives the exit code, one of those
// that "agentrun help exit-codes" lists. args are without the program's name.
func Main(p *scenario.Program, args []string) int {
	if isVetTool(args) {
		return vetTool()
	}
	a := &app{program: p, args: append([]string{}, args...), dir: os.Getenv(envProgram), command: commandName(), in: os.Stdin, out: os.Stdout, term: newTerminal(os.Stderr)}
	// They are about this process, not about those that its tools start.
	_, _ = os.Unsetenv(envProgram), os.Unsetenv(envCommand)
	if err := a.setUpLog(); err != nil {
		return a.report(context.Background(), err)
	}
	ctx, stop := a.untilInterrupted()
	defer stop()
	root := a.root()
	root.SetArgs(a.args)
	return a.report(ctx, root.ExecuteContext(ctx))
}

// report prints an error, a line of its text a line, and gives its exit code.
func (a *app) report(ctx context.Context, err error) int {
	code := exitCode(ctx, err)
	var quiet *exitError
	if err == nil || errors.As(err, &quiet) && quiet.err == nil || errors.Is(context.Cause(ctx), errInterrupted) && errors.Is(err, context.Canceled) {
		return code
	}
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			a.term.printf("agentrun: %s\n", line)
		}
	}
	return code
}

// root makes the command with all its verbs.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "agentrun",
		Short: "Run teams of AI agents whose work must not be lost",
		Long: `Run teams of AI agents whose work must not be lost.

Every model turn and every tool call is recorded before it counts. A run that is
killed at any moment goes on where it stopped:

  agentrun run examples/incident
  agentrun resume RUN

Models are asked for money with --live only; otherwise a scenario's script answers.`,
		Args:              a.verbs,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkFormat() },
	}
	root.SetOut(a.out)
	root.SetErr(a.term)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	store := os.Getenv(envStore)
	if store == "" {
		store = defaultStore
	}
	root.PersistentFlags().StringVar(&a.store, "store", store, "`URL` of the store; $"+envStore+" sets the default")
	root.PersistentFlags().StringVarP(&a.format, "output", "o", formatTable, "`form` of results: table, json or jsonl")
	forms := cobra.FixedCompletions([]cobra.Completion{formatTable, formatJSON, formatJSONL}, cobra.ShellCompDirectiveNoFileComp)
	if err := root.RegisterFlagCompletionFunc("output", forms); err != nil {
		panic("cli: " + err.Error()) // the flag is defined just above
	}
	root.AddCommand(a.runCommand(), a.resumeCommand(), a.runsCommand(), a.effectsCommand(), a.inboxCommand(), a.approveCommand(),
		a.rejectCommand(), a.sayCommand(), a.pauseCommand(), a.unpauseCommand(), a.stopCommand(), a.retryCommand(), a.cancelCommand(), a.checkCommand(), a.serveCommand(), a.mcpCommand(), a.hubCommand(), a.tokenCommand(), a.evalCommand(), a.vetCommand(), a.promptsCommand(), a.benchCommand(), a.versionCommand(), exitCodesTopic())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(a.args...)
	return root
}

// verbs checks the arguments of a command that only has others below it.
func (a *app) verbs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	c.SuggestionsMinimumDistance = 2
	hint := fmt.Sprintf("%s --help lists them", c.CommandPath())
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usagef("%s has no command %q; %s", c.CommandPath(), args[0], hint)
}

// group makes a command that only has others below it.
func (a *app) group(use, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: a.verbs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(below...)
	return c
}

// exactly checks the number of a verb's arguments, which names say.
func exactly(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return usagef("%s needs %s; see %s --help", c.CommandPath(), names[len(args)], c.CommandPath())
		case len(args) > len(names):
			return usagef("%s does not know what to do with %q; see %s --help", c.CommandPath(), args[len(names)], c.CommandPath())
		}
		return nil
	}
}
