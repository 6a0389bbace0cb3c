package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

func (a *app) inboxCommand() *cobra.Command {
	var run string
	var all bool
	c := &cobra.Command{
		Use:   "inbox",
		Short: "List what waits for people",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.again(c.Context(), func(client *durable.Client) error { return a.inbox(c.Context(), client, run, !all) })
		},
	}
	c.Flags().StringVar(&run, "run", "", "only of this `RUN`")
	c.Flags().BoolVar(&all, "all", false, "also what is settled")
	return c
}

func (a *app) inbox(ctx context.Context, c *durable.Client, run string, waiting bool) error {
	list, err := agents.Inbox(ctx, c, run, waiting)
	if err != nil {
		return err
	}
	if len(list) == 0 && a.format == formatTable {
		a.term.printf("nothing waits for a person\n")
		return nil
	}
	head := []string{"ID", "RUN", "ASKED", "UNTIL", "QUESTION", "ARGUMENTS"}
	if !waiting {
		head = append(head, "STATUS")
	}
	return printList(a, list, head, func(x agents.Approval) []string {
		row := []string{x.ID, x.Run, moment(x.Requested), moment(x.Deadline), question(x), x.Arguments}
		if !waiting {
			row = append(row, string(x.Status))
		}
		return row
	})
}

// moment is a time for people, where they are; "-" for none.
func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format(time.DateTime)
}
