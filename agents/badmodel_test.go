package agents_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// quick tries again at once, so that no test waits.
var quick = &durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Nanosecond}

// turns answers the turns of a conversation, one after the other; what follows is
// the last one's.
func turns(answers ...func() (*models.Response, error)) models.Model {
	return scripted.Func(func(r *models.Request) (*models.Response, error) {
		return answers[min(models.AssistantTurns(r.Messages), len(answers)-1)]()
	})
}

func answer(finish models.FinishReason, text string, calls ...models.ToolCall) func() (*models.Response, error) {
	return func() (*models.Response, error) {
		return &models.Response{Finish: finish, Message: models.AssistantMessage(text, calls...)}, nil
	}
}

// say ends a run with a text.
func say(text string) func() (*models.Response, error) { return answer(models.FinishStop, text) }

// call asks for the weather with these arguments.
func call(id, arguments string) models.ToolCall {
	return models.ToolCall{ID: id, Name: "weather", Arguments: arguments}
}

// conversation gives the messages of a run, role and content.
func conversation(t *testing.T, c *durable.Client, id string) (said []string) {
	t.Helper()
	for _, m := range messages(t, c, id) {
		said = append(said, string(m.Role)+": "+m.Content)
	}
	return said
}

// Answers that can be used in part: the model is told what is wrong with the rest
// and goes on.
func TestBadCalls(t *testing.T) {
	big := strings.Repeat("x", 10_000_000)
	for _, c := range []struct {
		name   string
		finish models.FinishReason
		calls  []models.ToolCall
		told   []string // each result holds it, in order
		ran    int32
	}{
		{"unknown tool", "", []models.ToolCall{{ID: "1", Name: "rm", Arguments: "{}"}, call("2", `{"name":"Oslo"}`)},
			[]string{`there is no tool "rm"; there are: weather`, "Oslo: sunny"}, 1},
		{"no JSON", "", []models.ToolCall{call("1", `{"name":`)}, []string{"invalid arguments for tool weather"}, 0},
		{"no object", "", []models.ToolCall{call("1", `"Oslo"`)}, []string{"invalid arguments for tool weather"}, 0},
		{"a key twice", "", []models.ToolCall{call("1", `{"name":"Oslo","name":"Rome"}`)}, []string{"invalid arguments for tool weather"}, 0},
		{"no arguments", "", []models.ToolCall{call("1", "")}, []string{"invalid arguments for tool weather"}, 0},
		{"10 MB of arguments", "", []models.ToolCall{call("1", `{"name":"`+big+`"}`)}, []string{"invalid arguments for tool weather"}, 0},
		{"10 MB of no JSON", "", []models.ToolCall{call("1", big)}, []string{"invalid arguments for tool weather"}, 0},
		{"cut in a call", models.FinishLength, []models.ToolCall{call("1", `{"name":"Oslo"}`), call("2", `{"name":"Ro`)},
			[]string{"Oslo: sunny", "cut off at the token limit"}, 1},
		{"cut before the arguments", models.FinishLength, []models.ToolCall{{ID: "1", Name: "all", Arguments: ""}},
			[]string{"cut off at the token limit"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ran atomic.Int32
			all := tools.New("all", "Does everything.", func(context.Context, struct{}) (string, error) { ran.Add(1); return "done", nil })
			m := turns(answer(c.finish, "", c.calls...), say("fine"))
			tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, Tools: []tools.Tool{weather(&ran), all}}))
			got, err := tm.ask(t, "go")
			if err != nil || got.Text != "fine" || got.ToolCalls != len(c.calls) || ran.Load() != c.ran {
				t.Fatalf("got %+v, %v after %d calls", got, err, ran.Load())
			}
			said := conversation(t, tm.Client(), agentRun(t, tm.Client()))
			results := said[2 : len(said)-1]
			if len(results) != len(c.told) {
				t.Fatalf("the model was told %q", results)
			}
			for i, want := range c.told {
				if !strings.Contains(results[i], want) || len(results[i]) > 100_000 {
					t.Errorf("result %d of %d bytes is %.200q, want %q", i, len(results[i]), results[i], want)
				}
			}
		})
	}
}

// Answers that cannot be used: another attempt helps, or the run fails with a line
// that says why, after as many attempts as make sense.
func TestBadAnswers(t *testing.T) {
	fail := func(kind models.ErrorKind) func() (*models.Response, error) {
		return func() (*models.Response, error) {
			return nil, &models.Error{Kind: kind, Provider: "test", Message: "as the test says"}
		}
	}
	huge := strings.Repeat("x", 11<<20)
	for _, c := range []struct {
		name     string
		bad      func() (*models.Response, error)
		want     string
		attempts int
	}{
		{"duplicate ids", answer("", "", call("1", `{"name":"Oslo"}`), call("1", `{"name":"Rome"}`)), `two tool calls of the answer have the id "1"`, 3},
		{"arguments are not UTF-8", answer("", "", call("1", "{\"name\":\"\xff\"}")), "tool call 1 of the answer is not valid UTF-8", 3},
		{"text is not UTF-8", say("\xff"), "the text of the answer is not valid UTF-8", 3},
		{"neither text nor call", say(" "), "the answer has neither text nor tool calls", 3},
		{"a call without a name", answer("", "", models.ToolCall{ID: "1"}), "names no tool", 3},
		{"more than 10 MiB", answer("", "", call("1", huge)), "too_large", 1},
		{"unreachable", fail(models.KindUnreachable), "agent a: model m: test: unreachable: as the test says", 3},
		{"no credit", fail(models.KindQuota), "agent a: model m: test: quota: as the test says", 1},
		{"content filter", answer(models.FinishContentFilter, "I can"), "withheld by a content filter", 1},
		{"content filter with a call", answer(models.FinishContentFilter, "", call("1", `{"name":"Oslo"}`)), "withheld by a content filter", 1},
		{"cut before any text", answer(models.FinishLength, ""), "cut off at the token limit", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var ran, asked atomic.Int32
			recover := false
			m := scripted.Func(func(*models.Request) (*models.Response, error) {
				if asked.Add(1) > 1 && recover {
					return say("fine")()
				}
				return c.bad()
			})
			a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, Tools: []tools.Tool{weather(&ran)}})
			tm := start(t, m, a)
			_, err := tm.ask(t, "go")
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || len(err.Error()) > 500 {
				t.Errorf("got %.500v, want %q on one line", err, c.want)
			}
			if n := int(asked.Load()); n != c.attempts || ran.Load() != 0 {
				t.Errorf("the model was asked %d times, not %d; the tool ran %d times", n, c.attempts, ran.Load())
			}
			if c.attempts == 1 {
				return
			}
			asked.Store(0)
			recover = true
			if got, err := tm.ask(t, "go"); err != nil || got.Text != "fine" || got.Turns != 1 {
				t.Errorf("with a good second answer: %+v, %v", got, err)
			}
		})
	}
}

// A text that ends at the token limit is an answer, which says that it was cut.
func TestCutAnswer(t *testing.T) {
	tm := start(t, turns(answer(models.FinishLength, "Once upon")), agents.New(agents.Config{Name: "a", Model: "m"}))
	got, err := tm.ask(t, "go")
	if err != nil || got.Text != "Once upon" || !got.Cut {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Tools that misbehave: the model hears of it, except where it could do harm.
func TestBadTools(t *testing.T) {
	type none struct{}
	forever := func(context.Context, none) (string, error) { select {} }
	for _, c := range []struct {
		name string
		tool tools.Tool
		told string
	}{
		{"panics", tools.New("bad", "", func(context.Context, none) (string, error) { panic("boom") }), "tool bad panicked: boom"},
		{"panics though pure", tools.New("bad", "", func(context.Context, none) (string, error) { panic(errors.New("boom")) }, tools.Pure()), "tool bad panicked: boom"},
		{"ignores its timeout", tools.New("bad", "", forever, tools.Pure(), tools.Timeout(time.Millisecond)), "did not finish within its timeout"},
		{"says nothing", tools.New("bad", "", func(context.Context, none) (string, error) { return "", nil }), "(no output)"},
		{"gives no UTF-8", tools.New("bad", "", func(context.Context, none) (string, error) { return "a\xffb", nil }), "a�b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := turns(answer("", "", models.ToolCall{ID: "1", Name: "bad"}), say("fine"))
			tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{c.tool}}))
			got, err := tm.ask(t, "go")
			if err != nil || got.Text != "fine" {
				t.Fatalf("got %+v, %v", got, err)
			}
			said := conversation(t, tm.Client(), agentRun(t, tm.Client()))
			if len(said) != 4 || !strings.Contains(said[2], c.told) || strings.Contains(said[2], "\n") {
				t.Errorf("the model was told %q, want %q", said, c.told)
			}
		})
	}
}

// A tool that stops the run stops it after the other calls of the turn have ended,
// and the conversation says what they did.
func TestToolStopsTheRun(t *testing.T) {
	var ran atomic.Int32
	stopped := make(chan struct{})
	stop := tools.New("stop", "", func(context.Context, struct{}) (string, error) {
		defer close(stopped)
		return "", tools.Stop(errors.New("the account is closed"))
	})
	slow := tools.New("slow", "", func(ctx context.Context, _ struct{}) (string, error) {
		<-stopped
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		ran.Add(1)
		return "paid", nil
	})
	m := turns(answer("", "", models.ToolCall{ID: "1", Name: "stop"}, models.ToolCall{ID: "2", Name: "slow"}), say("fine"))
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{stop, slow}}))
	_, err := tm.ask(t, "go")
	if err == nil || !strings.Contains(err.Error(), "tool stop stopped the run: the account is closed") || ran.Load() != 1 {
		t.Errorf("got %v after %d payments", err, ran.Load())
	}
	said := conversation(t, tm.Client(), agentRun(t, tm.Client()))
	if len(said) != 4 || !strings.Contains(said[2], "the account is closed") || said[3] != "tool: paid" {
		t.Errorf("the conversation is %q", said)
	}
}

// A run that is terminated does not wait for a tool that ignores its cancellation.
func TestToolIgnoresCancellation(t *testing.T) {
	begun := make(chan struct{})
	bad := tools.New("bad", "", func(context.Context, struct{}) (string, error) {
		close(begun)
		select {}
	})
	tm := start(t, turns(answer("", "", models.ToolCall{ID: "1", Name: "bad"})), agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{bad}}))
	ctx := t.Context()
	id, err := tm.run.Schedule(ctx, tm.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := tm.Client().Terminate(ctx, id, "enough", true); err != nil {
		t.Fatal(err)
	}
	if _, err := tm.run.Wait(ctx, tm.Client(), id); !errors.Is(err, durable.ErrTerminated) {
		t.Errorf("got %v", err)
	}
	if err := tm.Close(); err != nil { // returns although the tool never does
		t.Error(err)
	}
}

// A program that forgot its models is told so at once.
func TestNoModels(t *testing.T) {
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = a.Wait(t.Context(), rt.Client(), id); err == nil || !strings.Contains(err.Error(), "set Options.Models") {
		t.Errorf("got %v", err)
	}
}

// A model that an agent names and nobody has is an error that is not tried again.
func TestUnknownModel(t *testing.T) {
	a := agents.New(agents.Config{Name: "a", Model: "gpt-99", Retry: quick})
	asked := 0
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: func(_ context.Context, name string) (models.Model, error) {
		asked++
		return nil, fmt.Errorf("there is no model %q; there are: small, large", name)
	}}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = a.Wait(t.Context(), rt.Client(), id); err == nil || !strings.Contains(err.Error(), `agent a: there is no model "gpt-99"; there are: small, large`) || asked != 1 {
		t.Errorf("got %v after %d tries", err, asked)
	}
}
