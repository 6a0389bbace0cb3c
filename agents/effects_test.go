package agents_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestEffects lists what a run's tree has done outside, with the keys that the tools
// were given.
func TestEffects(t *testing.T) {
	var mu sync.Mutex
	keys := map[string]string{} // by activity and number
	begun, goOn := make(chan struct{}), make(chan struct{})
	tool := func(name string, opt ...tools.Option) tools.Tool {
		return tools.New(name, "", func(ctx context.Context, in invoice) (string, error) {
			mu.Lock()
			keys[fmt.Sprintf("tool:a/%s %d", name, in.Number)] = tools.Key(ctx)
			mu.Unlock()
			switch {
			case name == "slow":
				close(begun)
				<-goOn
			case name == "lose":
				return "", &tools.UnknownOutcomeError{Err: errors.New("the line was cut")}
			case in.Number == 0:
				return "", errors.New("there is no invoice 0")
			}
			return "done", nil
		}, opt...)
	}
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{
		tool("pay", tools.Unsafe()), tool("note", tools.Idempotent()), tool("look", tools.Pure()), tool("lose", tools.Unsafe()),
		tool("slow", tools.Idempotent()), tool("book", tools.Compensable(tool("unbook", tools.Idempotent())), tools.NeedsApproval(tools.Approval{})),
	}})
	var calls []models.ToolCall
	call := func(name, arguments string) {
		calls = append(calls, models.ToolCall{ID: fmt.Sprint(len(calls)), Name: name, Arguments: arguments})
	}
	call("pay", `{"number":7}`)
	call("pay", `{"number":0}`)
	call("note", `{"number":8}`)
	call("look", `{"number":9}`)
	call("lose", `{"number":10}`)
	call("slow", `{"number":11}`)
	call("book", `{"number":12}`)
	call("note", `{"number":"no"}`)

	mail := durable.NewActivity("mail", func(ctx context.Context, _ string) (string, error) {
		info, _ := durable.Info(ctx)
		mu.Lock()
		defer mu.Unlock()
		keys["mail 0"] = info.Key
		return "", nil
	}, durable.AtMostOnce())
	run := durable.NewOrchestration("run", func(ctx *durable.Context, in string) (agents.Result, error) {
		if _, err := mail.Call(ctx, in); err != nil {
			return agents.Result{}, err
		}
		return a.Call(ctx, in)
	})
	model := turns(answer(models.FinishToolCalls, "", calls...), say("fine"))
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(model)}, a), run, mail)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	client := rt.Client()
	id, err := run.Schedule(t.Context(), client, "go")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := run.Wait(t.Context(), client, id)
		ended <- err
	}()
	select {
	case <-begun:
	case err := <-ended:
		t.Fatalf("the run ended: %v", err)
	}
	book := waitForRequest(t, client)
	if _, err := agents.Decide(t.Context(), client, book.ID, agents.Decision{Approve: true, By: "eva", Arguments: `{"number":13}`}); err != nil {
		t.Fatal(err)
	}
	look := func() map[string]string {
		t.Helper()
		list, err := agents.Effects(t.Context(), client, id)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		got := map[string]string{}
		for _, e := range list {
			which := slices.Collect(maps.Keys(keys))
			which = slices.DeleteFunc(which, func(w string) bool { return keys[w] != e.Key })
			if len(which) == 0 && fmt.Sprint(e.State) == "running" {
				got[e.Activity] = "about to begin" // its function has not noted its key yet
				continue
			}
			if len(which) != 1 {
				t.Fatalf("effect %+v has the key of %v, all are %v", e, which, keys)
			}
			text := fmt.Sprint(e.Effect, " ", e.State)
			if !e.Intent.IsZero() {
				text += " intent"
			}
			if !e.Receipt.IsZero() {
				text += " receipt"
			}
			if tool := fmt.Sprintf("tool:%s/%s", e.Agent, e.Tool); e.Tool != "" && tool != e.Activity || e.Scheduled.IsZero() || (e.Instance == id) != (e.Activity == "mail") {
				t.Errorf("effect %+v", e)
			}
			got[which[0]] = text
		}
		return got
	}
	want := map[string]string{
		"mail 0":        "unsafe done intent receipt",
		"tool:a/pay 7":  "unsafe done intent receipt",
		"tool:a/pay 0":  "unsafe failed intent receipt",
		"tool:a/note 8": "idempotent done", "tool:a/slow 11": "idempotent running",
		"tool:a/lose 10": "unsafe unknown intent", "tool:a/book 13": "compensable done intent receipt",
	}
	// The calls are side by side: the others have answered when these words are all there.
	var got map[string]string
	for got = look(); !maps.Equal(got, want); got = look() {
		if got["tool:a/slow 11"] != want["tool:a/slow 11"] {
			t.Fatalf("while one runs: %v", got)
		}
	}
	close(goOn)
	outcome := waitForRequest(t, client)
	if _, err := agents.Decide(t.Context(), client, outcome.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	want["tool:a/slow 11"] = "idempotent done"
	if diff := cmp.Diff(want, look()); diff != "" {
		t.Errorf("effects (-want +got):\n%s", diff)
	}
	if _, err := agents.Effects(t.Context(), client, "nobody"); !durable.IsNotFound(err) {
		t.Errorf("effects of nobody: %v", err)
	}
}

// TestEffectsOfOthers has activities that are called like tools and are none.
func TestEffectsOfOthers(t *testing.T) {
	do := func(name string) *durable.Activity[any, string] {
		return durable.NewActivity(name, func(context.Context, any) (string, error) { return "", nil }, durable.AtMostOnce())
	}
	a, b := do("tool:a/b"), do("tool:c")
	run := durable.NewOrchestration("run", func(ctx *durable.Context, _ string) (string, error) {
		for _, in := range []any{"text", 1, nil, map[string]any{"index": 3}, map[string]any{"index": -1, "message": map[string]any{"hash": "no"}}} {
			if _, err := a.Call(ctx, in); err != nil {
				return "", err
			}
		}
		return b.Call(ctx, nil)
	})
	rt, err := durable.Open(t.Context(), "memory:", run, a, b)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := run.Run(t.Context(), rt.Client(), "", durable.WithInstanceID("i")); err != nil {
		t.Fatal(err)
	}
	list, err := agents.Effects(t.Context(), rt.Client(), "i")
	if err != nil || len(list) != 6 {
		t.Fatalf("effects %+v, %v", list, err)
	}
	if last := list[5]; last.Tool != "" || last.Activity != "tool:c" || last.Key == "" || last.State != agents.EffectDone {
		t.Errorf("the last effect is %+v", last)
	}
}
