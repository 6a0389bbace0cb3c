package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) runsCommand() *cobra.Command {
	return a.group("runs", "List, show, follow, check and export runs", a.listCommand(), a.showCommand(), a.followCommand(), a.checkCommand(), a.exportCommand())
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List runs, the newest first",
		Args:  exactly(),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.again(c.Context(), func(client *durable.Client) error { return a.list(c.Context(), client) })
		},
	}
}

func (a *app) list(ctx context.Context, c *durable.Client) error {
	requests, err := agents.Inbox(ctx, c, "", true)
	if err != nil {
		return err
	}
	waiting := map[string]int{}
	for _, x := range requests {
		waiting[x.Run]++
	}
	var runs []scenario.Listed
	for s, err := range c.Query(ctx, durable.Query{TopLevel: true, Newest: true}) {
		if err != nil {
			return err
		}
		if scenario.Internal(s.Name) {
			continue
		}
		runs = append(runs, scenario.ListedOf(s, waiting[s.ID]))
	}
	if len(runs) == 0 && a.format == formatTable {
		a.term.printf("no runs in %s\n", a.store)
		return nil
	}
	return printList(a, runs, []string{"RUN", "NAME", "STATUS", "STARTED", "TOOK", "WAITING"}, func(r scenario.Listed) []string {
		took := "-"
		if r.Ended != nil {
			took = seconds(r.Ended.Sub(r.Started))
		}
		return []string{r.ID, r.Name, r.Status, moment(r.Started), took, strconv.Itoa(r.Waiting)}
	})
}
