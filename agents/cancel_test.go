package agents_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// valid fails t if a provider would refuse the conversation: each tool call has one
// answer, directly after its message and in order, and no message is empty.
func valid(t fataler, list []models.Message) {
	t.Helper()
	var open []models.ToolCall
	for i, m := range list {
		switch {
		case m.Role == models.RoleTool:
			if len(open) == 0 || open[0].ID != m.ToolCallID {
				t.Errorf("message %d answers call %q; open are %v", i, m.ToolCallID, open)
				return
			}
			open = open[1:]
		case len(open) > 0:
			t.Errorf("message %d comes before the answers of %v", i, open)
			return
		case m.Role == models.RoleAssistant && strings.TrimSpace(m.Content) == "" && len(m.ToolCalls) == 0:
			t.Errorf("message %d is empty", i)
		}
		if m.Role == models.RoleAssistant {
			open = m.ToolCalls
		}
	}
	if len(open) > 0 {
		t.Errorf("calls without an answer: %v", open)
	}
}

// TestCancel: a run that is cancelled in the middle of a message's calls says in its
// conversation what was done and what was not, so that another can go on with it.
func TestCancel(t *testing.T) {
	ctx := t.Context()
	var calls atomic.Int32
	begun := make(chan struct{})
	slow := tools.New("slow", "", func(ctx context.Context, _ struct{}) (string, error) {
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	}, tools.Pure())
	buy := tools.New("buy", "", func(context.Context, struct{}) (string, error) { return "bought", nil }, tools.NeedsApproval(tools.Approval{}))
	var ended atomic.Pointer[agents.RunEnd]
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if models.AssistantTurns(req.Messages) > 0 {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("hello again")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("",
			models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`}, models.ToolCall{ID: "2", Name: "slow"}, models.ToolCall{ID: "3", Name: "buy"})}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure()), slow, buy}, Hooks: agents.Hooks{
		RunEnd: func(_ context.Context, _ agents.RunState, end agents.RunEnd) error { ended.Store(&end); return nil },
	}})
	rt, err := agents.Open(ctx, "memory:", agents.Options{Models: only(m)}, durable.Options{}, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	c := rt.Client()
	id, err := a.Schedule(ctx, c, "go", agents.InConversation("shared"))
	if err != nil {
		t.Fatal(err)
	}
	f := rt.Stream().Follow(id)
	defer f.Stop()
	req := waitForRequest(t, c)
	<-begun
	waitForResults(t, c, id, 1)
	if err := c.Cancel(ctx, id, "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, c, id); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("the run ended with %v", err)
	}
	if s, err := c.Get(ctx, id); err != nil || s.Status != history.Canceled {
		t.Errorf("it is %+v, %v", s, err)
	}
	if end := ended.Load(); end == nil || !strings.Contains(end.Error, "enough") {
		t.Errorf("the hook was told %+v", end)
	}
	list := messages(t, c, "shared")
	valid(t, list)
	if len(list) != 5 || list[2].Content != "Oslo: sunny" || !strings.Contains(list[3].Content, "enough") || !strings.Contains(list[4].Content, "enough") {
		t.Errorf("the conversation is %q", conversation(t, c, "shared"))
	}
	if all, err := agents.Inbox(ctx, c, "", false); err != nil || len(all) != 1 || all[0].Status != agents.Withdrawn {
		t.Errorf("requests %+v, %v", all, err)
	}
	if _, err := agents.Decide(ctx, c, req.ID, agents.Decision{Approve: true, By: "eva"}); !errors.Is(err, agents.ErrNotCounted) {
		t.Errorf("a decision: %v", err)
	}
	again, err := a.Schedule(ctx, c, "and now?", agents.InConversation("shared"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wait(ctx, c, again); err != nil || got.Text != "hello again" {
		t.Errorf("then: %+v, %v", got, err)
	}
	valid(t, messages(t, c, "shared"))
}

// TestCancelMoments: a run is cancelled at once, wherever it is, with all that it has
// under way.
func TestCancelMoments(t *testing.T) {
	hang := func(begun chan struct{}) func(context.Context, struct{}) (string, error) {
		return func(ctx context.Context, _ struct{}) (string, error) {
			close(begun)
			<-ctx.Done()
			return "", ctx.Err()
		}
	}
	for _, c := range []struct {
		name  string
		calls []models.ToolCall
		until func(t *testing.T, c *durable.Client, id string, begun chan struct{}) // it is in the middle
		told  []string                                                              // the conversation's last messages have these
	}{
		{name: "a model call", until: func(_ *testing.T, _ *durable.Client, _ string, begun chan struct{}) { <-begun }},
		{name: "an unsafe call", calls: []models.ToolCall{{Name: "unsafe", Arguments: "{}"}, in("Oslo")}, told: []string{"nobody knows whether it took effect", "Oslo: sunny"},
			until: func(t *testing.T, c *durable.Client, id string, begun chan struct{}) {
				<-begun
				answeredIn(t, c, id, "tool:a/weather")
			}},
		{name: "an approval in a child", calls: []models.ToolCall{{Name: "expert", Arguments: `{"task":"x"}`}}, told: []string{"enough"},
			until: func(t *testing.T, c *durable.Client, _ string, _ chan struct{}) { waitForRequest(t, c) }},
		{name: "a pause", until: func(t *testing.T, c *durable.Client, id string, begun chan struct{}) {
			<-begun
			if err := errors.Join(agents.Pause(t.Context(), c, id), agents.RetryTurn(t.Context(), c, id)); err != nil {
				t.Fatal(err)
			}
			for {
				if s, err := c.Get(t.Context(), id); err != nil || strings.Contains(string(s.CustomStatus), "paused") {
					return
				}
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			begun := make(chan struct{})
			var calls, asked atomic.Int32
			ask := tools.New("ask", "", func(context.Context, struct{}) (string, error) { return "", nil }, tools.NeedsApproval(tools.Approval{}))
			expert := agents.New(agents.Config{Name: "expert", Model: "expert", Tools: []tools.Tool{ask}})
			var ended atomic.Pointer[agents.RunEnd]
			a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure()), tools.New("unsafe", "", hang(begun)), agents.AsTool(expert)},
				Hooks: agents.Hooks{RunEnd: func(_ context.Context, _ agents.RunState, end agents.RunEnd) error { ended.Store(&end); return nil }}})
			find := func(ctx context.Context, name string) (models.Model, error) {
				switch {
				case name == "expert":
					return byTurn(calling("", models.ToolCall{Name: "ask", Arguments: "{}"})), nil
				case len(c.calls) > 0:
					return byTurn(calling("", c.calls...)), nil
				case asked.Add(1) > 1: // the second time
					return byTurn(saying("done")), nil
				}
				close(begun)
				<-ctx.Done()
				return nil, ctx.Err()
			}
			rt, err := durable.Open(ctx, "memory:", agents.Define(agents.Options{Models: find}, a))
			if err != nil {
				t.Fatal(err)
			}
			defer rt.Close()
			cl := rt.Client()
			id, err := a.Schedule(ctx, cl, "go")
			if err != nil {
				t.Fatal(err)
			}
			c.until(t, cl, id, begun)
			if err := cl.Cancel(ctx, id, "enough"); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, cl, id); err == nil || !errors.Is(err, context.Canceled) {
				t.Errorf("it ended with %v", err)
			}
			for s, err := range cl.Query(ctx, durable.Query{}) {
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(s.Name, "agent:") {
					continue
				}
				if _, err := cl.Wait(ctx, s.ID); err != nil {
					t.Fatal(err)
				}
				if s, err = cl.Get(ctx, s.ID); err != nil || s.Status != history.Canceled || strings.Contains(string(s.CustomStatus), "paused") {
					t.Errorf("%s is %s, %s, %v", s.Name, s.Status, s.CustomStatus, err)
				}
			}
			if end := ended.Load(); end == nil || !strings.Contains(end.Error, "enough") {
				t.Errorf("the hook was told %+v", end)
			}
			list := messages(t, cl, id)
			valid(t, list)
			for i, want := range c.told {
				if got := list[len(list)-len(c.told)+i].Content; !strings.Contains(got, want) {
					t.Errorf("the conversation has %q, not %q", got, want)
				}
			}
			all, err := agents.Inbox(ctx, cl, "", false)
			for _, x := range all {
				if x.Status != agents.Withdrawn {
					t.Errorf("nobody waits for %+v any more", x)
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// answeredIn waits until a step of that name has its answer in a run's history.
func answeredIn(t *testing.T, c *durable.Client, id, name string) {
	t.Helper()
	for {
		scheduled := map[int32]bool{}
		for ev, err := range c.History(t.Context(), id, "") {
			switch {
			case err != nil:
				t.Fatal(err)
			case ev.Kind == history.TaskScheduled && ev.Name == name:
				scheduled[ev.ID] = true
			case ev.Kind == history.TaskCompleted && scheduled[ev.Answers]:
				return
			}
		}
	}
}
