package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// deployed runs an agent to its second model turn, in one program, and to its end in
// another one that has it otherwise. It gives the run's end, and what its model was
// told in the second program.
func deployed(t *testing.T, before, after agents.Config) (agents.Result, []*models.Request, error) {
	t.Helper()
	ctx, disk := t.Context(), memory.New()
	in := make(chan struct{})
	asked := 0
	failing := scripted.Func(func(*models.Request) (*models.Response, error) {
		return nil, &models.Error{Kind: models.KindUnreachable, Message: "not now"}
	})
	hanging := func(ctx context.Context, _ string) (models.Model, error) {
		asked++
		if before.Retry != nil && asked == 1 {
			return failing, nil
		}
		if asked > 1 && before.Retry == nil || asked > 2 {
			close(in)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return turns(answer("", "on it", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})), nil
	}
	a := agents.New(before).Bound(1, 1000)
	rt, err := durable.OpenStore(ctx, disk, durable.Options{}, agents.Define(agents.Options{Models: hanging}, a))
	if err != nil {
		t.Fatal(err)
	}
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-in
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	var seen []*models.Request
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		seen = append(seen, req)
		if n := len(seen); n == 1 && len(req.Tools) > 0 {
			return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "2", Name: req.Tools[0].Name, Arguments: `{"name":"Rome"}`})}, nil
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
	})
	b := agents.New(after).Bound(1, 1000)
	rt, err = durable.OpenStore(ctx, disk.Reopen(), durable.Options{}, agents.Define(agents.Options{Models: only(m)}, b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	got, err := b.Wait(ctx, rt.Client(), id)
	load := func(r durable.Ref) ([]byte, error) { return rt.Client().Load(ctx, r) }
	n := 0
	chats := map[int32]json.RawMessage{}
	for ev, failed := range rt.Client().History(ctx, id, "") { // what a recording makes of it is what was told
		switch {
		case failed != nil:
			t.Fatal(failed)
		case ev.Kind == history.TaskScheduled && ev.Name == "chat:a":
			chats[ev.ID] = json.RawMessage(ev.Data)
		case ev.Kind == history.TaskCompleted && chats[ev.Answers] != nil:
			req, failed := agents.ChatRequest(load, chats[ev.Answers], json.RawMessage(ev.Data))
			if failed != nil {
				t.Fatal(failed)
			}
			if n++; n > 1 && req.Hash() != seen[n-2].Hash() {
				t.Errorf("turn %d is recorded as\n%+v\nand was\n%+v", n, req, seen[n-2])
			}
		}
	}
	if m, ok, failed := agents.RunManifest(ctx, rt.Client(), id); failed != nil || !ok || len(seen) > 0 && m.Instructions != "" && m.Instructions != seen[len(seen)-1].Messages[0].Content {
		t.Errorf("the run's manifest is %+v, %v, %v", m, ok, failed)
	}
	return got, seen, err
}

// TestDeploy: what a deploy in the middle of a run changes of it, by OnDeploy.
func TestDeploy(t *testing.T) {
	var calls atomic.Int32
	w := weather(&calls, tools.Pure())
	town := tools.New("weather", "Weather in a town.", func(context.Context, struct {
		Town string `json:"town"`
	}) (string, error) {
		return "", nil
	}, tools.Pure())
	child := agents.OrchestrationTool("weather", "Weather in a city.", durable.NewOrchestration("weather", func(*durable.Context, city) (string, error) {
		return "sunny", nil
	}))
	words := byWord(agents.OnArguments)
	output := byWord(agents.OnOutput)
	hooks := agents.Hooks{
		RunStart: func(context.Context, agents.RunState) error { return nil },
		RunEnd:   func(context.Context, agents.RunState, agents.RunEnd) error { return nil },
	}
	all := func(context.Context, agents.RunState, string) (bool, error) { return true, nil }
	told := func(context.Context, agents.RunState) (string, error) { return "Be kind.", nil }
	with := func(c agents.Config, f func(*agents.Config)) agents.Config {
		c.Name, c.Model = "a", "m"
		if c.Tools == nil {
			c.Tools = []tools.Tool{w}
		}
		f(&c)
		return c
	}
	for _, c := range []struct {
		name   string
		before agents.Config
		after  func(*agents.Config)
		err    string // part of; "": it goes on
		system string // what its model is told after the deploy
		broken string
		last   int // messages of the last request; 0: any number
	}{
		{name: "the same", after: func(*agents.Config) {}},
		{name: "pinned tool gone", after: func(c *agents.Config) { c.Tools = nil }, err: "no longer its tool weather", broken: "weather"},
		{name: "pinned child gone", before: agents.Config{Tools: []tools.Tool{child}}, after: func(c *agents.Config) { c.Tools = nil }, err: "no longer its tool weather", broken: "weather"},
		{name: "adopt without the child", before: agents.Config{OnDeploy: agents.Adopt, Tools: []tools.Tool{child}}, after: func(c *agents.Config) { c.Tools = []tools.Tool{w} }},
		{name: "pinned guardrail gone", before: agents.Config{Guardrails: []agents.Guardrail{words, {Name: "out", On: output.On, Check: output.Check}}},
			after: func(c *agents.Config) { c.Guardrails = c.Guardrails[1:] }, err: "no longer its guardrail words", broken: "words"},
		{name: "pinned function gone", before: agents.Config{Enabled: all}, after: func(c *agents.Config) { c.Enabled = nil }, err: "no longer its Enabled", broken: "Enabled"},
		{name: "pinned instructions function gone", before: agents.Config{InstructionsFunc: told}, after: func(c *agents.Config) { c.InstructionsFunc = nil }, err: "no longer its InstructionsFunc", broken: "Instr"},
		{name: "pinned", before: agents.Config{Instructions: "old"}, system: "old",
			after: func(c *agents.Config) {
				c.Instructions, c.MaxTurns, c.Sequential, c.Hooks = "new", 1, true, hooks
				c.Guardrails, c.Enabled = []agents.Guardrail{{Name: "no", On: agents.OnOutput, Check: byWord("").Check}}, all
			}},
		{name: "pinned retries", before: agents.Config{Retry: quick}, after: func(c *agents.Config) { c.Retry = &durable.RetryPolicy{MaxAttempts: 1} }},
		{name: "hooks gone", before: agents.Config{Hooks: hooks}, after: func(c *agents.Config) { c.Hooks = agents.Hooks{} }},
		{name: "adopt", before: agents.Config{OnDeploy: agents.Adopt, Instructions: "old"}, system: "new",
			after: func(c *agents.Config) {
				c.Instructions, c.Sequential, c.Hooks, c.Enabled = "new", true, hooks, all
				c.Guardrails = []agents.Guardrail{words}
				c.Window = 2
			}, last: 4},
		{name: "adopt fewer turns", before: agents.Config{OnDeploy: agents.Adopt}, after: func(c *agents.Config) { c.MaxTurns = 2 }, err: "may take 2"},
		{name: "adopt without what there was", before: agents.Config{OnDeploy: agents.Adopt, Guardrails: []agents.Guardrail{words}, Enabled: all, InstructionsFunc: told, Hooks: hooks},
			after: func(c *agents.Config) {
				*c = agents.Config{Name: "a", Model: "m", OnDeploy: agents.Adopt, Instructions: "new", Tools: c.Tools}
			}},
		{name: "adopt another schema", before: agents.Config{OnDeploy: agents.Adopt}, after: func(c *agents.Config) { c.Tools = []tools.Tool{town} }},
		{name: "fail", before: agents.Config{OnDeploy: agents.Fail}, after: func(c *agents.Config) { c.Instructions, c.MaxTurns = "new", 7 },
			err: agents.ErrManifestChanged.Error() + ": instructions, maxTurns", broken: "instructions, maxTurns"},
		{name: "fail for a schema", before: agents.Config{OnDeploy: agents.Fail}, after: func(c *agents.Config) { c.Tools = []tools.Tool{town} },
			err: "weather is described otherwise", broken: "weather"},
		{name: "fail where nothing changed", before: agents.Config{OnDeploy: agents.Fail, Hooks: hooks, Guardrails: []agents.Guardrail{words}}, after: func(*agents.Config) {}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := with(c.before, func(*agents.Config) {})
			after := with(c.before, c.after)
			got, seen, err := deployed(t, before, after)
			m := agents.New(before).Manifest()
			m.StartHook, m.EndHook = before.Hooks.RunStart != nil, before.Hooks.RunEnd != nil
			if broken := agents.New(after).Broken(m); c.broken == "" && broken != "" || !strings.Contains(broken, c.broken) {
				t.Errorf("a check of it says %q, want %q", broken, c.broken)
			}
			switch {
			case c.err != "":
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %+v, %v, want %q", got, err, c.err)
				}
				if want := agents.ErrManifestChanged; strings.HasPrefix(c.err, want.Error()) && !errors.Is(err, want) {
					t.Errorf("%v is not %v", err, want)
				}
				return
			case err != nil || got.Text != "done" || got.Turns != 3 || got.ToolCalls != 2:
				t.Fatalf("got %+v, %v", got, err)
			}
			if n := len(seen[len(seen)-1].Messages); c.last > 0 && n != c.last {
				t.Errorf("told %d messages in the end, not %d: %+v", n, c.last, seen[len(seen)-1].Messages)
			}
			if first := seen[0].Messages[0]; c.system != "" && (first.Role != models.RoleSystem || first.Content != c.system) {
				t.Errorf("told %+v", first)
			}
		})
	}
}
