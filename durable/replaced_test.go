package durable_test

import (
	"slices"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// A finished child that is replaced, and whose successor continues as new in its
// first turn, has three executions, each with its own history, from which the last
// one goes on after a restart.
func TestReplacedChildContinuesAsNewAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		child := durable.NewOrchestration("child", func(ctx *durable.Context, n int) (int, error) {
			switch n {
			case 1:
				return 0, ctx.ContinueAsNew(2)
			case 2:
				return durable.WaitForEvent[int](ctx, "go").Await()
			}
			return n, nil
		})
		parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ int) (int, error) {
			if _, err := child.Call(ctx, 0, durable.WithInstanceID("kid")); err != nil {
				return 0, err
			}
			return child.Call(ctx, 1, durable.WithInstanceID("kid"))
		})
		ctx := t.Context()
		rt := d.run(t, durable.Options{}, child, parent)
		id, err := parent.Schedule(ctx, rt.Client(), 0)
		if err != nil {
			t.Fatal(err)
		}
		var executions []string
		d.until(t, rt, func() bool {
			executions, err = rt.Client().Executions(ctx, "kid")
			for range rt.Client().History(ctx, "kid", "") {
				return err == nil && len(executions) == 3
			}
			return false // the last one has not begun
		})
		for i, x := range executions {
			var ids []string
			for ev, err := range rt.Client().History(ctx, "kid", x) {
				if err != nil {
					t.Fatal(err)
				}
				if ev.Kind == history.ExecutionStarted {
					ids = append(ids, ev.Instance.Execution)
				}
			}
			if !slices.Equal(ids, []string{x}) {
				t.Errorf("the history of execution %d, %s, begins %v", i, x, ids)
			}
		}
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{}, child, parent)
		defer closeRuntime(t, rt)
		if err := rt.Client().RaiseEvent(ctx, "kid", "go", 7); err != nil {
			t.Fatal(err)
		}
		got, err := parent.Wait(ctx, rt.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "result", got, 7)
	})
}
