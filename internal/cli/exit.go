package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

// Exit codes. They are documented in exitCodesTopic.
const (
	exitDone         = 0
	exitFailed       = 1
	exitUsage        = 2
	exitDiverged     = 3
	exitSetup        = 4
	exitInconclusive = 5
	exitWaiting      = 6
	exitInterrupted  = 130
)

func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `What the exit codes mean:

    0  the run is done, the evals passed, or the command did what it was asked to
    1  the run failed, was cancelled or misses an expectation; an eval case failed;
       vet found something
    2  wrong usage: arguments, a wrong scenario, an id that does not exist, exists
       already, or is of something that is settled or has ended; or no eval case was
       run
    3  a replay diverged from its recording; a run cannot go on with today's code
    4  setup or connection: the store, a model's key, building a program
    5  the evals are inconclusive
    6  the run waits for a person
  130  interrupted; a run can be resumed

"go run" turns every code but 0 into 1.`,
	}
}

// exitError is an error that knows its exit code. With a nil err there is nothing
// more to print.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// usage marks an error of the user's.
func usage(err error) error { return &exitError{exitUsage, err} }

func usagef(format string, args ...any) error { return usage(fmt.Errorf(format, args...)) }

// setupf makes an error of the surroundings.
func setupf(format string, args ...any) error {
	return &exitError{exitSetup, fmt.Errorf(format, args...)}
}

// ended is the outcome of a command that has said all there is to say.
func ended(code int) error {
	if code == exitDone {
		return nil
	}
	return &exitError{code: code}
}

// errInterrupted is why the context of a command ended that a signal ended.
var errInterrupted = errors.New("interrupted")

// exitCode says with what code a command ends that returned err. Errors that
// nothing else is known of are of the surroundings: a store, a network, a disk.
func exitCode(ctx context.Context, err error) int {
	var own *exitError
	var wrong *scenario.Error
	switch {
	case err == nil:
		return exitDone
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &wrong), errors.Is(err, scenario.ErrNeedsLive), errors.Is(err, agents.ErrNotCounted),
		errors.Is(err, durable.ErrNotFound), errors.Is(err, durable.ErrExists), errors.Is(err, durable.ErrInvalid):
		return exitUsage
	}
	return exitSetup
}

// exitOf says with what code a command ends that is about a run.
func exitOf(status string) int {
	switch status {
	case scenario.Completed:
		return exitDone
	case scenario.Waiting:
		return exitWaiting
	}
	return exitFailed
}
