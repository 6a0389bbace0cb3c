package agents_test

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestReadOn: a model pages through a result of which it was shown the beginning.
func TestReadOn(t *testing.T) {
	var whole strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&whole, "line %d\n", i)
	}
	long := tools.New("long", "Says much.", func(context.Context, struct{}) (string, error) { return whole.String(), nil }, tools.Pure(), tools.MaxResult(1000))
	first := regexp.MustCompile(`read_result.*?"([0-9a-f]{12})"`)
	offset := regexp.MustCompile(`offset ([0-9]+)`)
	id := ""
	var got strings.Builder
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		last := req.Messages[len(req.Messages)-1]
		if last.Role == models.RoleUser {
			return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "long", Arguments: "{}"})}, nil
		}
		if n := len(req.Tools); n != 2 || req.Tools[1].Name != "read_result" {
			t.Errorf("offered %+v", req.Tools)
		}
		text, note, more := cutLastLine(last.Content)
		if at := first.FindStringSubmatch(note); at != nil {
			id = at[1]
		}
		at := offset.FindStringSubmatch(note)
		if !more || at == nil {
			got.WriteString(text)
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("read")}, nil
		}
		got.WriteString(text)
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("",
			models.ToolCall{ID: "1", Name: "read_result", Arguments: fmt.Sprintf(`{"id":%q,"offset":%s}`, id, at[1])})}, nil
	})
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{long}}))
	res, err := tm.ask(t, "go")
	if err != nil || res.Turns < 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	if got.String() != whole.String() {
		t.Errorf("read %d bytes of %d, ending %q", got.Len(), whole.Len(), got.String()[max(0, got.Len()-200):])
	}
}

func cutLastLine(s string) (text, last string, ok bool) {
	i := strings.LastIndexByte(s, '\n')
	if i < 0 || !strings.HasPrefix(s[i+1:], "[") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// TestStateAndProgress: tools know and change the run's state, and tell how far they are.
func TestStateAndProgress(t *testing.T) {
	var mu sync.Mutex
	var said []agents.Progress
	add := tools.New("add", "Adds.", func(ctx context.Context, in order) (string, error) {
		n, _, err := tools.State[int](ctx, "sum")
		if err != nil {
			return "", err
		}
		tools.Progress(ctx, "adding")
		return "", tools.SetState(ctx, "sum", n+in.Amount)
	}, tools.Pure())
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{add},
		StopWhen: func(_ context.Context, s agents.RunState) (bool, error) {
			var sum int
			_, err := s.Value("sum", &sum)
			return sum >= 15, err
		}})
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("more", models.ToolCall{ID: "1", Name: "add", Arguments: `{"amount":5}`})}, nil
	})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m), OnProgress: func(p agents.Progress) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, p)
	}, Prices: models.Prices{"m": {Input: models.Dollar}}}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "go", agents.WithState(map[string]any{"sum": 0}))
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Wait(t.Context(), rt.Client(), id)
	if err != nil || got.Turns != 3 || got.Stop != agents.StopWhen || got.Unpriced != 0 || got.Cost != models.Money(1000*got.Usage.InputTokens) {
		t.Errorf("got %+v, %v", got, err)
	}
	if len(said) != 3 || said[0].Text != "adding" || said[0].Tool != "add" || said[0].Instance != id {
		t.Errorf("progress %+v", said)
	}
}

// TestCost: what turns cost is part of the result, exactly.
func TestCost(t *testing.T) {
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("hi"), Usage: models.Usage{InputTokens: 1000, OutputTokens: 10}, Answered: "small"}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "chain"})
	rt, err := durable.Open(t.Context(), "memory:", agents.Define(agents.Options{Models: only(m), Prices: models.Prices{"small": {Input: models.Dollar, Output: 2 * models.Dollar}}}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(t.Context(), rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	got, err := a.Wait(t.Context(), rt.Client(), id)
	if b, _ := json.Marshal(got.Cost); err != nil || string(b) != "0.00102" || got.Unpriced != 0 {
		t.Errorf("got %+v (%s), %v", got, b, err)
	}
}
