package agents_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// shouting blocks, rewrites or asks, by the words of what it checks.
func byWord(on agents.Checkpoint) agents.Guardrail {
	return agents.Guardrail{Name: "words", On: on, Check: func(_ context.Context, in agents.GuardInput) (agents.Verdict, error) {
		switch {
		case strings.Contains(in.Text, "bomb"):
			return agents.Block("no bombs"), nil
		case strings.Contains(in.Text, "secret"):
			return agents.Rewrite(strings.ReplaceAll(in.Text, "secret", "[x]")), nil
		case strings.Contains(in.Text, "money"):
			return agents.AskPerson("Money?"), nil
		}
		return agents.Allow(), nil
	}}
}

func TestGuardInputAndOutput(t *testing.T) {
	for _, on := range []agents.Checkpoint{agents.OnInput, agents.OnOutput} {
		for _, c := range []struct{ text, want, err string }{
			{"fine", "fine", ""},
			{"a secret", "a [x]", ""},
			{"a bomb", "", "guardrail words: no bombs"},
		} {
			t.Run(string(on)+" "+c.text, func(t *testing.T) {
				echo := scripted.Func(func(req *models.Request) (*models.Response, error) {
					return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(req.Messages[len(req.Messages)-1].Content)}, nil
				})
				tm := start(t, echo, agents.New(agents.Config{Name: "a", Model: "m", Guardrails: []agents.Guardrail{byWord(on)}}))
				got, err := tm.ask(t, c.text)
				if c.err != "" {
					if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(err.Error(), agents.ErrBlocked.Error()) {
						t.Errorf("got %v", err)
					}
					return
				}
				if err != nil || got.Text != c.want {
					t.Errorf("got %+v, %v", got, err)
				}
				list := messages(t, tm.Client(), agentRun(t, tm.Client()))
				if last := list[len(list)-1].Content; last != c.want {
					t.Errorf("the conversation has %q", last)
				}
			})
		}
	}
}

// TestGuardBeside: the model is asked at once, and nothing of its answer counts.
func TestGuardBeside(t *testing.T) {
	var calls atomic.Int32
	asked := make(chan struct{})
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		close(asked)
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
	})
	g := agents.Guardrail{Name: "slow", On: agents.OnInput, Beside: true, Check: func(ctx context.Context, _ agents.GuardInput) (agents.Verdict, error) {
		select {
		case <-asked:
			return agents.Block("no"), nil
		case <-ctx.Done():
			return agents.Verdict{}, ctx.Err()
		}
	}}
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}, Guardrails: []agents.Guardrail{g}}))
	if _, err := tm.ask(t, "hello"); err == nil || !strings.Contains(err.Error(), "guardrail slow: no") {
		t.Errorf("got %v", err)
	}
	if calls.Load() != 0 {
		t.Error("a tool was called of an answer that must not count")
	}
}

// TestGuardArguments: of one message's calls each has its own verdict, and exactly one
// answer.
func TestGuardArguments(t *testing.T) {
	var calls atomic.Int32
	var told []models.Message
	city := func(id, name string) models.ToolCall {
		return models.ToolCall{ID: id, Name: "weather", Arguments: `{"name":"` + name + `"}`}
	}
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if last := req.Messages[len(req.Messages)-1]; last.Role == models.RoleTool {
			told = req.Messages[2:]
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", city("1", "Oslo"), city("2", "bomb"), city("3", "secret"), city("4", "money"))}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}, Guardrails: []agents.Guardrail{byWord(agents.OnArguments)}})
	rt, err := agents.Open(t.Context(), "memory:", agents.Options{Models: only(m)}, durable.Options{}, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for ev, err := range a.Run(t.Context(), rt, "go") {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == agents.EventApproval {
			if _, err := agents.Decide(t.Context(), rt.Client(), ev.Approval, agents.Decision{By: "eva", Comment: "too much"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	want := []string{"Oslo: sunny", "no bombs", "[x]: sunny", "too much"}
	if len(told) != len(want) {
		t.Fatalf("told %+v", told)
	}
	for i, w := range want {
		if told[i].ToolCallID != string(rune('1'+i)) || !strings.Contains(told[i].Content, w) {
			t.Errorf("answer %d is %+v, want %q", i, told[i], w)
		}
	}
	if calls.Load() != 2 {
		t.Errorf("%d calls were made, not two", calls.Load())
	}
}

func TestHooks(t *testing.T) {
	var calls atomic.Int32
	var log []string
	var end agents.RunEnd
	h := agents.Hooks{
		RunStart: func(_ context.Context, s agents.RunState) error { log = append(log, "start "+s.Input); return nil },
		RunEnd:   func(_ context.Context, _ agents.RunState, e agents.RunEnd) error { end = e; return nil },
		BeforeModel: func(_ context.Context, req *models.Request) (*models.Response, error) {
			log = append(log, "model")
			return nil, nil
		},
		AfterModel: func(_ context.Context, _ *models.Request, resp *models.Response) error {
			resp.Message.Content = strings.ToUpper(resp.Message.Content)
			return nil
		},
		BeforeTool: func(_ context.Context, _ tools.Tool, call tools.Call) (*tools.Result, error) {
			if strings.Contains(call.Arguments, "Rome") {
				return &tools.Result{Content: "from the cache"}, nil
			}
			if strings.Contains(call.Arguments, "Paris") {
				return nil, errors.New("not Paris")
			}
			return nil, nil
		},
		AfterTool: func(_ context.Context, _ tools.Tool, _ tools.Call, res *tools.Result) { res.Content += "!" },
	}
	var told []models.Message
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if last := req.Messages[len(req.Messages)-1]; last.Role == models.RoleTool {
			told = req.Messages[2:]
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("",
			models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`}, models.ToolCall{ID: "2", Name: "weather", Arguments: `{"name":"Rome"}`},
			models.ToolCall{ID: "3", Name: "weather", Arguments: `{"name":"Paris"}`})}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}, Hooks: h}))
	got, err := tm.ask(t, "hello")
	if err != nil || got.Text != "DONE" {
		t.Fatalf("got %+v, %v", got, err)
	}
	if strings.Join(log, ", ") != "start hello, model, model" || end.Result.Text != "DONE" || end.Error != "" {
		t.Errorf("hooks saw %q and the end %+v", log, end)
	}
	for i, want := range []string{"Oslo: sunny!", "from the cache!", "not Paris"} {
		if told[i].Content != want {
			t.Errorf("answer %d is %q, want %q", i, told[i].Content, want)
		}
	}
}
