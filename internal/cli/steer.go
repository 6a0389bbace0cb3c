package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/scenario"
)

// whichAgent is what the help of each verb says of teams.
const whichAgent = `
RUN is the run of an agent, or of a team in which one agent is at work. Of several,
give the id of one's part: "agentrun runs show RUN" has them. Where no program runs
it, the wish is recorded, and counts when the run goes on.`

// maxSaid bounds a message that is read from standard input, in bytes.
const maxSaid = 1 << 20

func (a *app) sayCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "say RUN TEXT",
		Short: "Put a message into a run under way",
		Long: `Put a message into a run under way. The model is told before its next turn; a run
that was about to be done goes on because of it. A TEXT of - is read from standard
input.
` + whichAgent,
		Example: `  agentrun say incident-x2b7qd "Leave the database alone."`,
		Args:    exactly("a RUN", "the TEXT"),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := a.said(args[1])
			if err != nil {
				return err
			}
			// Said twice is heard twice: it is not tried again.
			return a.steer(c.Context(), a.connect, args[0], "say", "is told before its next turn", func(ctx context.Context, c *durable.Client, agent string) error {
				return agents.Say(ctx, c, agent, text)
			})
		},
	}
}

// said is the text of a message.
func (a *app) said(text string) (string, error) {
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(a.in, maxSaid+1))
		if err != nil {
			return "", setupf("read the message: %w", err)
		}
		if len(b) > maxSaid {
			return "", usagef("the message is longer than %d bytes", maxSaid)
		}
		text = string(b)
	}
	if strings.TrimSpace(text) == "" {
		return "", usagef("the message is empty")
	}
	return text, nil
}

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause RUN",
		Short: "Hold a run before its next turn",
		Long: `Hold a run before its next turn, until it is unpaused. A turn under way is taken to
its end, its tool calls included.
` + whichAgent,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.steer(c.Context(), a.again, args[0], "pause", "is held before its next turn; "+a.typed("unpause", args[0]), agents.Pause)
		},
	}
}

func (a *app) unpauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unpause RUN",
		Short: "Let a paused run go on",
		Long: `Let a paused run go on, or one that was suspended.
` + whichAgent,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.steer(c.Context(), a.again, args[0], "unpause", "goes on", func(ctx context.Context, c *durable.Client, agent string) error {
				s, err := c.Get(ctx, agent)
				if err == nil && s.Status == history.Suspended {
					return c.Resume(ctx, agent, "by "+userName())
				}
				if err != nil {
					return err
				}
				return agents.Resume(ctx, c, agent)
			})
		},
	}
}

func (a *app) stopCommand() *cobra.Command {
	var summary bool
	c := &cobra.Command{
		Use:   "stop RUN",
		Short: "End a run after the turn that is under way",
		Long: `End a run after the turn that is under way, its tool calls included. The result is
the last text that the model wrote, or with --summary what it says when it is asked
once more, without tools. To end a run at once: agentrun cancel.
` + whichAgent,
		Args: exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.steer(c.Context(), a.again, args[0], "stop", "ends after its turn", func(ctx context.Context, c *durable.Client, agent string) error {
				return agents.StopAfterTurn(ctx, c, agent, summary)
			})
		},
	}
	c.Flags().BoolVar(&summary, "summary", false, "ask the model for a last word")
	return c
}

// steer does something to the run of an agent, and says so.
func (a *app) steer(ctx context.Context, reach func(context.Context, func(*durable.Client) error) error, id, verb, done string, do func(context.Context, *durable.Client, string) error) error {
	var agent *durable.State
	held := a.isHeld(ctx)
	err := reach(ctx, func(c *durable.Client) (err error) {
		if agent, err = agentOf(ctx, c, id); err == nil {
			err = do(ctx, c, agent.ID)
		}
		return err
	})
	switch {
	case errors.Is(err, agents.ErrEnded):
		return usage(err)
	case err != nil:
		return a.runError(err, id)
	}
	if !held {
		a.term.printf("nobody has %s open now: it counts when the run goes on: %s\n", a.store, a.typed("resume", id))
	}
	if a.format != formatTable {
		return a.printJSON(steered{id, agent.ID, verb})
	}
	who := id
	if agent.ID != id {
		who = scenario.AgentName(agent.Name) + " (" + agent.ID + ")"
	}
	return a.printText(who + " " + done)
}

// steered is what a verb that steers a run has done.
type steered struct {
	ID    string `json:"id"`
	Agent string `json:"agent"` // the instance that was steered
	Did   string `json:"did"`
}

// isHeld reports whether a process has the store open.
func (a *app) isHeld(ctx context.Context) bool {
	c, err := durable.Dial(ctx, a.store, durable.Options{}, agents.Define(agents.Options{}))
	if err == nil {
		err = c.Close()
	}
	return !errors.Is(err, taskhub.ErrUnavailable)
}

// agentOf finds the run of an agent: the instance itself, or the one below it that is
// at work.
func agentOf(ctx context.Context, c *durable.Client, id string) (*durable.State, error) {
	s, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	if scenario.AgentName(s.Name) != "" {
		return s, nil
	}
	if s.Status.Ended() {
		return nil, fmt.Errorf("%w: %s is %s", agents.ErrEnded, id, scenario.StatusWord(s.Status, 0))
	}
	list, err := agentsBelow(ctx, c, id, nil)
	switch {
	case err != nil:
		return nil, err
	case len(list) == 0:
		return nil, usagef("run %s has no agent at work now; see runs show %s", id, id)
	case len(list) > 1:
		var parts []string
		for _, s := range list {
			parts = append(parts, fmt.Sprintf("%s (%s)", s.ID, scenario.AgentName(s.Name)))
		}
		slices.Sort(parts)
		return nil, usagef("run %s has %d agents at work; give the id of one: %s", id, len(list), strings.Join(parts, ", "))
	}
	return list[0], nil
}

// agentsBelow adds the agents that are at work for an instance that is none itself.
func agentsBelow(ctx context.Context, c *durable.Client, parent string, list []*durable.State) ([]*durable.State, error) {
	for s, err := range c.Query(ctx, durable.Query{Parent: parent, Statuses: []history.Status{history.Pending, history.Running, history.Suspended}}) {
		if err != nil {
			return nil, err
		}
		if scenario.AgentName(s.Name) != "" {
			list = append(list, s)
			continue
		}
		if list, err = agentsBelow(ctx, c, s.ID, list); err != nil {
			return nil, err
		}
	}
	return list, nil
}
