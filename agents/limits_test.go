package agents_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestStateLimit: a run's state is small, or the run says so.
func TestStateLimit(t *testing.T) {
	big := strings.Repeat("x", 40<<10)
	grow := tools.New("grow", "", func(ctx context.Context, in city) (string, error) {
		return "grown", tools.SetState(ctx, in.Name, big)
	}, tools.Pure())
	call := func(name string) models.ToolCall {
		return models.ToolCall{Name: "grow", Arguments: `{"name":"` + name + `"}`}
	}
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{grow}})
	m := byTurn(calling("", call("x"), call("y")), saying("done")) // neither sees the other's change
	tm := start(t, m, a)
	if _, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), "the run's state would have") || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
		t.Errorf("got %.500v", err)
	}
	valid(t, messages(t, tm.Client(), agentRun(t, tm.Client())))
	if _, err := a.Schedule(t.Context(), tm.Client(), "go", agents.WithState(map[string]any{"x": big, "y": big})); err == nil {
		t.Error("a state of 80 KiB is taken")
	}
}

// TestFunctionsFail: the functions that are asked before a turn are asked again when
// they fail, and a run whose function goes on failing says which.
func TestFunctionsFail(t *testing.T) {
	for _, c := range []struct {
		fails int32
		err   string
	}{{2, ""}, {100, "InstructionsFunc: not now"}} {
		var asked atomic.Int32
		a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, InstructionsFunc: func(context.Context, agents.RunState) (string, error) {
			if asked.Add(1) <= c.fails {
				return "", errors.New("not now")
			}
			return "Be kind.", nil
		}})
		got, err := start(t, byTurn(saying("done")), a).ask(t, "go")
		if c.err == "" && (err != nil || got.Text != "done") || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("after %d failures: %+v, %v", c.fails, got, err)
		}
	}
}

// TestMostCallsRefused: as many calls as a message may have, all different, each with
// its own answer.
func TestMostCallsRefused(t *testing.T) {
	var made atomic.Int32
	calls := make([]models.ToolCall, models.MaxToolCalls)
	for i := range calls {
		name := []string{"bomb", "Oslo", "Atlantis"}[i%3]
		calls[i] = models.ToolCall{Name: []string{"weather", "rm"}[i%2], Arguments: fmt.Sprintf(`{"name":%q}`, name)}
	}
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&made, tools.Pure())}, Guardrails: []agents.Guardrail{byWord(agents.OnArguments)}})
	tm := start(t, byTurn(calling("", calls...), saying("done")), a)
	got, err := tm.ask(t, "go")
	if err != nil || got.ToolCalls != len(calls) {
		t.Fatalf("got %+v, %v", got, err)
	}
	list := messages(t, tm.Client(), agentRun(t, tm.Client()))
	valid(t, list)
	for i, m := range list[2 : len(list)-1] {
		want := []string{"no bombs", "sunny", "no such city"}[i%3]
		if i%2 == 1 {
			want = `no tool "rm"`
		}
		if !strings.Contains(m.Content, want) {
			t.Errorf("call %d is answered by %q, not %q", i, m.Content, want)
			break
		}
	}
}
