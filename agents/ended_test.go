package agents_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// A request of a run that has ended is not in the inbox, and a decision about it
// does not count: nobody would act on it.
func TestRequestOfEndedRun(t *testing.T) {
	var calls atomic.Int32
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.NeedsApproval(tools.Approval{}))}}))
	ctx, c := t.Context(), tm.Client()
	id, err := tm.run.Schedule(ctx, c, "go")
	if err != nil {
		t.Fatal(err)
	}
	a := waitForRequest(t, c)
	if err := c.Terminate(ctx, id, "enough", true); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(ctx, a.Instance); err != nil {
		t.Fatal(err)
	}
	if list, err := agents.Inbox(ctx, c, "", true); err != nil || len(list) != 0 {
		t.Errorf("the inbox has %+v, %v", list, err)
	}
	_, err = agents.Decide(ctx, c, a.ID, agents.Decision{Approve: true, By: "eva"})
	if !errors.Is(err, agents.ErrNotCounted) || !strings.Contains(err.Error(), "has ended") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a decision: %v", err)
	}
	list, err := agents.Inbox(ctx, c, "", false)
	if err != nil || len(list) != 1 || list[0].Status != agents.Withdrawn || calls.Load() != 0 {
		t.Errorf("then: %+v, %v, %d calls", list, err, calls.Load())
	}
}

// An agent that is started again under the same id, by a retry, begins a
// conversation of its own.
func TestRetriedAgentStartsAnew(t *testing.T) {
	var turns atomic.Int32
	var seen []int
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		seen = append(seen, len(req.Messages))
		if turns.Add(1) == 1 {
			return nil, &models.Error{Kind: models.KindAuth, Message: "no"}
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("hello")}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	run := durable.NewOrchestration("twice", func(ctx *durable.Context, _ string) (string, error) {
		same := agents.With(durable.WithInstanceID("kid"))
		if _, err := a.Call(ctx, "hello", same); err == nil {
			return "", errors.New("the first attempt did not fail")
		}
		r, err := a.Call(ctx, "hello", same)
		return r.Text, err
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m)}, a), run)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	got, err := run.Run(t.Context(), rt.Client(), "")
	if err != nil || got != "hello" || fmt.Sprint(seen) != "[1 1]" {
		t.Errorf("got %q, %v; the model saw %v messages", got, err, seen)
	}
}

// As many calls as a model may make in one answer are all answered.
func TestMostCalls(t *testing.T) {
	var calls atomic.Int32
	var answered int
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if models.AssistantTurns(req.Messages) > 0 {
			answered = len(req.Messages) - 2
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		all := make([]models.ToolCall, models.MaxToolCalls)
		for i := range all {
			all[i] = models.ToolCall{ID: fmt.Sprint(i), Name: "weather", Arguments: `{"name":"Oslo"}`}
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", all...)}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}}))
	if got, err := tm.ask(t, "go"); err != nil || got.Text != "done" || calls.Load() != models.MaxToolCalls || answered != models.MaxToolCalls {
		t.Errorf("got %+v, %v after %d calls with %d answers", got, err, calls.Load(), answered)
	}
}
