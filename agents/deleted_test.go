package agents_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestConversationDeleted: a run whose conversation is deleted, or whose time to live
// runs out, ends with an error. Its model is not asked with what little came after, and
// what was deleted does not begin anew.
func TestConversationDeleted(t *testing.T) {
	ctx := t.Context()
	var asked atomic.Int32
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		if asked.Add(1) > 1 {
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("what is it about?")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "erase"})}, nil
	})
	var c *durable.Client
	erase := tools.New("erase", "", func(ctx context.Context, _ struct{}) (string, error) {
		if err := memory.Delete.Send(ctx, c, "private", memory.Deletion{}); err != nil {
			return "", err
		}
		for {
			if _, there, err := memory.Conversation.Get(ctx, c, "private"); err != nil || !there {
				return "erased", err
			}
		}
	}, tools.Idempotent())
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{erase}})
	rt, err := agents.Open(ctx, "memory:", agents.Options{Models: only(m)}, durable.Options{}, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	c = rt.Client()
	id, err := a.Schedule(ctx, c, "forget me", agents.InConversation("private"))
	if err != nil {
		t.Fatal(err)
	}
	if res, err := a.Wait(ctx, c, id); err == nil || !strings.Contains(err.Error(), "conversation private was deleted") || asked.Load() != 1 {
		t.Errorf("%+v, %v; the model was asked %d times", res, err, asked.Load())
	}
	if s, there, err := memory.Conversation.Get(ctx, c, "private"); there || err != nil {
		t.Errorf("the conversation is there again: %+v, %v", s, err)
	}
}
