package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/agentrun-dev/agentrun/tools"
)

// looping calls a tool in every turn, until it is offered none.
func looping(seen *[]*models.Request, tool, arguments string) models.Model {
	return scripted.Func(func(req *models.Request) (*models.Response, error) {
		*seen = append(*seen, req)
		if len(req.Tools) == 0 {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("as far as I came")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("on it", models.ToolCall{ID: "1", Name: tool, Arguments: arguments})}, nil
	})
}

func TestOnMaxTurns(t *testing.T) {
	var calls atomic.Int32
	successor := agents.New(agents.Config{Name: "b", Model: "m", Instructions: "Finish."})
	for _, c := range []struct {
		action agents.MaxTurnsAction
		next   *agents.Agent
		text   string
		turns  int
		err    string
	}{
		{action: agents.MaxTurnsFail, err: agents.ErrMaxTurns.Error()},
		{action: agents.MaxTurnsSummary, text: "as far as I came", turns: 4},
		{action: agents.MaxTurnsHandOver, next: successor, text: "as far as I came", turns: 4},
	} {
		t.Run(string(c.action), func(t *testing.T) {
			var seen []*models.Request
			tm := start(t, looping(&seen, "weather", `{"name":"Oslo"}`), agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 3,
				Tools: []tools.Tool{weather(&calls, tools.Pure())}, OnMaxTurns: c.action, Successor: c.next}))
			got, err := tm.ask(t, "go")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v", err)
				}
				return
			}
			if err != nil || got.Text != c.text || got.Turns != c.turns || got.Stop != agents.StopMaxTurns {
				t.Errorf("got %+v, %v", got, err)
			}
			var told strings.Builder
			for _, m := range seen[len(seen)-1].Messages {
				told.WriteString(m.Content)
			}
			if c.next != nil && strings.Count(told.String(), "Oslo: sunny") != 3 {
				t.Errorf("the successor was not told what was done: %s", told.String())
			}
		})
	}
}

func TestStops(t *testing.T) {
	var calls atomic.Int32
	var seen []*models.Request
	stop := agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}, StopTools: []string{"weather"}}
	got, err := start(t, looping(&seen, "weather", `{"name":"Oslo"}`), agents.New(stop)).ask(t, "go")
	if err != nil || got.Text != "Oslo: sunny" || got.Stop != agents.StopTool || got.Turns != 1 {
		t.Errorf("after a tool: %+v, %v", got, err)
	}
	when := agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}, StopWhen: func(_ context.Context, s agents.RunState) (bool, error) {
		return s.ToolCalls == 2 && s.Last.Content == "Oslo: sunny" && s.Input == "go", nil
	}}
	got, err = start(t, looping(&seen, "weather", `{"name":"Oslo"}`), agents.New(when)).ask(t, "go")
	if err != nil || got.Text != "on it" || got.Stop != agents.StopWhen || got.Turns != 2 {
		t.Errorf("by a condition: %+v, %v", got, err)
	}
}

// TestInstructions: each way to give them, and the run's own in the place of all.
func TestInstructions(t *testing.T) {
	prompt := prompts.Must(prompts.Parse("p.md", []byte("---\nname: p\nversion: 2\nvariables:\n  who: {type: string}\n---\nServe {{ .who }}.\n")))
	for _, c := range []struct {
		name   string
		config agents.Config
		opts   []agents.CallOption
		want   string
		err    string
	}{
		{name: "static", config: agents.Config{Instructions: "Be short."}, want: "Be short."},
		{name: "prompt", config: agents.Config{Prompt: prompt}, opts: []agents.CallOption{agents.WithVars(map[string]any{"who": "Eva"})}, want: "Serve Eva."},
		{name: "prompt without its variable", config: agents.Config{Prompt: prompt}, err: "who"},
		{name: "variables without a prompt", opts: []agents.CallOption{agents.WithVars(map[string]any{"who": "Eva"})}, err: "no prompt"},
		{name: "function", config: agents.Config{InstructionsFunc: func(_ context.Context, s agents.RunState) (string, error) {
			var name string
			_, err := s.Value("customer", &name)
			return "You are " + s.Agent + " and serve " + name, err
		}}, opts: []agents.CallOption{agents.WithState(map[string]any{"customer": "Eva"})}, want: "You are a and serve Eva"},
		{name: "override", config: agents.Config{Prompt: prompt}, opts: []agents.CallOption{agents.WithInstructions("None of that.")}, want: "None of that."},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Name, c.config.Model = "a", "m"
			a := agents.New(c.config)
			var told *models.Request
			m := scripted.Func(func(req *models.Request) (*models.Response, error) {
				told = req
				return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("yes")}, nil
			})
			rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m)}, a))
			if err != nil {
				t.Fatal(err)
			}
			defer rt.Close()
			id, err := a.Schedule(t.Context(), rt.Client(), "hello", c.opts...)
			if err != nil {
				t.Fatal(err)
			}
			_, err = a.Wait(t.Context(), rt.Client(), id)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %v, want it to say %q", err, c.err)
				}
				return
			}
			if err != nil || told.Messages[0].Role != models.RoleSystem || told.Messages[0].Content != c.want {
				t.Errorf("told %+v, %v", told, err)
			}
		})
	}
}

// TestOverrides: one run is another than the agent's others.
func TestOverrides(t *testing.T) {
	var calls atomic.Int32
	var seen []*models.Request
	other := tools.New("other", "Another tool.", func(context.Context, struct{}) (string, error) { return "", nil }, tools.Pure())
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure()), other}, Sequential: true,
		Enabled: func(_ context.Context, s agents.RunState, tool string) (bool, error) {
			return tool != "weather" || s.Turns > 0, nil
		}})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, _ string) (agents.Result, error) {
		picture := models.Message{Role: models.RoleUser, Content: "what is this?", Images: []models.Image{{MediaType: "image/png", Data: []byte{1, 2}}}}
		return a.Call(ctx, picture, agents.WithModel("big"), agents.WithTools("weather"), agents.WithMaxTurns(2),
			agents.WithParams(models.Params{ToolChoice: models.ToolChoiceRequired}))
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(scripted.Func(func(req *models.Request) (*models.Response, error) {
		seen = append(seen, req)
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
	}))}, a), run)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := run.Run(t.Context(), rt.Client(), ""); err == nil || !strings.Contains(err.Error(), "may take 2") {
		t.Errorf("got %v", err)
	}
	if len(seen) != 2 || seen[0].Model != "big" || len(seen[0].Tools) != 0 || len(seen[1].Tools) != 1 || seen[1].Tools[0].Name != "weather" {
		t.Fatalf("requests %+v", seen)
	}
	if p := seen[0].Params; p.ToolChoice != "" || p.ParallelToolCalls != nil {
		t.Errorf("a request without tools chooses %+v", p)
	}
	if p := seen[1].Params; p.ToolChoice != "" || p.ParallelToolCalls == nil || *p.ParallelToolCalls {
		t.Errorf("a request after the first calls chooses %+v", p)
	}
	if img := seen[1].Messages[0].Images; len(img) != 1 || string(img[0].Data) != "\x01\x02" {
		t.Errorf("the picture is lost: %+v", seen[1].Messages)
	}
	if calls.Load() != 1 {
		t.Errorf("the tool was called %d times; in the first turn it was not enabled", calls.Load())
	}
}

type order struct {
	Amount int `json:"amount"`
}

// TestAgentAsTool: an agent and an orchestration that another agent calls.
func TestAgentAsTool(t *testing.T) {
	double := durable.NewOrchestration("double", func(_ *durable.Context, in order) (order, error) {
		if in.Amount == 13 {
			return in, errors.New("not that number")
		}
		return order{2 * in.Amount}, nil
	})
	expert := agents.New(agents.Config{Name: "expert", Description: "Knows.", Model: "m"})
	boss := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{agents.AsTool(expert), agents.OrchestrationTool("double", "Doubles.", double)}})
	var told []string
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if req.Agent == "expert" {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("42, since " + req.Messages[len(req.Messages)-1].Content)}, nil
		}
		if last := req.Messages[len(req.Messages)-1]; last.Role == models.RoleTool {
			for _, m := range req.Messages[2:] {
				told = append(told, m.Content)
			}
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("",
			models.ToolCall{ID: "1", Name: "expert", Arguments: `{"task":"why?"}`},
			models.ToolCall{ID: "2", Name: "double", Arguments: `{"amount":21}`},
			models.ToolCall{ID: "3", Name: "double", Arguments: `{"amount":13}`})}, nil
	})
	tm := start(t, m, boss)
	if _, err := tm.ask(t, "go"); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 || told[0] != "42, since why?" || told[1] != `{"amount":42}` || !strings.Contains(told[2], "not that number") {
		t.Errorf("the boss was told %q", told)
	}
	for s, err := range tm.Client().Query(t.Context(), durable.Query{Names: []string{"agent:expert", "double"}}) {
		if err != nil || s.Tags[agents.RunTag] == "" {
			t.Errorf("child %s has tags %v, %v", s.ID, s.Tags, err)
		}
	}
}

// set is a toolset whose tools change.
type set struct{ list atomic.Pointer[[]tools.Tool] }

func (*set) Name() string { return "remote" }
func (s *set) Tools(context.Context) ([]tools.Tool, error) {
	if l := s.list.Load(); l != nil {
		return *l, nil
	}
	return nil, errors.New("nobody there")
}

func TestToolset(t *testing.T) {
	var seen []*models.Request
	remote := &set{}
	look, err := tools.Raw("look", "Looks.", json.RawMessage(`{"type":"object"}`), func(context.Context, json.RawMessage) (tools.Result, error) {
		remote.list.Store(&[]tools.Tool{}) // from here on it is gone
		return tools.Result{Content: "seen"}, nil
	}, tools.Pure())
	if err != nil {
		t.Fatal(err)
	}
	remote.list.Store(&[]tools.Tool{look})
	tm := start(t, looping(&seen, "look", `{}`), agents.New(agents.Config{Name: "a", Model: "m", Toolsets: []tools.Toolset{remote}, MaxTurns: 2, OnMaxTurns: agents.MaxTurnsSummary}))
	got, err := tm.ask(t, "go")
	if err != nil || got.ToolCalls != 2 {
		t.Fatalf("got %+v, %v", got, err)
	}
	last := seen[2].Messages
	if last[2].Content != "seen" || !strings.Contains(last[4].Content, "not there any more") {
		t.Errorf("told %+v", last)
	}
}

// TestRetryFunction: it is asked about a step's own error, once for each failure.
func TestRetryFunction(t *testing.T) {
	ctx := t.Context()
	var asked []models.ErrorKind
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		if len(asked) == 0 {
			return nil, &models.Error{Kind: models.KindUnreachable, Message: "not now"}
		}
		return nil, &models.Error{Kind: models.KindTimeout, Message: "too late"}
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: &durable.RetryPolicy{MaxAttempts: 9, Retry: func(err error) bool {
		asked = append(asked, models.KindOf(err))
		return models.KindOf(err) == models.KindUnreachable
	}}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err == nil || !strings.Contains(err.Error(), "too late") || !slices.Equal(asked, []models.ErrorKind{models.KindUnreachable, models.KindTimeout}) {
		t.Errorf("asked about %v; it ended with %v", asked, err)
	}
}

// TestRetryFunctionChanged: a program whose function would decide otherwise goes on with
// a run after a failure of which another one has decided.
func TestRetryFunctionChanged(t *testing.T) {
	ctx, disk := t.Context(), memory.New()
	config := func(again bool) agents.Config {
		return agents.Config{Name: "a", Model: "m", Retry: &durable.RetryPolicy{MaxAttempts: 9, Retry: func(error) bool { return again }}}
	}
	in, asked := make(chan struct{}), 0
	failing := scripted.Func(func(*models.Request) (*models.Response, error) {
		return nil, &models.Error{Kind: models.KindUnreachable, Message: "not now"}
	})
	hanging := func(ctx context.Context, _ string) (models.Model, error) {
		if asked++; asked == 1 {
			return failing, nil
		}
		close(in)
		<-ctx.Done()
		return nil, ctx.Err()
	}
	a := agents.New(config(true))
	rt := opened(t, disk, agents.Options{Models: hanging}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-in
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	a = agents.New(config(false))
	rt = opened(t, disk.Reopen(), agents.Options{Models: only(turns(say("done")))}, a)
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "done" {
		t.Errorf("got %+v, %v", got, err)
	}
}
