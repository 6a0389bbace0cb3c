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

// flaky is a toolset that is down for some of the times that it is asked.
type flaky struct {
	list  []tools.Tool
	asked atomic.Int32
	down  func(n int32) bool // the nth time
}

func (*flaky) Name() string { return "remote" }
func (f *flaky) Tools(context.Context) ([]tools.Tool, error) {
	if n := f.asked.Add(1); f.down(n) {
		return nil, errors.New("nobody there")
	}
	return f.list, nil
}

func raw(t *testing.T, name string, f func(context.Context) (string, error), opts ...tools.Option) tools.Tool {
	t.Helper()
	tool, err := tools.Raw(name, "", json.RawMessage(`{"type":"object"}`), func(ctx context.Context, _ json.RawMessage) (tools.Result, error) {
		s, err := f(ctx)
		return tools.Result{Content: s}, err
	}, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return tool
}

// TestToolsetDown: a run whose toolset is away when it begins tries again; in the
// middle, the model is told, and the answer that was paid for is not asked again.
func TestToolsetDown(t *testing.T) {
	for _, c := range []struct {
		name   string
		deploy agents.DeployAction
		down   func(n int32) bool
		err    string
		told   string
	}{
		{name: "at the start", down: func(n int32) bool { return n <= 2 }, told: "seen"},
		{name: "for ever", down: func(int32) bool { return true }, err: "toolset remote: nobody there"},
		{name: "in the middle", down: func(n int32) bool { return n == 2 }, told: "toolset remote: nobody there"},
		{name: "between the check and the call", down: func(n int32) bool { return n == 3 }, told: "toolset remote: nobody there"},
		{name: "in the middle, where it is compared", deploy: agents.Adopt, down: func(n int32) bool { return n == 2 }, told: "seen"},
		{name: "in the middle, where it must not change", deploy: agents.Fail, down: func(n int32) bool { return n > 1 }, told: "toolset remote: nobody there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen []*models.Request
			look := raw(t, "look", func(context.Context) (string, error) { return "seen", nil }, tools.Pure())
			a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, OnDeploy: c.deploy, Toolsets: []tools.Toolset{&flaky{list: []tools.Tool{look}, down: c.down}},
				StopWhen: func(_ context.Context, s agents.RunState) (bool, error) { return s.ToolCalls > 0, nil }})
			tm := start(t, looping(&seen, "look", "{}"), a)
			got, err := tm.ask(t, "go")
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			said := conversation(t, tm.Client(), agentRun(t, tm.Client()))
			if err != nil || len(seen) != 1 || !strings.Contains(said[len(said)-1], c.told) {
				t.Errorf("got %+v, %v after %d turns; the conversation is %q", got, err, len(seen), said)
			}
		})
	}
}

// TestToolsetNames: a name that two sets have, or a set and the agent, is not told to
// the model twice.
func TestToolsetNames(t *testing.T) {
	var calls atomic.Int32
	var seen []*models.Request
	never := func(int32) bool { return false }
	mine := raw(t, "weather", func(context.Context) (string, error) { return "", nil }, tools.Pure())
	tm := start(t, looping(&seen, "look", "{}"), agents.New(agents.Config{Name: "a", Model: "m", Retry: quick,
		Tools: []tools.Tool{weather(&calls, tools.Pure())}, Toolsets: []tools.Toolset{&flaky{list: []tools.Tool{mine}, down: never}}}))
	if _, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), `toolset remote has a tool "weather", and so has the agent itself`) || len(seen) > 0 {
		t.Errorf("got %v", err)
	}
}

// TestToolsetUnsafe: an unsafe tool of a toolset that was cut off is not called again:
// people are asked.
func TestToolsetUnsafe(t *testing.T) {
	ctx, disk := t.Context(), memory.New()
	var image *memory.Store
	var paid atomic.Int32
	pay := raw(t, "pay", func(context.Context) (string, error) {
		if paid.Add(1) == 1 {
			image = disk.Clone()
		}
		return "paid", nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Toolsets: []tools.Toolset{&flaky{list: []tools.Tool{pay}, down: func(int32) bool { return false }}}})
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if models.AssistantTurns(req.Messages) > 0 {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "pay", Arguments: "{}"})}, nil
	})
	for n, disk := range []func() *memory.Store{func() *memory.Store { return disk }, func() *memory.Store { return image }} {
		rt, err := durable.OpenStore(ctx, disk(), durable.Options{}, agents.Define(agents.Options{Models: only(m)}, a))
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			if _, err := a.Schedule(ctx, rt.Client(), "go", agents.With(durable.WithInstanceID("run"))); err != nil {
				t.Fatal(err)
			}
		} else {
			req := waitForRequest(t, rt.Client())
			if req.Kind != agents.KindOutcome || req.Tool != "pay" {
				t.Errorf("asked is %+v", req)
			}
			if _, err := agents.Decide(ctx, rt.Client(), req.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := a.Wait(ctx, rt.Client(), "run"); err != nil || got.Text != "done" || paid.Load() != 1 {
			t.Errorf("got %+v, %v, paid %d times", got, err, paid.Load())
		}
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// changing is a toolset whose tool has another effect from the nth time on that it is
// asked.
type changing struct {
	asked    atomic.Int32
	from     int32
	old, now tools.Tool
}

func (*changing) Name() string { return "remote" }
func (c *changing) Tools(context.Context) ([]tools.Tool, error) {
	if c.asked.Add(1) >= c.from {
		return []tools.Tool{c.now}, nil
	}
	return []tools.Tool{c.old}, nil
}

// TestToolsetBecomesUnsafe: what a server says in the middle of a run can make a tool's
// calls stricter, and never laxer.
func TestToolsetBecomesUnsafe(t *testing.T) {
	for _, c := range []struct {
		name     string
		old, now tools.Option
		from     int32 // 1 begins the run, 2 looks at a call, 3 makes it
		activity string
		called   bool
	}{
		{"before the call", tools.Idempotent(), tools.Unsafe(), 2, "tool:a/*", true},
		{"between the check and the call", tools.Pure(), tools.Unsafe(), 3, "tool:a/*pure", false},
		{"it becomes pure", tools.Unsafe(), tools.Pure(), 2, "tool:a/*", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, called := t.Context(), false
			tool := func(o tools.Option) tools.Tool {
				return raw(t, "pay", func(context.Context) (string, error) { called = true; return "paid", nil }, o)
			}
			a := agents.New(agents.Config{Name: "a", Model: "m", Toolsets: []tools.Toolset{&changing{from: c.from, old: tool(c.old), now: tool(c.now)}}})
			m := turns(answer("", "", models.ToolCall{ID: "1", Name: "pay"}), say("done"))
			rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
			id, err := a.Schedule(ctx, rt.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
				t.Fatal(err)
			}
			activity := ""
			for ev, err := range rt.Client().History(ctx, id, "") {
				if err != nil {
					t.Fatal(err)
				}
				if ev.Kind == history.TaskScheduled && strings.HasPrefix(ev.Name, "tool:") {
					activity = ev.Name
				}
			}
			if activity != c.activity || called != c.called {
				t.Errorf("the call was one of %s, made: %v", activity, called)
			}
		})
	}
}
