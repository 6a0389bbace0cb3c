package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestUndoCanceledCrash crashes everywhere a run that is cancelled while it waits for
// people, and whose undo waits for them too.
func TestUndoCanceledCrash(t *testing.T) {
	h := &hotel{}
	sign := tools.New("sign", "", func(context.Context, struct{}) (string, error) { return "signed", nil }, tools.NeedsApproval(tools.Approval{}))
	a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Sequential: true,
		Tools: append(h.tools(tools.NeedsApproval(tools.Approval{})), sign)})
	m := turns(answer(models.FinishToolCalls, "", book("1", 1), book("2", 2)), answer(models.FinishToolCalls, "", book("1", 3), models.ToolCall{ID: "2", Name: "sign"}))
	defs := []durable.Definition{agents.Define(agents.Options{Models: only(m)}, a)}
	points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (out []string, err error) {
		h.reset()
		c := env.Client()
		id, err := a.Schedule(ctx, c, "go")
		if err != nil {
			return nil, err
		}
		canceled := map[string]bool{}
		for {
			s, err := c.Get(ctx, id)
			if err != nil {
				return nil, err
			}
			if s.Status.Ended() {
				return append(h.happened(), fmt.Sprint(s.Status == history.Canceled)), nil
			}
			list, err := agents.Inbox(ctx, c, id, true)
			if err != nil {
				return nil, err
			}
			for _, r := range list {
				if r.Tool == "sign" && !canceled[r.ID] {
					canceled[r.ID] = true
					err = c.Cancel(ctx, id, "enough")
				} else if r.Tool == "back" {
					_, err = agents.Decide(ctx, c, r.ID, agents.Decision{Approve: true, By: "eva", Nonce: r.ID})
				}
				if err != nil {
					return nil, err
				}
			}
		}
	})
	want := []string{"book 1", "book 2", "book 3", "back 3", "back 2", "back 1"}
	if got := h.happened(); !slices.Equal(got, want) || points < 40 {
		t.Errorf("after %d points: %q, want %q", points, got, want)
	}
}

// TestUndoEvents: who follows a run sees what it takes back, and what failed of it.
func TestUndoEvents(t *testing.T) {
	h := &hotel{}
	h.reset()
	h.fail = func(room int) error {
		if room == 1 {
			return tools.Stop(errors.New("the desk is closed"))
		}
		return nil
	}
	a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Sequential: true, Tools: h.tools()})
	tm := start(t, turns(answer(models.FinishToolCalls, "", book("1", 1), book("2", 2), models.ToolCall{ID: "3", Name: "boom"})), a)
	id, err := a.Schedule(t.Context(), tm.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := agents.Decide(t.Context(), tm.Client(), waitForRequest(t, tm.Client()).ID, agents.Decision{By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(t.Context(), tm.Client(), id); err == nil {
		t.Error("it did not fail")
	}
	var seen []string
	for ev, err := range agents.Past(t.Context(), tm.Client(), id, "") {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Undo {
			seen = append(seen, fmt.Sprint(ev.Kind, " ", ev.Agent, " ", ev.Tool, " ", ev.Error))
		}
	}
	want := []string{"tool a book ", "result a book ", "tool a book ", "result a book the desk is closed"}
	if !slices.Equal(seen, want) {
		t.Errorf("seen is %q, want %q", seen, want)
	}
}
