package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// byTurn answers with what is scripted for as many answers as a conversation has, so
// that a turn that is asked again gets the same.
func byTurn(list ...*models.Response) models.Model {
	return scripted.Func(func(req *models.Request) (*models.Response, error) {
		n := models.AssistantTurns(req.Messages)
		if n >= len(list) {
			return nil, &models.Error{Kind: models.KindNoAnswer, Message: fmt.Sprintf("turn %d is not in the script", n+1)}
		}
		r := *list[n]
		return &r, nil
	})
}

func calling(text string, calls ...models.ToolCall) *models.Response {
	for i := range calls {
		calls[i].ID = fmt.Sprint(i + 1)
	}
	return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage(text, calls...), Usage: models.Usage{InputTokens: 3, OutputTokens: 2}}
}

func saying(text string) *models.Response {
	return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(text), Usage: models.Usage{InputTokens: 3, OutputTokens: 2}}
}

func in(name string) models.ToolCall {
	return models.ToolCall{Name: "weather", Arguments: `{"name":"` + name + `"}`}
}

// deciding gives an answer to each request of a run as it comes, until the run ends.
// Whoever is named in arguments with "no" is refused.
func deciding(ctx context.Context, c *durable.Client, id string) error {
	for {
		s, err := c.Get(ctx, id)
		if err != nil || s.Status.Ended() {
			return err
		}
		list, err := agents.Inbox(ctx, c, "", true)
		if err != nil {
			return err
		}
		for _, a := range list {
			d := agents.Decision{Approve: !strings.Contains(a.Arguments, "no"), By: "eva", Nonce: a.ID}
			if _, err := agents.Decide(ctx, c, a.ID, d); err != nil && !errors.Is(err, agents.ErrNotCounted) && !durable.IsNotFound(err) {
				return err
			}
		}
	}
}

// outcomes is what a run comes to: its result, or its error, and its conversation.
type outcomes struct {
	Result       agents.Result
	Err          string
	Conversation []models.Message
	Asked        []string // of people
}

func outcomeOf(ctx context.Context, t *testing.T, c *durable.Client, a *agents.Agent, id string) (out outcomes, err error) {
	t.Helper()
	var failed error
	if out.Result, failed = a.Wait(ctx, c, id); failed != nil {
		out.Err = failed.Error()
	}
	out.Conversation = messages(t, c, id)
	valid(t, out.Conversation)
	list, err := agents.Inbox(ctx, c, "", false)
	for _, a := range list {
		out.Asked = append(out.Asked, fmt.Sprint(a.Kind, " ", a.Tool, a.Arguments, " ", a.Status, " ", len(a.Decisions)))
	}
	slices.Sort(out.Asked)
	return out, err
}

// TestCrashAgents: whatever a run is made of, a crash at any point changes nothing of
// what comes out, and no tool that is unsafe is called twice.
func TestCrashAgents(t *testing.T) {
	var mu sync.Mutex
	paid := map[string]int{} // by key
	pay := func(opts ...tools.Option) tools.Tool {
		return tools.New("pay", "Pays.", func(ctx context.Context, in city) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			if paid[tools.Key(ctx)]++; paid[tools.Key(ctx)] > 1 {
				t.Errorf("%s was paid twice", in.Name)
			}
			return "paid " + in.Name, nil
		}, append(opts, tools.Reconcile(func(_ context.Context, key string, in city) (string, bool, error) {
			mu.Lock()
			defer mu.Unlock()
			return "paid " + in.Name, paid[key] > 0, nil
		}))...)
	}
	sunny := tools.New("weather", "", func(_ context.Context, in city) (string, error) {
		if in.Name == "Atlantis" {
			return "", errors.New("no such city")
		}
		return in.Name + ": sunny", nil
	}, tools.Pure())
	idem := tools.New("idem", "", func(_ context.Context, in city) (string, error) { return in.Name, nil }, tools.Idempotent())
	stop := tools.New("stop", "", func(context.Context, struct{}) (string, error) { return "", tools.Stop(errors.New("enough")) }, tools.Pure())
	payment := func(name string) models.ToolCall {
		return models.ToolCall{Name: "pay", Arguments: `{"name":"` + name + `"}`}
	}
	expert := agents.New(agents.Config{Name: "expert", Model: "expert", Tools: []tools.Tool{pay(tools.NeedsApproval(tools.Approval{}))}})
	remote := &flaky{list: []tools.Tool{raw(t, "look", func(context.Context) (string, error) { return "seen", nil }, tools.Pure())}, down: func(int32) bool { return false }}
	free := agents.Guardrail{Name: "input", On: agents.OnInput, Check: byWord("").Check}
	beside := agents.Guardrail{Name: "beside", On: agents.OnInput, Beside: true, Check: func(context.Context, agents.GuardInput) (agents.Verdict, error) { return agents.Allow(), nil }}
	args := byWord(agents.OnArguments)
	out := agents.Guardrail{Name: "output", On: agents.OnOutput, Check: byWord("").Check}
	hooks := agents.Hooks{
		RunStart:  func(context.Context, agents.RunState) error { return nil },
		RunEnd:    func(context.Context, agents.RunState, agents.RunEnd) error { return nil },
		AfterTool: func(_ context.Context, _ tools.Tool, _ tools.Call, res *tools.Result) { res.Content += "!" },
	}
	for _, c := range []struct {
		name   string
		config agents.Config
		input  string
		script []*models.Response
		want   string // the answer, or a part of the error
		calls  int
		bound  int // turns of an execution; 0: many
	}{
		{name: "approvals beside free calls", config: agents.Config{Tools: []tools.Tool{sunny, idem, pay(tools.NeedsApproval(tools.Approval{}))}, Hooks: hooks},
			script: []*models.Response{calling("", in("Oslo"), payment("rent"), payment("no"), in("Atlantis"), models.ToolCall{Name: "idem", Arguments: `{"name":"x"}`}, models.ToolCall{Name: "rm", Arguments: "{}"}), saying("done")},
			want:   "done", calls: 6},
		{name: "guardrails", config: agents.Config{Tools: []tools.Tool{sunny, pay()}, Guardrails: []agents.Guardrail{free, beside, args, out}}, input: "a secret for money",
			script: []*models.Response{calling("", in("secret"), in("bomb"), payment("money"), payment("rent")), saying("a secret")},
			want:   "a [x]", calls: 4},
		{name: "blocked output", config: agents.Config{Guardrails: []agents.Guardrail{out}}, script: []*models.Response{saying("a bomb")}, want: "no bombs"},
		{name: "toolset and child, one after the other", config: agents.Config{Tools: []tools.Tool{agents.AsTool(expert)}, Toolsets: []tools.Toolset{remote}, Sequential: true},
			script: []*models.Response{calling("", models.ToolCall{Name: "look", Arguments: "{}"}, models.ToolCall{Name: "expert", Arguments: `{"task":"x"}`}), saying("done")},
			want:   "done", calls: 2},
		{name: "summary, in many executions", config: agents.Config{Tools: []tools.Tool{sunny, pay()}, MaxTurns: 2, OnMaxTurns: agents.MaxTurnsSummary}, bound: 1,
			script: []*models.Response{calling("", in("Oslo"), payment("rent")), calling("", in("Rome")), saying("so far")}, want: "so far", calls: 3},
		{name: "hand over", config: agents.Config{Tools: []tools.Tool{sunny}, MaxTurns: 1, OnMaxTurns: agents.MaxTurnsHandOver, Successor: agents.New(agents.Config{Name: "b", Model: "successor"})},
			script: []*models.Response{calling("", in("Oslo"))}, want: "taken over", calls: 1},
		{name: "stop tool", config: agents.Config{Tools: []tools.Tool{sunny, pay()}, StopTools: []string{"pay"}},
			script: []*models.Response{calling("", in("Oslo"), payment("rent"))}, want: "paid rent", calls: 2},
		{name: "a tool stops the run", config: agents.Config{Tools: []tools.Tool{stop, pay()}, Sequential: true, Hooks: hooks},
			script: []*models.Response{calling("", payment("rent"), models.ToolCall{Name: "stop", Arguments: "{}"}, payment("never"))}, want: "enough"},
		{name: "functions", config: agents.Config{Tools: []tools.Tool{sunny},
			InstructionsFunc: func(_ context.Context, s agents.RunState) (string, error) { return fmt.Sprint("turn ", s.Turns), nil },
			StopWhen:         func(_ context.Context, s agents.RunState) (bool, error) { return s.Turns == 2, nil }}, bound: 1,
			script: []*models.Response{calling("one", in("Oslo")), calling("two", in("Rome"))}, want: "two", calls: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Name, c.config.Model = "a", "m"
			a := agents.New(c.config)
			if c.bound > 0 {
				a.Bound(c.bound, 1000)
			}
			script := byTurn(c.script...)
			experts := byTurn(calling("", payment("secret")), saying("expert"))
			find := func(_ context.Context, name string) (models.Model, error) {
				switch name {
				case "expert":
					return experts, nil
				case "successor":
					return byTurn(saying("taken over")), nil
				}
				return script, nil
			}
			points := durabletest.CrashEverywhere(t, []durable.Definition{agents.Define(agents.Options{Models: find}, a)}, func(ctx context.Context, env *durabletest.Env) (outcomes, error) {
				mu.Lock()
				clear(paid)
				mu.Unlock()
				id, err := a.Schedule(ctx, env.Client(), c.input+"hello", agents.WithState(map[string]any{"x": 1}))
				if err != nil {
					return outcomes{}, err
				}
				if err := deciding(ctx, env.Client(), id); err != nil {
					return outcomes{}, err
				}
				got, err := outcomeOf(ctx, t, env.Client(), a, id)
				if !strings.Contains(got.Result.Text+got.Err, c.want) || got.Result.ToolCalls != c.calls {
					t.Errorf("got %+v, want %q after %d calls", got, c.want, c.calls)
				}
				return got, err
			})
			if points < 10 {
				t.Errorf("only %d points", points)
			}
		})
	}
}
