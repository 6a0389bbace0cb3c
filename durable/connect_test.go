package durable_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
)

// A second client, as another process has it, sees and steers what the holder of
// the store runs; with no holder it leaves its message for the next one.
func TestConnect(t *testing.T) {
	ctx := t.Context()
	wait := durable.NewOrchestration("wait", func(ctx *durable.Context, _ string) (string, error) {
		return durable.WaitForEvent[string](ctx, "go").Await()
	})
	url := "sqlite:" + filepath.Join(t.TempDir(), "hub.db")
	rt, err := durable.Open(ctx, url, wait)
	if err != nil {
		t.Fatal(err)
	}
	first, err := wait.Schedule(ctx, rt.Client(), "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := wait.Schedule(ctx, rt.Client(), "")
	if err != nil {
		t.Fatal(err)
	}
	raise := func(id, data string) {
		t.Helper()
		c, err := durable.Connect(ctx, url, durable.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.RaiseEvent(ctx, id, "go", data); err != nil {
			t.Fatal(err)
		}
	}
	raise(first, "while it runs")
	if got, err := wait.Wait(ctx, rt.Client(), first); err != nil || got != "while it runs" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	raise(second, "while nobody runs")
	c, err := durable.Connect(context.Background(), url, durable.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s, err := c.Get(ctx, second); err != nil || s.Status.Ended() {
		t.Fatalf("an orchestration without a definition: %+v, %v", s, err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	rt, err = durable.Open(ctx, url, wait)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if got, err := wait.Wait(ctx, rt.Client(), second); err != nil || got != "while nobody runs" {
		t.Fatalf("got %q, %v", got, err)
	}
}
