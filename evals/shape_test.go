package evals_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
	"github.com/agentrun-dev/agentrun/models/recorded"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestSameShape runs one program on every kind of model there is: two libraries that ask a
// server of others over HTTP, a script, and the answers of an earlier run. It asks for calls
// side by side, one of which waits for a person, and for a structured answer that fits only
// the second time. Whatever the model, it takes the same steps, says the same and ends alike.
func TestSameShape(t *testing.T) {
	server := modeltest.StartAimock(t, tripFixtures()...)
	headers := func() (map[string]string, func(*testing.T)) {
		id := server.NewTestID(t)
		return map[string]string{modeltest.TestIDHeader: id}, func(t *testing.T) {
			if n := len(server.Journal(t, id)); n != len(tripAnswers) {
				t.Errorf("the server was asked %d times, not %d", n, len(tripAnswers))
			}
		}
	}

	script := make([]scripted.Entry, len(tripAnswers))
	for i, a := range tripAnswers {
		script[i] = scripted.Entry{Text: a.text, Usage: &a.usage}
		for _, c := range a.calls {
			script[i].Calls = append(script[i].Calls, scripted.Call{Tool: c.Name, ID: c.ID, Arguments: c.Arguments})
		}
	}
	want, rec := takeTrip(t, scripted.New(script...))
	for _, step := range []string{
		"plan: SubOrchestrationInstanceCreated agent:guide → SubOrchestrationInstanceCompleted",
		"agent:guide: TaskScheduled chat:guide → TaskCompleted",
		"agent:guide: TaskScheduled tool:guide/weather → TaskCompleted",
		"agent:guide: EntityOperationCalled request → EntityOperationCompleted",
		"agent:guide: EventRaised approval",
		"agent:guide: TaskScheduled tool:guide/book → TaskCompleted",
		"agent:guide: ExecutionCompleted",
	} {
		if !slices.Contains(want.Steps, step) {
			t.Errorf("no step %q in\n%s", step, strings.Join(want.Steps, "\n"))
		}
	}
	if want.Result.Turns != 3 || want.Result.ToolCalls != 3 || want.Result.Text != tripAnswers[2].text || len(want.Messages) != 8 {
		t.Errorf("%+v, %d messages", want.Result, len(want.Messages))
	}
	same := func(t *testing.T, m models.Model) {
		t.Helper()
		got, _ := takeTrip(t, m)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("not as on the scripted model (-scripted +got):\n%s", diff)
		}
	}

	t.Run("go-openai", func(t *testing.T) {
		h, asked := headers()
		m, err := openai.New(openai.Options{BaseURL: server.BaseURL, APIKey: "sk-test", Headers: h})
		if err != nil {
			t.Fatal(err)
		}
		same(t, m)
		asked(t)
	})
	t.Run("langchaingo", func(t *testing.T) {
		h, asked := headers()
		m, err := langchain.NewOpenAI(langchain.OpenAIOptions{BaseURL: server.BaseURL, APIKey: "sk-test", Headers: h})
		if err != nil {
			t.Fatal(err)
		}
		same(t, m)
		asked(t)
	})
	t.Run("recorded", func(t *testing.T) {
		answers, err := evals.Answers(rec)
		if err != nil || len(answers) != len(tripAnswers) {
			t.Fatalf("%d answers, %v", len(answers), err)
		}
		same(t, recorded.New(answers))
	})
}

// tripAnswers is what each model says, turn by turn.
var tripAnswers = []struct {
	text  string
	calls []models.ToolCall
	usage models.Usage
}{
	{text: "Let me see.", calls: []models.ToolCall{
		{ID: "call_1", Name: "weather", Arguments: `{"city":"Oslo"}`},
		{ID: "call_2", Name: "book", Arguments: `{"city":"Rome"}`},
		{ID: "call_3", Name: "weather", Arguments: `{"city":"Rome"}`},
	}, usage: models.Usage{InputTokens: 100, OutputTokens: 30}},
	{text: `{"city":"Rome"}`, usage: models.Usage{InputTokens: 170, OutputTokens: 8}},
	{text: `{"city":"Rome","booking":"R-1"}`, usage: models.Usage{InputTokens: 220, OutputTokens: 12}},
}

// tripFixtures makes the server give the same answers.
func tripFixtures() []modeltest.Fixture {
	matches := []map[string]any{
		{"userMessage": "Where to?", "hasToolResult": false},
		{"userMessage": "Where to?", "hasToolResult": true},
		{"userMessage": "The answer must be JSON"},
	}
	out := make([]modeltest.Fixture, len(matches))
	for i, a := range tripAnswers {
		response := map[string]any{
			"content": a.text,
			"usage":   map[string]any{"prompt_tokens": a.usage.InputTokens, "completion_tokens": a.usage.OutputTokens},
		}
		var calls []any
		for _, c := range a.calls {
			calls = append(calls, map[string]any{"id": c.ID, "name": c.Name, "arguments": c.Arguments})
		}
		if calls != nil {
			response["toolCalls"] = calls
		}
		out[i] = modeltest.Fixture{"match": matches[i], "response": response, "chunkSize": 5}
	}
	return out
}

// trip is what one run of the program was.
type trip struct {
	Steps    []string
	Messages []models.Message
	Result   agents.Result
}

type tripPlan struct {
	City    string `json:"city"`
	Booking string `json:"booking"`
}

// takeTrip runs the program, with a person who agrees to all, and reads its recording.
func takeTrip(t *testing.T, m models.Model) (trip, *evals.Recording) {
	t.Helper()
	ctx := t.Context()
	guide := agents.New(agents.Config{
		Name: "guide", Model: "gpt-4.1", Instructions: "Plan a trip.", Output: agents.OutputOf[tripPlan](),
		Tools: []tools.Tool{
			tools.New("weather", "Weather in a city.", func(_ context.Context, p place) (string, error) { return p.City + ": sunny", nil }, tools.Pure()),
			tools.New("book", "Books a hotel.", func(_ context.Context, p place) (string, error) { return "R-1 in " + p.City, nil },
				tools.Unsafe(), tools.NeedsApproval(tools.Approval{Question: "Book it?"})),
		},
	})
	plan := durable.NewOrchestration("plan", func(ctx *durable.Context, question string) (agents.Result, error) { return guide.Call(ctx, question) })
	rt, err := agents.Open(ctx, "memory:", agents.Options{Models: only(m)}, durable.Options{Logger: slog.New(slog.DiscardHandler)}, []*agents.Agent{guide}, plan)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	f := rt.Stream().Follow("trip-1")
	defer f.Stop()
	if _, err := plan.Schedule(ctx, rt.Client(), "Where to?", durable.WithInstanceID("trip-1")); err != nil {
		t.Fatal(err)
	}
	for ev, err := range f.Events(ctx, rt) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == agents.EventApproval {
			if _, err := agents.Decide(ctx, rt.Client(), ev.Approval, agents.Decision{Approve: true, By: "eva"}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out trip
	if out.Result, err = plan.Wait(ctx, rt.Client(), "trip-1"); err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := evals.Export(ctx, rt.Client(), "trip-1", &file); err != nil {
		t.Fatal(err)
	}
	rec := read(t, file.Bytes())
	out.Steps, out.Messages = steps(rec), spoken(t, rec)
	return out, rec
}

// steps tells the histories of a recording: each action of the code with what came of it,
// and what came from outside, with the kinds and names of the events. The order of actions
// is that of the code; of what goes on side by side, the order of the ends is chance.
func steps(rec *evals.Recording) (out []string) {
	for _, in := range rec.Instances {
		for _, x := range in.Executions {
			at, raised := map[string]int{}, []string{}
			for _, ev := range x.Events {
				task, request := fmt.Sprint("task ", ev.Answers), "request "+ev.Request
				name := ev.Name
				if ev.Kind == history.EventRaised {
					name, _, _ = strings.Cut(name, ":") // the rest is an id
				}
				line := strings.TrimSpace(fmt.Sprintf("%s: %s %s", in.Name, ev.Kind, name))
				switch ev.Kind {
				case history.OrchestratorStarted: // one for each turn: of several ends in one, chance
				case history.TaskCompleted, history.TaskFailed, history.ChildCompleted, history.ChildFailed, history.TimerFired:
					out[at[task]] += " → " + ev.Kind.String()
				case history.EntityOperationCompleted, history.EntityOperationFailed:
					out[at[request]] += " → " + ev.Kind.String()
				case history.EventRaised:
					raised = append(raised, line)
				default:
					if at[fmt.Sprint("task ", ev.ID)] = len(out); ev.Request != "" {
						at["request "+ev.Request] = len(out)
					}
					out = append(out, line)
				}
			}
			slices.Sort(raised)
			out = append(out, raised...)
		}
	}
	return out
}

// spoken gives the messages of the recording's only conversation.
func spoken(t *testing.T, rec *evals.Recording) (list []models.Message) {
	t.Helper()
	for _, n := range rec.Entities {
		if !strings.HasPrefix(n.ID, "@conversation@") {
			continue
		}
		var s memory.State
		if err := json.Unmarshal(n.State, &s); err != nil {
			t.Fatal(err)
		}
		for m, err := range memory.Read(rec.Payload, s.Head, 0) {
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, m)
		}
	}
	return list
}
