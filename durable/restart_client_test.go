package durable_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
)

// A restarted run is a new one with the old one's name, version, input and tags;
// under the same id the old one must have ended, and goes.
func TestRestart(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		w := newWorld()
		act := durable.NewActivity("act", w.do)
		o := durable.NewOrchestration("o", func(ctx *durable.Context, in string) (string, error) {
			if in == "wait" {
				return durable.WaitForEvent[string](ctx, "go").Await()
			}
			return act.Call(ctx, in)
		})
		rt := d.run(t, durable.Options{}, act, o)
		c := rt.Client()
		tags := durable.WithTags(map[string]string{"team": "red"})
		if _, err := o.Run(ctx, c, "a", durable.WithInstanceID("i"), tags); err != nil {
			t.Fatal(err)
		}
		id, err := c.Restart(ctx, "i", false)
		equal(t, "same id", fmt.Sprint(id, err), "i<nil>")
		got, err := o.Wait(ctx, c, "i")
		equal(t, "output", fmt.Sprint(got, err), "A<nil>")
		equal(t, "calls and keys", w.String(), "a:2/2")
		st, err := c.Get(ctx, "i")
		if err != nil || st.Tags["team"] != "red" || string(st.Input) != `"a"` {
			t.Errorf("%+v, %v", st, err)
		}
		if x, err := c.Executions(ctx, "i"); len(x) != 1 || err != nil {
			t.Errorf("executions %v, %v", x, err)
		}

		if _, err := o.Schedule(ctx, c, "wait", durable.WithInstanceID("w"), tags); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Restart(ctx, "w", false); !errors.Is(err, durable.ErrNotEnded) {
			t.Errorf("one that waits: %v", err)
		}
		if _, err := c.Restart(ctx, "nobody", true); !durable.IsNotFound(err) {
			t.Errorf("nobody: %v", err)
		}
		id, err = c.Restart(ctx, "w", true)
		if err != nil || len(id) != 32 {
			t.Fatal(id, err)
		}
		for _, id := range []string{"w", id} {
			if err := c.RaiseEvent(ctx, id, "go", id); err != nil {
				t.Fatal(err)
			}
			got, err := o.Wait(ctx, c, id)
			equal(t, id, fmt.Sprint(got, err), id+"<nil>")
		}
		closeRuntime(t, rt)
	})
}

func TestRestartCrashes(t *testing.T) {
	act := durable.NewActivity("act", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (int, error) { return act.Call(ctx, n) })
	durabletest.CrashEverywhere(t, []durable.Definition{o, act}, func(ctx context.Context, env *durabletest.Env) (int, error) {
		c := env.Client()
		if _, err := o.Run(ctx, c, 1, durable.WithInstanceID("i")); err != nil {
			return 0, err
		}
		for _, newID := range []bool{false, true} {
			id, err := c.Restart(ctx, "i", newID)
			if err != nil {
				return 0, err
			}
			if _, err := o.Wait(ctx, c, id); err != nil {
				return 0, err
			}
		}
		return o.Wait(ctx, c, "i")
	})
}
