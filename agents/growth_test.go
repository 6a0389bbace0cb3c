package agents_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// A run grows by its new messages, not by its conversation: 200 turns take at
// most 2.1 times the bytes of 100.
func TestGrowth(t *testing.T) {
	hundred, twoHundred := bytesAfter(t, 100), bytesAfter(t, 200)
	ratio := float64(twoHundred) / float64(hundred)
	t.Logf("100 turns: %d bytes, 200 turns: %d bytes, ratio %.2f", hundred, twoHundred, ratio)
	if ratio > 2.1 {
		t.Errorf("200 turns take %.2f times the bytes of 100", ratio)
	}
}

// bytesAfter gives the bytes in use in the database file after a run of so many
// turns, each with a tool call and messages of about 1 KiB.
func bytesAfter(t *testing.T, turns int) int64 {
	t.Helper()
	ctx := t.Context()
	var calls atomic.Int32
	text := strings.Repeat("x", 1000)
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		n := models.AssistantTurns(req.Messages) + 1
		if n == turns {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage(fmt.Sprint(n, text),
			models.ToolCall{ID: "1", Name: "weather", Arguments: fmt.Sprintf(`{"name":"%d%s"}`, n, text)})}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 1000, Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	s, err := sqlite.Open(ctx, filepath.Join(t.TempDir(), "growth.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	empty, err := s.BytesInUse(ctx)
	if err != nil {
		t.Fatal(err)
	}
	rt, err := durable.OpenStore(ctx, s, durable.Options{}, agents.Define(agents.Options{Models: only(m)}, a))
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := a.Wait(ctx, rt.Client(), id); err != nil || r.Turns != turns {
		t.Fatalf("%+v, %v", r, err)
	}
	used, err := s.BytesInUse(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return used - empty
}
