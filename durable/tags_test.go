package durable_test

import (
	"maps"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
)

// A child has its parent's tags, its own on top.
func TestChildrenInheritTags(t *testing.T) {
	child := durable.NewOrchestration("child", func(ctx *durable.Context, _ string) (map[string]string, error) {
		return ctx.Tags(), nil
	})
	parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (map[string]string, error) {
		return child.Call(ctx, "", durable.WithTags(map[string]string{"team": "child", "own": "yes"}))
	})
	rt, err := durable.Open(t.Context(), "memory:", child, parent)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	got, err := parent.Run(t.Context(), rt.Client(), "", durable.WithTags(map[string]string{"team": "parent", "run": "7"}))
	want := map[string]string{"team": "child", "own": "yes", "run": "7"}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}
