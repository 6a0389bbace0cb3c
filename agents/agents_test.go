package agents_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// only answers every name with one model.
func only(m models.Model) func(context.Context, string) (models.Model, error) {
	return func(context.Context, string) (models.Model, error) { return m, nil }
}

// team is agents under test, and an orchestration that runs the first of them.
type team struct {
	*durable.Runtime
	run *durable.Orchestration[string, agents.Result]
}

func start(t *testing.T, m models.Model, list ...*agents.Agent) team {
	t.Helper()
	run := durable.NewOrchestration("run", func(ctx *durable.Context, in string) (agents.Result, error) {
		return list[0].Call(ctx, in)
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m)}, list...), run)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return team{rt, run}
}

func (tm team) ask(t *testing.T, in string) (agents.Result, error) {
	t.Helper()
	return tm.run.Run(t.Context(), tm.Client(), in)
}

type city struct {
	Name string `json:"name"`
}

func weather(calls *atomic.Int32, opts ...tools.Option) tools.Tool {
	return tools.New("weather", "Weather in a city.", func(_ context.Context, in city) (string, error) {
		calls.Add(1)
		if in.Name == "Atlantis" {
			return "", errors.New("no such city")
		}
		return in.Name + ": sunny", nil
	}, opts...)
}

func TestTurnsAndTools(t *testing.T) {
	var calls atomic.Int32
	var seen []*models.Request
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		seen = append(seen, req)
		if len(seen) == 1 {
			return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("let me look",
				models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`},
				models.ToolCall{ID: "2", Name: "weather", Arguments: `{"name":"Atlantis"}`},
				models.ToolCall{ID: "3", Name: "weather", Arguments: `{"town":"Rome"}`},
				models.ToolCall{ID: "4", Name: "wether", Arguments: `{}`},
			), Usage: models.Usage{InputTokens: 10, OutputTokens: 5}}, nil
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("Sunny in Oslo."), Usage: models.Usage{InputTokens: 20, OutputTokens: 7}}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Instructions: "Be short.", Tools: []tools.Tool{weather(&calls, tools.Pure())}}))
	got, err := tm.ask(t, "How is the weather?")
	if err != nil {
		t.Fatal(err)
	}
	if got.Text != "Sunny in Oslo." || got.Turns != 2 || got.ToolCalls != 4 || got.Usage.InputTokens != 30 || got.Usage.OutputTokens != 12 {
		t.Errorf("result %+v", got)
	}
	if calls.Load() != 2 {
		t.Errorf("the tool ran %d times, not twice", calls.Load())
	}
	var said []string
	for _, msg := range seen[1].Messages {
		said = append(said, string(msg.Role)+" "+msg.ToolCallID+" "+msg.Content)
	}
	for i, want := range []string{"system  Be short.", "user  How is", "assistant  let me look", "tool 1 Oslo: sunny", "tool 2 no such city", "tool 3 ", "tool 4 "} {
		if i >= len(said) || !strings.HasPrefix(strings.ToLower(said[i]), strings.ToLower(want)) {
			t.Errorf("message %d: want %q…, got %q", i, want, said)
		}
	}
	if !strings.Contains(said[5], "town") || !strings.Contains(said[6], "there are: weather") {
		t.Errorf("bad calls are answered by %q and %q", said[5], said[6])
	}
}

func TestApproval(t *testing.T) {
	for _, c := range []struct {
		name     string
		decision agents.Decision
		ran      int32
		answer   string
	}{
		{"approved", agents.Decision{Approve: true, By: "eva"}, 1, "Oslo: sunny"},
		{"edited", agents.Decision{Approve: true, By: "eva", Arguments: `{"name":"Rome"}`}, 1, "Rome: sunny"},
		{"rejected", agents.Decision{By: "eva", Comment: "not today"}, 0, "not today"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var calls atomic.Int32
			m := scripted.Func(func(req *models.Request) (*models.Response, error) {
				last := req.Messages[len(req.Messages)-1]
				if last.Role == models.RoleTool {
					return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(last.Content)}, nil
				}
				return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
			})
			tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.NeedsApproval(tools.Approval{Within: time.Hour}))}}))
			ctx := t.Context()
			id, err := tm.run.Schedule(ctx, tm.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			a := waitForRequest(t, tm.Client())
			if a.Run != id || a.Tool != "weather" || a.Arguments != `{"name":"Oslo"}` || a.Agent != "a" || calls.Load() != 0 {
				t.Errorf("request %+v after %d calls", a, calls.Load())
			}
			c.decision.Nonce = "n"
			for range 2 { // again, as whoever has lost the answer
				if x, err := agents.Decide(ctx, tm.Client(), a.ID, c.decision); err != nil || len(x.Decisions) != 1 {
					t.Fatal(x, err)
				}
			}
			_, err = agents.Decide(ctx, tm.Client(), a.ID, agents.Decision{Approve: true, By: "tom"})
			if !errors.Is(err, agents.ErrNotCounted) || !strings.Contains(err.Error(), "eva") {
				t.Errorf("the second decision: %v", err)
			}
			got, err := tm.run.Wait(ctx, tm.Client(), id)
			if err != nil || !strings.Contains(got.Text, c.answer) || calls.Load() != c.ran {
				t.Errorf("got %+v, %v, after %d calls", got, err, calls.Load())
			}
		})
	}
}

// waitForRequest gives the first request in the inbox.
func waitForRequest(t *testing.T, c *durable.Client) agents.Approval {
	t.Helper()
	for {
		list, err := agents.Inbox(t.Context(), c, "", true)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) > 0 {
			return list[0]
		}
	}
}

type report struct {
	Cause string `json:"cause"`
}

func TestStructuredOutput(t *testing.T) {
	n := 0
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		n++
		text := `{"reason":"x"}`
		if n == 2 {
			text = `{"cause":"a small pool"}`
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(text)}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Output: agents.OutputOf[report]()}))
	got, err := tm.ask(t, "why?")
	if err != nil {
		t.Fatal(err)
	}
	r, err := agents.Decode[report](got)
	if err != nil || r.Cause != "a small pool" || got.Turns != 2 {
		t.Errorf("got %+v, %v after %d turns", r, err, got.Turns)
	}
}

func TestMaxTurns(t *testing.T) {
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
	})
	var calls atomic.Int32
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 3, Tools: []tools.Tool{weather(&calls, tools.Pure())}}))
	_, err := tm.ask(t, "go")
	if err == nil || !strings.Contains(err.Error(), "used up its turns") || calls.Load() != 3 {
		t.Errorf("got %v after %d calls", err, calls.Load())
	}
}

// A run of more turns than one execution takes goes on in the next, with the
// same manifest and the whole conversation.
func TestLongRun(t *testing.T) {
	const turns = 230
	var calls atomic.Int32
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if n := models.AssistantTurns(req.Messages) + 1; n == turns {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 1000, Tools: []tools.Tool{weather(&calls, tools.Pure())}}))
	got, err := tm.ask(t, "go")
	if err != nil || got.Text != "done" || got.Turns != turns || calls.Load() != turns-1 {
		t.Errorf("got %+v, %v after %d calls", got, err, calls.Load())
	}
}

func TestWrongConfigurations(t *testing.T) {
	var n atomic.Int32
	w := weather(&n)
	for want, c := range map[string]agents.Config{
		"agent name":    {Name: "a b", Model: "m"},
		"no model":      {Name: "a"},
		"weather":       {Name: "a", Model: "m", Tools: []tools.Tool{w, w}},
		"not be negati": {Name: "a", Model: "m", MaxTurns: -1},
	} {
		if _, err := agents.Make(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", c, err, want)
		}
	}
	twice := []*agents.Agent{agents.New(agents.Config{Name: "a", Model: "m"}), agents.New(agents.Config{Name: "a", Model: "m"})}
	_, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{}, twice...))
	if err == nil || !strings.Contains(err.Error(), `"agent:a"`) {
		t.Errorf("two agents of one name: %v", err)
	}
}
