package evals_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/recorded"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestAnswers runs the team again, on a new store, with what its models answered: it
// comes to the same, and every answer is used.
func TestAnswers(t *testing.T) {
	rec := read(t, recordedTeam(t))
	answers, err := evals.Answers(rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(answers) != 5 {
		t.Fatalf("%d answers, want 5", len(answers))
	}
	text, err := record(recorded.New(answers), true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(said(t, rec), said(t, read(t, text))); diff != "" {
		t.Errorf("the second run (-first +second):\n%s", diff)
	}
	again, err := evals.Answers(read(t, text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(answers, again); diff != "" {
		t.Errorf("answers of the second run (-first +second):\n%s", diff)
	}

	// Without one of them, the run says which is missing.
	text, err = record(recorded.New(answers[1:]), true)
	if err != nil {
		t.Fatal(err)
	}
	if root := read(t, text).Instances[0]; root.Status != history.Failed || !strings.Contains(string(text), "request "+answers[0].Hash) {
		t.Errorf("without an answer the run is %s", root.Status)
	}
}

// said gives the outputs of all instances.
func said(t *testing.T, rec *evals.Recording) []string {
	t.Helper()
	var all []string
	for _, in := range rec.Instances {
		x := in.Executions[len(in.Executions)-1]
		last := x.Events[len(x.Events)-2] // before OrchestratorCompleted
		if len(last.Data) == 0 {
			last = x.Events[len(x.Events)-1]
		}
		all = append(all, in.Name+" "+string(last.Data))
	}
	return all
}

type step struct {
	N int `json:"n"`
}

// counter is an agent that calls its tool in every turn but the last.
func counter(maxTurns int) *agents.Agent {
	count := tools.New("count", "Counts.", func(_ context.Context, s step) (string, error) { return fmt.Sprint(s.N + 1), nil }, tools.Pure())
	return agents.New(agents.Config{Name: "counter", Model: "m", MaxTurns: maxTurns, Window: 4, Tools: []tools.Tool{count}})
}

// TestContinuedAsNew: a run of several executions is recorded, replayed and had again
// with all of them.
func TestContinuedAsNew(t *testing.T) {
	const turns = 230
	turn := 0 // one run asks one after the other
	model := scripted.Func(func(*models.Request) (*models.Response, error) {
		if turn++; turn == turns {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		args, err := json.Marshal(step{turn})
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "c", Name: "count", Arguments: string(args)})}, err
	})
	run := func(m models.Model) (*evals.Recording, agents.Result) {
		t.Helper()
		a := counter(1000)
		rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: slog.New(slog.DiscardHandler)}, agents.Define(agents.Options{Models: only(m)}, a))
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		id, err := a.Schedule(t.Context(), rt.Client(), "go", agents.With(durable.WithInstanceID("long")))
		if err != nil {
			t.Fatal(err)
		}
		result, err := a.Wait(t.Context(), rt.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := evals.Export(t.Context(), rt.Client(), id, &out); err != nil {
			t.Fatal(err)
		}
		return read(t, out.Bytes()), result
	}
	rec, result := run(model)
	executions := rec.Instances[0].Executions
	if len(rec.Instances) != 1 || len(executions) != 3 || result.Turns != turns {
		t.Fatalf("%d instances, %d executions, %+v", len(rec.Instances), len(executions), result)
	}
	if d, err := evals.Strict(t.Context(), rec, agents.Define(agents.Options{}, counter(1000))); d != nil || err != nil {
		t.Fatalf("unchanged: %v, %v", d, err)
	}
	d, err := evals.Strict(t.Context(), rec, agents.Define(agents.Options{}, counter(150)))
	if err != nil || d == nil {
		t.Fatalf("fewer turns: %v, %v", d, err)
	}
	if d.Address.Execution != executions[0].ID || strings.Join(d.Changed, " ") != "maxTurns" || d.Agent != "counter" {
		t.Errorf("fewer turns: %v", d)
	}
	answers, err := evals.Answers(rec)
	if err != nil || len(answers) != turns {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	if _, again := run(recorded.New(answers)); again != result {
		t.Errorf("with recorded answers %+v, want %+v", again, result)
	}
}

// TestSharedConversation: a run that goes on with another one's conversation is recorded
// with all of it, and a hash in a user's own data that looks like a reference does no harm.
func TestSharedConversation(t *testing.T) {
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	look := durable.NewActivity("look", func(context.Context, string) (durable.Ref, error) {
		return durable.Ref{Hash: history.HashOf([]byte("a file somewhere")), Size: 16}, nil
	})
	again := durable.NewOrchestration("again", func(ctx *durable.Context, in string) (agents.Result, error) {
		if _, err := look.Call(ctx, in); err != nil {
			return agents.Result{}, err
		}
		return a.Call(ctx, in, agents.InConversation("c"))
	})
	model := scripted.New(scripted.Entry{Agent: "a", Text: "One."}, scripted.Entry{Agent: "a", Text: "Two."})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: slog.New(slog.DiscardHandler)}, agents.Define(agents.Options{Models: only(model)}, a), look, again)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	for _, id := range []string{"first", "second"} {
		if r, err := again.Run(t.Context(), rt.Client(), "count on, "+id, durable.WithInstanceID(id)); err != nil {
			t.Fatal(r, err)
		}
	}
	var out bytes.Buffer
	if err := evals.Export(t.Context(), rt.Client(), "second", &out); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"count on, first", "One."} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the recording of the second run lacks %q, which it began with", text)
		}
	}
	answers, err := evals.Answers(read(t, out.Bytes()))
	if err != nil || len(answers) != 1 || answers[0].Response.Message.Content != "Two." {
		t.Errorf("answers %+v, %v", answers, err)
	}
	if err := evals.Export(t.Context(), rt.Client(), "third", &out); !durable.IsNotFound(err) || !strings.Contains(err.Error(), "export third: ") {
		t.Errorf("a run that is not there: %v", err)
	}
}
