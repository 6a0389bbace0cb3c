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

// gated is a model whose nth call tells that it was asked and waits to be let go.
type gated struct {
	asked chan *models.Request
	goOn  chan *models.Response
}

func newGated() *gated {
	return &gated{make(chan *models.Request, 10), make(chan *models.Response, 10)}
}

func (g *gated) answers(text string, calls ...models.ToolCall) {
	r := &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage(text, calls...)}
	if len(calls) > 0 {
		r.Finish = models.FinishToolCalls
	}
	g.goOn <- r
}

func (g *gated) model() models.Model {
	return scripted.Func(func(req *models.Request) (*models.Response, error) {
		g.asked <- req
		return <-g.goOn, nil
	})
}

// steered is a run under way.
func steered(t *testing.T, g *gated, c agents.Config) (a *agents.Agent, rt *agents.Runtime, id string) {
	t.Helper()
	c.Name, c.Model = "a", "m"
	a = agents.New(c)
	rt, err := agents.Open(t.Context(), "memory:", agents.Options{Models: only(g.model())}, durable.Options{}, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	if id, err = a.Schedule(t.Context(), rt.Client(), "begin"); err != nil {
		t.Fatal(err)
	}
	return a, rt, id
}

// TestSay: what is said during the last turn is answered too.
func TestSay(t *testing.T) {
	g := newGated()
	a, rt, id := steered(t, g, agents.Config{})
	<-g.asked
	if err := agents.Say(t.Context(), rt.Client(), id, "one more thing"); err != nil {
		t.Fatal(err)
	}
	g.answers("done")
	req := <-g.asked
	if n := len(req.Messages); n != 3 || req.Messages[1].Content != "done" || req.Messages[2].Content != "one more thing" {
		t.Errorf("told %+v", req.Messages)
	}
	g.answers("that too")
	got, err := a.Wait(t.Context(), rt.Client(), id)
	if err != nil || got.Text != "that too" || got.Turns != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := agents.Say(t.Context(), rt.Client(), id, "hello?"); !errors.Is(err, agents.ErrEnded) {
		t.Errorf("after the end: %v", err)
	}
}

func TestStopAfterTurn(t *testing.T) {
	for _, summary := range []bool{false, true} {
		var calls atomic.Int32
		g := newGated()
		a, rt, id := steered(t, g, agents.Config{Tools: []tools.Tool{weather(&calls, tools.Pure())}})
		<-g.asked
		if err := agents.StopAfterTurn(t.Context(), rt.Client(), id, summary); err != nil {
			t.Fatal(err)
		}
		g.answers("looking", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})
		want := "looking"
		if summary {
			req := <-g.asked
			if len(req.Tools) != 0 || !strings.Contains(req.Messages[len(req.Messages)-1].Content, "what is done") {
				t.Errorf("asked for the summary by %+v", req)
			}
			want = "it was sunny"
			g.answers(want)
		}
		got, err := a.Wait(t.Context(), rt.Client(), id)
		if err != nil || got.Text != want || got.Stop != agents.StopAsked || calls.Load() != 1 {
			t.Errorf("summary %v: %+v, %v, %d calls", summary, got, err, calls.Load())
		}
	}
}

func TestRetryTurn(t *testing.T) {
	asked := make(chan int, 10)
	n := 0
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		n++
		asked <- n
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("at last")}, nil
	})
	hang := true
	hooks := agents.Hooks{BeforeModel: func(ctx context.Context, _ *models.Request) (*models.Response, error) {
		if !hang {
			return nil, nil
		}
		hang = false
		asked <- 0
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	a := agents.New(agents.Config{Name: "a", Model: "m", Hooks: hooks})
	rt, err := agents.Open(t.Context(), "memory:", agents.Options{Models: only(m)}, durable.Options{}, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "begin")
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	if err := agents.RetryTurn(t.Context(), rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	got, err := a.Wait(t.Context(), rt.Client(), id)
	if err != nil || got.Text != "at last" || got.Turns != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestPause(t *testing.T) {
	var calls atomic.Int32
	g := newGated()
	a, rt, id := steered(t, g, agents.Config{Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	<-g.asked
	if err := agents.Pause(t.Context(), rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	f := rt.Stream().Follow(id)
	defer f.Stop()
	g.answers("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})
	for ev, err := range f.Events(t.Context(), rt) { // to the end of the turn
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == agents.EventResult {
			break
		}
	}
	if err := agents.Say(t.Context(), rt.Client(), id, "psst"); err != nil {
		t.Fatal(err)
	}
	if err := agents.Resume(t.Context(), rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	if req := <-g.asked; req.Messages[len(req.Messages)-1].Content != "psst" {
		t.Errorf("told %+v", req.Messages)
	}
	g.answers("done")
	if got, err := a.Wait(t.Context(), rt.Client(), id); err != nil || got.Turns != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	s, err := rt.Client().Get(t.Context(), id)
	if err != nil || strings.Contains(string(s.CustomStatus), "paused") {
		t.Errorf("the custom status is %s, %v", s.CustomStatus, err)
	}
}

// TestSayIsNotLost: what is said in the last turn of an execution is told in the next
// one, and what comes too late for the model is in the conversation all the same.
func TestSayIsNotLost(t *testing.T) {
	var calls atomic.Int32
	g := newGated()
	a, rt, id := steered(t, g, agents.Config{Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	a.Bound(1, 1000)
	<-g.asked
	if err := agents.Say(t.Context(), rt.Client(), id, "psst"); err != nil {
		t.Fatal(err)
	}
	g.answers("", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`})
	if req := <-g.asked; req.Messages[len(req.Messages)-1].Content != "psst" {
		t.Errorf("told %+v", req.Messages)
	}
	for _, say := range []string{"too", "late"} {
		if err := agents.StopAfterTurn(t.Context(), rt.Client(), id, true); err != nil {
			t.Fatal(err)
		}
		if say == "late" {
			if req := <-g.asked; len(req.Tools) != 0 {
				t.Errorf("asked for a summary with tools: %+v", req)
			}
		}
		if err := agents.Say(t.Context(), rt.Client(), id, say); err != nil {
			t.Fatal(err)
		}
		g.answers("done " + say)
	}
	if got, err := a.Wait(t.Context(), rt.Client(), id); err != nil || got.Text != "done late" || got.Stop != agents.StopAsked {
		t.Errorf("got %+v, %v", got, err)
	}
	said := conversation(t, rt.Client(), id)
	if len(said) != 9 || said[5] != "user: too" || said[8] != "user: late" {
		t.Errorf("the conversation is %q", said)
	}
}
