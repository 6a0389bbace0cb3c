package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) retryCommand() *cobra.Command {
	var program string
	c := &cobra.Command{
		Use:   "retry RUN",
		Short: "Make a model call again that hangs, or let a failed run go on",
		Long: `Of a run under way, give up the call of a model that is under way, and make it
again. Nothing happens while no model is asked.

A run that has failed goes on from its failure: what failed is done anew, what
succeeded is not, and a tool that is unsafe is not called again by itself. Where no
other process has the store open, this one stays with the run, as "agentrun resume"
does. A run that went on after a failure, because a model was asked several times for
instance, cannot go on like this; start it anew.
` + whichAgent,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error { return a.retry(c.Context(), args[0], program) },
	}
	c.Flags().StringVar(&program, "program", "", "`DIR` of the program of a failed run, in place of the one it remembers")
	a.holdFlag(c)
	return c
}

func (a *app) retry(ctx context.Context, id, program string) error {
	failed := false
	err := a.again(ctx, func(c *durable.Client) error {
		s, err := c.Get(ctx, id)
		if err == nil {
			failed = s.Status == history.Failed
		}
		return err
	})
	switch {
	case err != nil:
		return a.runError(err, id)
	case failed:
		return a.rewind(ctx, id, program)
	}
	return a.steer(ctx, a.again, id, "retry", "makes the call of its model again, if one is under way", agents.RetryTurn)
}

// rewind lets a failed run go on: in the process that has the store, or else here.
func (a *app) rewind(ctx context.Context, id, program string) error {
	c, err := durable.Dial(ctx, a.store, durable.Options{}, agents.Define(agents.Options{}))
	if errors.Is(err, taskhub.ErrUnavailable) {
		return a.goOnWith(ctx, id, program, func(ctx context.Context, s *scenario.Session) error { return a.rewindBy(ctx, s.Client(), id) })
	}
	if err != nil {
		return err
	}
	err = a.rewindThere(ctx, c.Client, id)
	return errors.Join(err, c.Close())
}

func (a *app) rewindThere(ctx context.Context, c *durable.Client, id string) error {
	if err := a.rewindBy(ctx, c, id); err != nil {
		return err
	}
	s, err := c.Get(ctx, id)
	switch {
	case err != nil:
		return err
	case s.Status == history.Failed: // the wish is kept for a process that has the run's code
		return setupf("the process that has %s open does not have the code of run %s; when it has ended: %s", a.store, id, a.typed("retry", id))
	}
	if a.format != formatTable {
		return a.printJSON(steered{id, id, "rewind"})
	}
	return a.printText(id + " goes on from where it failed; see " + a.typed("runs", "follow", id))
}

func (a *app) rewindBy(ctx context.Context, c *durable.Client, id string) error {
	err := c.Rewind(ctx, id, "by "+userName())
	if !errors.Is(err, durable.ErrCannotRewind) {
		return err
	}
	if s, got := c.Get(ctx, id); got == nil && !s.Status.Ended() {
		return nil // a wish of before was kept for this process
	}
	return usagef("run %s: %w; start it anew", id, err)
}
