package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestGuardRewrites: a guardrail cannot make what a provider refuses, or what the
// caller cannot read.
func TestGuardRewrites(t *testing.T) {
	to := func(on agents.Checkpoint, text string) agents.Guardrail {
		return agents.Guardrail{Name: "words", On: on, Check: func(context.Context, agents.GuardInput) (agents.Verdict, error) { return agents.Rewrite(text), nil }}
	}
	look := raw(t, "look", func(context.Context) (string, error) { return "seen", nil }, tools.Pure())
	for _, c := range []struct {
		name   string
		config agents.Config
		script []*models.Response
		err    string
	}{
		{name: "no input", config: agents.Config{Guardrails: []agents.Guardrail{to(agents.OnInput, " ")}}, err: "left nothing of the input"},
		{name: "no answer", config: agents.Config{Guardrails: []agents.Guardrail{to(agents.OnOutput, "")}}, script: []*models.Response{saying("x")}, err: "left nothing of the output"},
		{name: "another answer", config: agents.Config{Guardrails: []agents.Guardrail{to(agents.OnOutput, "{}")}, Output: agents.OutputOf[report]()},
			script: []*models.Response{saying(`{"cause":"x"}`)}, err: "guardrail words rewrote the answer: The answer must be JSON of the given schema"},
		{name: "arguments of a toolset", config: agents.Config{Guardrails: []agents.Guardrail{to(agents.OnArguments, "[]")},
			Toolsets: []tools.Toolset{&flaky{list: []tools.Tool{look}, down: func(int32) bool { return false }}}},
			script: []*models.Response{calling("", models.ToolCall{Name: "look", Arguments: "{}"})}, err: "guardrail words rewrote the arguments"},
		{name: "a panic", config: agents.Config{Guardrails: []agents.Guardrail{{Name: "words", On: agents.OnInput, Check: func(context.Context, agents.GuardInput) (agents.Verdict, error) { panic("boom") }}}}, err: "boom"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Name, c.config.Model, c.config.Retry = "a", "m", quick
			tm := start(t, byTurn(c.script...), agents.New(c.config))
			if got, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %+v, %v", got, err)
			}
			if len(c.script) > 0 {
				valid(t, messages(t, tm.Client(), agentRun(t, tm.Client())))
			}
		})
	}
}

// TestGuardEnds: what a run ends with is checked, also where its model did not answer.
func TestGuardEnds(t *testing.T) {
	say := tools.New("say", "", func(_ context.Context, in city) (string, error) { return in.Name, nil }, tools.Pure())
	successor := agents.New(agents.Config{Name: "b", Model: "m"})
	for _, c := range []struct {
		name   string
		config agents.Config
	}{
		{"a tool", agents.Config{StopTools: []string{"say"}}},
		{"a condition", agents.Config{StopWhen: func(_ context.Context, s agents.RunState) (bool, error) { return true, nil }}},
		{"a successor", agents.Config{MaxTurns: 1, OnMaxTurns: agents.MaxTurnsHandOver, Successor: successor}},
	} {
		for _, w := range []struct{ word, want, err string }{{"secret", "[x]", ""}, {"bomb", "", "guardrail words: no bombs"}} {
			t.Run(c.name+" "+w.word, func(t *testing.T) {
				m := scripted.Func(func(req *models.Request) (*models.Response, error) {
					if req.Agent == "b" {
						return saying(w.word), nil
					}
					return calling(w.word, models.ToolCall{Name: "say", Arguments: `{"name":"` + w.word + `"}`}), nil
				})
				config := c.config
				config.Name, config.Model, config.Tools, config.Guardrails = "a", "m", []tools.Tool{say}, []agents.Guardrail{byWord(agents.OnOutput)}
				got, err := start(t, m, agents.New(config)).ask(t, "go")
				if w.err == "" && (err != nil || got.Text != w.want || got.Stop == "") || w.err != "" && (err == nil || !strings.Contains(err.Error(), w.err)) {
					t.Errorf("got %+v, %v", got, err)
				}
			})
		}
	}
}

// TestGuardSaid: what is said to a run under way is checked as its input was.
func TestGuardSaid(t *testing.T) {
	for _, c := range []struct{ say, told, err string }{{"a secret", "a [x]", ""}, {"a bomb", "", "guardrail words: no bombs"}} {
		t.Run(c.say, func(t *testing.T) {
			g := newGated()
			a, rt, id := steered(t, g, agents.Config{Guardrails: []agents.Guardrail{byWord(agents.OnInput)}})
			<-g.asked
			if err := agents.Say(t.Context(), rt.Client(), id, c.say); err != nil {
				t.Fatal(err)
			}
			g.answers("done")
			if c.told != "" {
				if req := <-g.asked; req.Messages[len(req.Messages)-1].Content != c.told {
					t.Errorf("told %+v", req.Messages)
				}
				g.answers("and that")
			}
			got, err := a.Wait(t.Context(), rt.Client(), id)
			if c.err == "" && (err != nil || got.Text != "and that") || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Errorf("got %+v, %v", got, err)
			}
			if said := strings.Join(conversation(t, rt.Client(), id), ", "); strings.Contains(said, c.say) {
				t.Errorf("the conversation is %s", said)
			}
		})
	}
}

// TestGuardBesideGivesUp: a check that does not pass does not wait for a model that
// hangs.
func TestGuardBesideGivesUp(t *testing.T) {
	var given atomic.Bool
	asked := make(chan struct{})
	m := func(ctx context.Context, _ string) (models.Model, error) {
		close(asked)
		<-ctx.Done()
		given.Store(true)
		return nil, ctx.Err()
	}
	g := agents.Guardrail{Name: "slow", On: agents.OnInput, Beside: true, Check: func(ctx context.Context, _ agents.GuardInput) (agents.Verdict, error) {
		<-asked
		return agents.Block("no"), nil
	}}
	a := agents.New(agents.Config{Name: "a", Model: "m", Guardrails: []agents.Guardrail{g}})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: m}, a))
	if err != nil {
		t.Fatal(err)
	}
	id, err := a.Schedule(t.Context(), rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(t.Context(), rt.Client(), id); err == nil || !strings.Contains(err.Error(), "guardrail slow: no") {
		t.Errorf("got %v", err)
	}
	if err := rt.Close(); err != nil || !given.Load() {
		t.Errorf("the model was not given up, %v", err)
	}
}

// Input that a guardrail beside the turn has blocked, or could not check, is not told to
// the model by the next run in the conversation.
func TestBesideBlockedIsNotTold(t *testing.T) {
	ctx := t.Context()
	var told []string
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		told = nil
		for _, m := range req.Messages {
			told = append(told, m.Content)
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quick, Guardrails: []agents.Guardrail{{Name: "words", On: agents.OnInput, Beside: true,
		Check: func(_ context.Context, in agents.GuardInput) (agents.Verdict, error) {
			switch in.Text {
			case "evil":
				return agents.Block("no"), nil
			case "unclear":
				return agents.Verdict{}, errors.New("the checker is away")
			}
			return agents.Allow(), nil
		}}}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	for _, c := range []struct {
		said, err string
	}{{"hello", ""}, {"evil", "blocked the run on its input: guardrail words: no"}, {"unclear", "the checker is away"}, {"go on", ""}} {
		id, err := a.Schedule(ctx, rt.Client(), c.said, agents.InConversation("chat"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Wait(ctx, rt.Client(), id); c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q ended with %v", c.said, err)
		}
	}
	if want := []string{"hello", "done", "[redacted]", "[redacted]", "go on"}; !slices.Equal(told, want) {
		t.Errorf("the model was told %q", told)
	}
}

// TestBesideBlockedCrash crashes such a run everywhere: it ends the same way.
func TestBesideBlockedCrash(t *testing.T) {
	g := agents.Guardrail{Name: "words", On: agents.OnInput, Beside: true, Check: byWord(agents.OnInput).Check}
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quickRetry, Guardrails: []agents.Guardrail{g}})
	defs := []durable.Definition{agents.Define(agents.Options{Models: only(turns(say("done")))}, a)}
	durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (string, error) {
		id, err := a.Schedule(ctx, env.Client(), "a bomb", agents.InConversation("chat"))
		if err != nil {
			return "", err
		}
		if _, err := a.Wait(ctx, env.Client(), id); !errors.Is(err, agents.ErrBlocked) {
			return "", fmt.Errorf("it ended with %w", err)
		}
		list := messages(t, env.Client(), "chat")
		if len(list) != 1 || list[0].Content != "[redacted]" {
			return "", fmt.Errorf("the conversation is %+v", list)
		}
		return "", nil
	})
}
