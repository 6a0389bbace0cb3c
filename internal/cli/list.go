package cli

import (
	"context"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
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
	for s, err := range c.Query(ctx, durable.Query{TopLevel: true, Newest: true, Data: true}) {
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
	head := []string{"RUN", "NAME", "STATUS", "STARTED", "TOOK", "WAITING"}
	counted := slices.ContainsFunc(runs, func(r scenario.Listed) bool { return r.Cost != 0 })
	if counted {
		head = append(head, "COST")
	}
	return printList(a, runs, head, func(r scenario.Listed) []string {
		took := "-"
		if r.Ended != nil {
			took = seconds(r.Ended.Sub(r.Started))
		}
		row := []string{r.ID, r.Name, r.Status, moment(r.Started), took, strconv.Itoa(r.Waiting)}
		if counted {
			row = append(row, costOf(r.Cost))
		}
		return row
	})
}

// costOf is an amount for people; "-" for none.
func costOf(m models.Money) string {
	if m == 0 {
		return "-"
	}
	return m.String()
}
