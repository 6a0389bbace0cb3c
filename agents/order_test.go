package agents_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// diary is a tool that notes the order of its calls.
type diary struct {
	mu    sync.Mutex
	names []string
}

func (d *diary) tool() tools.Tool {
	return tools.New("note", "", func(_ context.Context, in city) (string, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.names = append(d.names, in.Name)
		if in.Name == "stop" {
			return "", tools.Stop(errors.New("enough"))
		}
		if in.Name == "bad" {
			return "", errors.New("no")
		}
		return "noted " + in.Name, nil
	})
}

func note(name string) models.ToolCall {
	return models.ToolCall{Name: "note", Arguments: `{"name":"` + name + `"}`}
}

// TestSequential: one after the other, in the model's order, and none behind the one
// that stops the run.
func TestSequential(t *testing.T) {
	var d diary
	m := byTurn(calling("", note("a"), note("b"), note("bad"), note("c")), calling("", note("d"), note("stop"), note("e")))
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, Tools: []tools.Tool{d.tool()}}))
	if _, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(d.names, " "); got != "a b bad c d stop" {
		t.Errorf("called %s", got)
	}
	list := messages(t, tm.Client(), agentRun(t, tm.Client()))
	valid(t, list)
	if last := list[len(list)-1].Content; !strings.Contains(last, "the run ended before this call was answered") {
		t.Errorf("the call behind is answered by %q", last)
	}
}

// TestStopToolAmongOthers: all calls of the message are made, one that failed does not
// end the run, and the first that did not is its answer.
func TestStopToolAmongOthers(t *testing.T) {
	var d diary
	m := byTurn(calling("", note("bad")), calling("", note("bad"), models.ToolCall{Name: "nothing", Arguments: "{}"}, note("b"), note("c")))
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", StopTools: []string{"note"}, Tools: []tools.Tool{d.tool()}}))
	got, err := tm.ask(t, "go")
	if err != nil || got.Text != "noted b" || got.Turns != 2 || got.ToolCalls != 5 || len(d.names) != 4 {
		t.Errorf("got %+v, %v after %q", got, err, d.names)
	}
}

// TestKeepToolChoice: a forced call is asked for until the first calls were made,
// unless the agent keeps it.
func TestKeepToolChoice(t *testing.T) {
	for _, keep := range []bool{false, true} {
		var d diary
		var choices []string
		m := scripted.Func(func(req *models.Request) (*models.Response, error) {
			choices = append(choices, req.Params.ToolChoice)
			if req.Params.ToolChoice != "" && len(choices) < 3 {
				return calling("", note("bad")), nil
			}
			return saying("done"), nil
		})
		a := agents.New(agents.Config{Name: "a", Model: "m", Params: models.Params{ToolChoice: "note"}, KeepToolChoice: keep, Tools: []tools.Tool{d.tool()}})
		if _, err := start(t, m, a).ask(t, "go"); err != nil {
			t.Fatal(err)
		}
		want := map[bool]string{false: "note,", true: "note,note,note"}[keep]
		if got := strings.Join(choices, ","); got != want {
			t.Errorf("kept %v: chose %q", keep, got)
		}
	}
}

// TestHooksThatBreak: what a hook makes of an answer is checked as a model's is, and one
// that panics does not make a call that was made look as if it was not.
func TestHooksThatBreak(t *testing.T) {
	for _, c := range []struct {
		name  string
		hooks agents.Hooks
		err   string
	}{
		{"an empty answer", agents.Hooks{AfterModel: func(_ context.Context, _ *models.Request, resp *models.Response) error {
			resp.Message = models.AssistantMessage("")
			return nil
		}}, "neither text nor tool calls"},
		{"a panic about the model", agents.Hooks{AfterModel: func(context.Context, *models.Request, *models.Response) error { panic("boom") }}, "boom"},
		{"a panic after a tool", agents.Hooks{AfterTool: func(context.Context, tools.Tool, tools.Call, *tools.Result) { panic("boom") }}, "tool note was called and has answered; its hook AfterTool panicked: boom"},
		{"a panic before a tool", agents.Hooks{BeforeTool: func(context.Context, tools.Tool, tools.Call) (*tools.Result, error) { panic("boom") }}, "boom"},
		{"an error at the start", agents.Hooks{RunStart: func(context.Context, agents.RunState) error { return errors.New("not today") }}, "not today"},
		{"an error at the start and at the end", agents.Hooks{
			RunStart: func(context.Context, agents.RunState) error { return errors.New("not today") },
			RunEnd:   func(context.Context, agents.RunState, agents.RunEnd) error { return errors.New("not so") }}, "not today; then its hook RunEnd failed"},
		{"an error at the end", agents.Hooks{RunEnd: func(context.Context, agents.RunState, agents.RunEnd) error { return errors.New("not so") }}, "not so"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d diary
			a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, Hooks: c.hooks, Tools: []tools.Tool{d.tool()}})
			tm := start(t, byTurn(calling("", note("a")), saying("done")), a)
			if got, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), c.err) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %+v, %v", got, err)
			}
			if len(d.names) > 1 {
				t.Errorf("an unsafe tool was called %d times", len(d.names))
			}
		})
	}
}
