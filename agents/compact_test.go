package agents_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestCompaction: a conversation that grows beyond what its model is to be sent is
// summed up by another model, and nothing of it is lost for people.
func TestCompaction(t *testing.T) {
	const limit, turns = 2000, 40
	var calls atomic.Int32
	var mu sync.Mutex
	most, summaries := 0, 0
	find := func(_ context.Context, name string) (models.Model, error) {
		return scripted.Func(func(req *models.Request) (*models.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if name == "small" {
				summaries++
				return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("It went well so far.")}, nil
			}
			if n := memory.Tokens(nil, req.Messages[1:]...); n > most {
				most = n
			}
			if calls.Load() == turns {
				return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
			}
			if c := req.Messages[1].Content; c != "Count." {
				return nil, fmt.Errorf("the task is lost: it begins %q", c)
			}
			return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage(strings.Repeat("I go on counting. ", 10),
				models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})}, nil
		}), nil
	}
	a := agents.New(agents.Config{Name: "a", Model: "large", Instructions: "Be short.", MaxContext: limit, Summarizer: "small", MaxTurns: 100,
		Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: find}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "Count.")
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Wait(t.Context(), rt.Client(), id)
	if err != nil || got.Turns != turns+1 {
		t.Fatalf("got %+v, %v", got, err)
	}
	if most > limit || most < limit/2 || summaries < 2 || summaries > turns/2 {
		t.Errorf("at most %d tokens were sent of %d, with %d summaries", most, limit, summaries)
	}
	if n := len(messages(t, rt.Client(), id)); n != 2+2*turns {
		t.Errorf("people read %d messages", n)
	}
}

// TestContextLength: a provider that takes less than anybody knew.
func TestContextLength(t *testing.T) {
	refused := 0
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		last := req.Messages[len(req.Messages)-1].Content
		switch {
		case strings.Contains(req.Messages[0].Content, "summar"):
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("much was said")}, nil
		case memory.Tokens(nil, req.Messages...) > 3000:
			refused++
			return nil, &models.Error{Kind: models.KindContextLength, Message: "too long"}
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("to " + last[:5])}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, n int) (r agents.Result, err error) {
		for i := range n {
			if r, err = a.Call(ctx, fmt.Sprintf("%05d %s", i, strings.Repeat("and so on ", 100)), agents.InConversation("c")); err != nil {
				return r, err
			}
		}
		return r, nil
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m)}, a), run)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	got, err := run.Run(t.Context(), rt.Client(), 20)
	if err != nil || got.Text != "to 00019" || refused == 0 {
		t.Errorf("got %+v, %v after %d refusals", got, err, refused)
	}
}

// TestQuotaPushedBack: a model with a quota, and a provider that puts it off, make a run
// wait and not fail.
func TestQuotaPushedBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		begun := time.Now()
		m := scripted.Func(func(*models.Request) (*models.Response, error) {
			at = append(at, time.Since(begun).Truncate(time.Minute))
			if len(at) == 1 {
				return nil, &models.Error{Kind: models.KindRateLimit, Message: "slow down", RetryAfter: 10 * time.Minute}
			}
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		})
		a := agents.New(agents.Config{Name: "a", Model: "m"})
		rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m), Quotas: map[string]agents.Quota{"m": {Requests: 2, Per: time.Hour}}}, a))
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		for range 2 {
			id, err := a.Schedule(t.Context(), rt.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(t.Context(), rt.Client(), id); err != nil {
				t.Fatal(err)
			}
		}
		if len(at) != 3 || at[0] != 0 || at[1] < 10*time.Minute || at[2] < time.Hour {
			t.Errorf("the model was asked at %v", at)
		}
	})
}

// TestOthers: what another agent of a shared conversation said is not the agent's own.
func TestOthers(t *testing.T) {
	var told []models.Message
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		told = req.Messages
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("says " + req.Agent)}, nil
	})
	a, b := agents.New(agents.Config{Name: "a", Model: "m"}), agents.New(agents.Config{Name: "b", Model: "m"})
	run := durable.NewOrchestration("run", func(ctx *durable.Context, _ string) (string, error) {
		_, err := a.Call(ctx, "one", agents.InConversation("c"))
		_, err2 := b.Call(ctx, "two", agents.InConversation("c"))
		return "", errors.Join(err, err2)
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m)}, a, b), run)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := run.Run(t.Context(), rt.Client(), ""); err != nil {
		t.Fatal(err)
	}
	if len(told) != 3 || told[1].Role != models.RoleUser || !strings.Contains(told[1].Content, "says a") || !strings.Contains(told[1].Content, "a") {
		t.Errorf("told %+v", told)
	}
}
