package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show RUN",
		Short: "Show a run: what it waits for, its parts and its history",
		Args:  exactly("a RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			err := a.again(c.Context(), func(client *durable.Client) error { return a.show(c.Context(), client, args[0]) })
			return a.runError(err, args[0])
		},
	}
}

// shown is a run with all that it consists of.
type shown struct {
	scenario.Listed
	Scenario  string            `json:"scenario,omitempty"`
	Program   string            `json:"program,omitempty"`
	Live      bool              `json:"live,omitempty"`
	Input     history.Payload   `json:"input,omitzero"`
	Custom    history.Payload   `json:"customStatus,omitzero"`
	Report    *scenario.Report  `json:"report"`
	WaitsFor  []string          `json:"waitsFor,omitempty"`
	Requests  []agents.Approval `json:"requests,omitempty"`
	Instances []*instance       `json:"instances"` // depth first
}

// instance is a node of a run's tree.
type instance struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	Status     string      `json:"status"`
	Parent     string      `json:"parent,omitempty"`
	Executions []execution `json:"executions"` // oldest first

	depth int
}

type execution struct {
	ID     string           `json:"id"`
	Events []*history.Event `json:"events"`
}

func (a *app) show(ctx context.Context, c *durable.Client, id string) error {
	v, err := gather(ctx, c, id)
	if err != nil {
		return err
	}
	switch a.format {
	case formatJSON:
		return a.printJSON(v)
	case formatJSONL:
		return a.printEvents(v)
	}
	return a.printShown(ctx, c, v)
}

// printEvents prints a run's events, a line each, with their addresses.
func (a *app) printEvents(v *shown) error {
	for _, in := range v.Instances {
		for _, x := range in.Executions {
			for n, ev := range x.Events {
				line := scenario.Line{Address: history.Address{Instance: in.ID, Execution: x.ID, Number: n}, Event: ev}
				if err := a.printJSON(line); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// gather reads a run and its tree.
func gather(ctx context.Context, c *durable.Client, id string) (*shown, error) {
	s, err := c.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	report, err := scenario.Inspect(ctx, c, id)
	if err != nil {
		return nil, err
	}
	v := &shown{
		Listed:   scenario.ListedOf(s, len(report.Waiting)),
		Scenario: s.Tags[scenario.TagScenario], Program: s.Tags[scenario.TagProgram], Live: s.Tags[scenario.TagLive] == "true",
		Input: s.Input, Custom: s.CustomStatus, Report: report, Requests: report.Waiting,
	}
	return v, v.walk(ctx, c, s, 0, map[string]bool{})
}

// walk adds an instance and what it started.
func (v *shown) walk(ctx context.Context, c *durable.Client, s *durable.State, depth int, seen map[string]bool) error {
	if seen[s.ID] {
		return nil
	}
	seen[s.ID] = true
	in := &instance{ID: s.ID, Name: s.Name, Status: scenario.ListedOf(s, 0).Status, Parent: s.Parent, depth: depth}
	v.Instances = append(v.Instances, in)
	ids, err := c.Executions(ctx, s.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		x := execution{ID: id}
		for ev, err := range c.History(ctx, s.ID, id) {
			if err != nil {
				return err
			}
			x.Events = append(x.Events, ev)
		}
		in.Executions = append(in.Executions, x)
	}
	if !s.Status.Ended() {
		v.WaitsFor = append(v.WaitsFor, waitsFor(s, in)...)
	}
	for _, child := range in.children() {
		cs, err := c.Get(ctx, child)
		if durable.IsNotFound(err) {
			continue // about to begin
		}
		if err != nil {
			return err
		}
		if err := v.walk(ctx, c, cs, depth+1, seen); err != nil {
			return err
		}
	}
	return nil
}

func (in *instance) children() (ids []string) {
	for _, x := range in.Executions {
		for _, ev := range x.Events {
			if ev.Kind == history.ChildCreated {
				ids = append(ids, ev.Target)
			}
		}
	}
	return ids
}

// waitsFor says what an instance that has not ended waits for, apart from people
// and from its children, which are listed themselves.
func waitsFor(s *durable.State, in *instance) []string {
	switch s.Status {
	case history.Pending:
		return []string{fmt.Sprintf("%s: a program that defines %s", s.ID, s.Name)}
	case history.Suspended:
		return []string{s.ID + ": to be resumed, since it is suspended"}
	}
	if in.Status == scenario.Paused {
		return []string{s.ID + ": to be unpaused"}
	}
	if len(in.Executions) == 0 {
		return nil
	}
	events := in.Executions[len(in.Executions)-1].Events
	answered := map[int32]bool{}
	for _, ev := range events {
		switch ev.Kind {
		case history.TaskCompleted, history.TaskFailed, history.TimerFired:
			answered[ev.Answers] = true
		}
	}
	var waits []string
	for _, ev := range events {
		switch {
		case answered[ev.ID]:
		case ev.Kind == history.TaskScheduled:
			waits = append(waits, fmt.Sprintf("%s: activity %s, without a result since %s", s.ID, ev.Name, moment(ev.Time)))
		case ev.Kind == history.TimerCreated:
			waits = append(waits, fmt.Sprintf("%s: %s, a timer", s.ID, moment(ev.FireAt)))
		}
	}
	return waits
}

// took is how long a run took, or has taken so far.
func took(l scenario.Listed) string {
	if l.Ended == nil {
		return seconds(time.Since(l.Started)) + " so far"
	}
	return seconds(l.Ended.Sub(l.Started))
}
