package durable_test

import (
	"context"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
)

// TestCustomStatusTakenBack: nil is a status too, also when an earlier one is on disk.
func TestCustomStatusTakenBack(t *testing.T) {
	reached := make(chan struct{})
	reach := durable.NewActivity("reach", func(context.Context, int) (int, error) { close(reached); return 0, nil })
	o := durable.NewOrchestration("status", func(ctx *durable.Context, _ int) (int, error) {
		ctx.SetCustomStatus("waiting")
		if _, err := reach.Call(ctx, 0); err != nil { // runs once the turn is on disk
			return 0, err
		}
		_, err := durable.WaitForEvent[int](ctx, "go").Await()
		ctx.SetCustomStatus(nil)
		return 0, err
	})
	rt, err := durable.Open(t.Context(), "memory:", o, reach)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	id, err := o.Schedule(t.Context(), rt.Client(), 0)
	if err != nil {
		t.Fatal(err)
	}
	<-reached
	if err := rt.Client().RaiseEvent(t.Context(), id, "go", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Wait(t.Context(), rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	if s, err := rt.Client().Get(t.Context(), id); err != nil || string(s.CustomStatus) != "null" {
		t.Errorf("the status is %s, %v", s.CustomStatus, err)
	}
}
