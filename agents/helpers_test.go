package agents_test

import (
	"context"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// agentRun gives the newest run of agent a: its instance, and so its conversation.
func agentRun(t *testing.T, c *durable.Client) string {
	t.Helper()
	for s, err := range c.Query(t.Context(), durable.Query{Names: []string{"agent:a"}, Newest: true}) {
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	t.Fatal("agent a has no run")
	return ""
}

// fataler is what tests and properties have in common.
type fataler interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// messages reads a conversation as it is on disk.
func messages(t fataler, c *durable.Client, id string) (list []models.Message) {
	t.Helper()
	ctx := context.Background()
	s, ok, err := memory.Conversation.Get(ctx, c, id)
	if err != nil || !ok {
		t.Fatalf("conversation %s: %v, %v", id, ok, err)
	}
	load := func(r durable.Ref) ([]byte, error) { return c.Load(ctx, r) }
	for m, err := range memory.Read(load, s.Head, 0) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}
