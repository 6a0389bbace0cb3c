package durabletest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// recordLeaf runs leaf, which continues as new twice, in virtual time.
func recordLeaf(t *testing.T) (*durable.Client, func()) {
	t.Helper()
	rt, err := durable.Open(t.Context(), "memory:", defs...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := leaf.Run(t.Context(), rt.Client(), 1, durable.WithInstanceID("l")); err != nil {
		t.Fatal(err)
	}
	return rt.Client(), func() { _ = rt.Close() }
}

func TestReplayAllExecutions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, end := recordLeaf(t)
		defer end()
		if d, err := durabletest.Replay(t.Context(), c, "l", defs...); d != nil || err != nil {
			t.Fatalf("unchanged code: %v, %v", d, err)
		}
		// The same but for the last execution.
		changed := durable.NewOrchestration("leaf", func(ctx *durable.Context, n int) (int, error) {
			if n > 2 {
				return square.Call(ctx, n)
			}
			if err := ctx.Sleep(time.Hour); err != nil {
				return 0, err
			}
			return 0, ctx.ContinueAsNew(n + 1)
		})
		d, err := durabletest.Replay(t.Context(), c, "l", changed, square)
		if err != nil || d == nil {
			t.Fatalf("got %v, %v", d, err)
		}
		executions, err := c.Executions(t.Context(), "l")
		if err != nil {
			t.Fatal(err)
		}
		if d.Address.Execution != executions[2] || d.Address.Number != 2 || d.Field != "name" {
			t.Errorf("got %v", d)
		}
	})
}

func TestReplayEvents(t *testing.T) {
	events := []*history.Event{
		{Kind: history.OrchestratorStarted, ID: -1},
		{Kind: history.ExecutionStarted, ID: -1, Name: "hi", Data: history.Payload(`"you"`), Instance: history.Instance{ID: "x", Execution: "e"}},
		{Kind: history.ExecutionCompleted, ID: 0, Status: history.Completed, Data: history.Payload(`"hello you"`)},
	}
	hi := func(greeting string) durable.Definition {
		return durable.NewOrchestration("hi", func(_ *durable.Context, who string) (string, error) { return greeting + who, nil })
	}
	if d, err := durable.Replay(context.Background(), durabletest.Events(events...), nil, hi("hello ")); d != nil || err != nil {
		t.Errorf("got %v, %v", d, err)
	}
	d, err := durable.Replay(context.Background(), durabletest.Events(events...), nil, hi("howdy "))
	if err != nil || d == nil || d.Field != "data" || d.Address.Number != 2 {
		t.Errorf("got %v, %v", d, err)
	}
}
