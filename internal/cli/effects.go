package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

func (a *app) effectsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "effects RUN",
		Short: "List what a run has done outside: tool calls with their keys and receipts",
		Long: `List what a run and its parts have done outside, or may have: each call of a tool
that is unsafe, compensable or idempotent, and of other at-most-once activities.

  done     the call has returned
  failed   it has returned an error
  running  it is under way
  unknown  it was cut off: look for its effect by KEY, which the tool was given

INTENT was recorded before the call began, RECEIPT with its result. An idempotent
call has neither, since it may be repeated. Pure tools are not listed.`,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			err := a.again(c.Context(), func(client *durable.Client) error { return a.effects(c.Context(), client, args[0]) })
			return a.runError(err, args[0])
		},
	}
}

func (a *app) effects(ctx context.Context, c *durable.Client, id string) error {
	list, err := agents.Effects(ctx, c, id)
	if err != nil {
		return err
	}
	if len(list) == 0 && a.format == formatTable {
		a.term.printf("%s has done nothing outside\n", id)
		return nil
	}
	return printList(a, list, []string{"TOOL", "EFFECT", "STATE", "KEY", "INTENT", "RECEIPT", "INSTANCE"}, func(e agents.Effect) []string {
		name := e.Activity
		if e.Tool != "" {
			name = e.Agent + "/" + e.Tool
		}
		if e.Undo {
			name = "undo of " + name
		}
		return []string{name, e.Effect.String(), string(e.State), dash(e.Key), moment(e.Intent), moment(e.Receipt), e.Instance}
	})
}
