package cli

import (
	"context"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) runsCommand() *cobra.Command {
	return a.group("runs", "List, show, check and export runs", a.listCommand(), a.showCommand(), a.checkCommand(), a.exportCommand())
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

// listed is a run in a list.
type listed struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Status  string     `json:"status"`
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended,omitempty"`
	Waiting int        `json:"waiting"` // requests that nobody has decided
}

// internalRun is the orchestration that wakes runs up once a request is decided:
// no run of the user's.
const internalRun = "agentrun.notify"

func (a *app) list(ctx context.Context, c *durable.Client) error {
	requests, err := agents.Inbox(ctx, c, "", true)
	if err != nil {
		return err
	}
	waiting := map[string]int{}
	for _, x := range requests {
		waiting[x.Run]++
	}
	var runs []listed
	for s, err := range c.Query(ctx, durable.Query{TopLevel: true, Newest: true}) {
		if err != nil {
			return err
		}
		if s.Name == internalRun {
			continue
		}
		runs = append(runs, listedOf(s, waiting[s.ID]))
	}
	if len(runs) == 0 && a.format == formatTable {
		a.term.printf("no runs in %s\n", a.store)
		return nil
	}
	return printList(a, runs, []string{"RUN", "NAME", "STATUS", "STARTED", "TOOK", "WAITING"}, func(r listed) []string {
		took := "-"
		if r.Ended != nil {
			took = seconds(r.Ended.Sub(r.Started))
		}
		return []string{r.ID, r.Name, r.Status, moment(r.Started), took, strconv.Itoa(r.Waiting)}
	})
}

func listedOf(s *durable.State, waiting int) listed {
	r := listed{ID: s.ID, Name: s.Name, Status: statusWord(s.Status, waiting), Started: s.Created, Waiting: waiting}
	if s.Status.Ended() {
		at := s.Completed
		if at.IsZero() {
			at = s.Updated
		}
		r.Ended = &at
	}
	return r
}

// statusWord is an instance's status in the words of runs.
func statusWord(s history.Status, waiting int) string {
	switch s {
	case history.Completed:
		return scenario.Completed
	case history.Failed:
		return scenario.Failed
	case history.Terminated, history.Canceled:
		return scenario.Cancelled
	case history.Suspended:
		return "suspended"
	}
	if waiting > 0 {
		return scenario.Waiting
	}
	return scenario.Running
}
