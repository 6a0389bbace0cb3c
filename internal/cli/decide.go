package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) approveCommand() *cobra.Command {
	d := agents.Decision{Approve: true}
	c := &cobra.Command{
		Use:     "approve ID|RUN",
		Short:   "Approve a request of the inbox",
		Example: `  agentrun approve 1f0c93aa --arguments '{"version": "v2.13.1"}' --comment "The last good one."`,
		Args:    exactly("the ID of a request, or the RUN that has just one"),
		RunE:    func(c *cobra.Command, args []string) error { return a.decide(c.Context(), args[0], d) },
	}
	c.Flags().StringVar(&d.Arguments, "arguments", "", "`JSON` to call the tool with in place of what the agent proposed")
	c.Flags().StringVar(&d.Comment, "comment", "", "`TEXT` for the record")
	return c
}

func (a *app) rejectCommand() *cobra.Command {
	var d agents.Decision
	c := &cobra.Command{
		Use:     "reject ID|RUN",
		Short:   "Reject a request of the inbox",
		Example: `  agentrun reject 1f0c93aa --comment "Not before the backup is done."`,
		Args:    exactly("the ID of a request, or the RUN that has just one"),
		RunE:    func(c *cobra.Command, args []string) error { return a.decide(c.Context(), args[0], d) },
	}
	c.Flags().StringVar(&d.Comment, "comment", "", "`TEXT` for the record, which the agent reads too")
	return c
}

// decide gives a decision. When it returns, the decision is on disk.
func (a *app) decide(ctx context.Context, id string, d agents.Decision) error {
	if d.Arguments != "" {
		if err := checkArguments(d.Arguments); err != nil {
			return usage(err)
		}
	}
	d.By, d.From, d.Nonce = userName(), fromCommand, rand.Text()
	// The program that holds the store may end between the decision, which lets its
	// run go on to its end, and the answer: then it is looked at once more.
	request := ""
	return a.again(ctx, func(c *durable.Client) (err error) {
		if request == "" {
			if request, err = requestOf(ctx, c, id); err != nil {
				return err
			}
		}
		x, err := agents.Decide(ctx, c, request, d)
		switch {
		case durable.IsNotFound(err):
			return usagef("there is no request %s in %s; see %s", request, a.store, a.typed("inbox"))
		case err != nil:
			return err
		}
		return a.printDecided(x)
	})
}

// requestOf lets people name a run in place of the one request that it waits for.
func requestOf(ctx context.Context, c *durable.Client, id string) (string, error) {
	_, err := c.Get(ctx, id)
	if durable.IsNotFound(err) {
		return id, nil
	}
	if err != nil {
		return "", err
	}
	list, err := agents.Inbox(ctx, c, id, true)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", usagef("run %s waits for nobody", id)
	case len(list) > 1:
		ids := make([]string, len(list))
		for i, x := range list {
			ids[i] = x.ID
		}
		return "", usagef("run %s has %d requests; name one of them: %s", id, len(list), strings.Join(ids, ", "))
	}
	return list[0].ID, nil
}

func (a *app) printDecided(x agents.Approval) error {
	if a.format != formatTable {
		return a.printJSON(x)
	}
	text := x.ID + " is " + string(x.Status)
	if x.Status == agents.Waiting {
		text = x.ID + " waits for the decisions of others too"
	}
	return a.printText(text + " (" + question(x) + ")")
}

func (a *app) cancelCommand() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use:   "cancel RUN",
		Short: "End a run, and everything that it started",
		Args:  exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			// The program that holds the store may end with the run, before all is said.
			asked := false
			err := a.again(c.Context(), func(client *durable.Client) error { return a.cancel(c.Context(), client, args[0], reason, &asked) })
			return a.runError(err, args[0])
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "`TEXT` for the record")
	return c
}

// cancel ends a run; asked notes that it was asked to end, by an earlier attempt perhaps.
func (a *app) cancel(ctx context.Context, c *durable.Client, id, reason string, asked *bool) error {
	s, err := c.Get(ctx, id)
	if err != nil {
		return err
	}
	if s.Status.Ended() && !*asked {
		if err := withdraw(ctx, c, id); err != nil { // which an earlier cancel may not have come to
			return err
		}
		return usagef("run %s has ended already: it is %s", id, scenario.StatusWord(s.Status, 0))
	}
	if s.Parent != "" {
		return usagef("%s is a part of another run; see runs show %s", id, s.Parent)
	}
	if reason == "" {
		reason = "by " + userName()
	}
	if !s.Status.Ended() {
		*asked = true
		if err := c.Terminate(ctx, id, reason, true); err != nil {
			return err
		}
		if s, err = c.Wait(ctx, id); err != nil {
			return err
		}
	}
	if s.Status != history.Terminated {
		return usagef("run %s has ended meanwhile: it is %s", id, scenario.StatusWord(s.Status, 0))
	}
	if err := withdraw(ctx, c, id); err != nil {
		return err
	}
	if a.format != formatTable {
		return a.printJSON(struct {
			ID     string `json:"id"`
			Status string `json:"status"`
			Reason string `json:"reason"`
		}{id, scenario.StatusWord(s.Status, 0), reason})
	}
	return a.printText(id + " is cancelled")
}

// withdraw takes a run's requests out of the inbox.
func withdraw(ctx context.Context, c *durable.Client, run string) error {
	list, err := agents.Inbox(ctx, c, run, false)
	if err != nil {
		return err
	}
	var errs []error
	for _, x := range list {
		if x.Status == agents.Waiting {
			errs = append(errs, agents.Withdraw(ctx, c, x.ID))
		}
	}
	return errors.Join(errs...)
}
