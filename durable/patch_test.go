package durable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

var repeat = durable.NewActivity("repeat", func(ctx context.Context, s string) (string, error) { return s, nil })

// patched is the same orchestration through the life of a patch: in a loop of three
// rounds, each of which waits for an event before and after the change.
func patched(stage string) *durable.Orchestration[string, string] {
	return durable.NewOrchestration("patched", func(ctx *durable.Context, _ string) (string, error) {
		var said []string
		say := func(s string) error {
			s, err := repeat.Call(ctx, s)
			said = append(said, s)
			return err
		}
		for range 3 {
			if _, err := durable.WaitForEvent[string](ctx, "go").Await(); err != nil {
				return "", err
			}
			modern := false
			switch stage {
			case "patched":
				modern = ctx.Patched("new")
				if ctx.Patched("new") != modern {
					return "", errors.New("two answers for one id")
				}
			case "deprecated":
				ctx.DeprecatePatch("new")
				modern = true
			case "deleted":
				modern = true
			}
			var err error
			if modern {
				err = errors.Join(say("new 1"), say("new 2"))
			} else {
				err = say("old")
			}
			if err != nil {
				return "", err
			}
		}
		return strings.Join(said, ", "), nil
	})
}

// answered counts the answers in a history.
func answered(t *testing.T, rt *durable.Runtime, id string) (n int) {
	for _, ev := range record(t, rt.Client(), id) {
		if ev.Kind == history.TaskCompleted {
			n++
		}
	}
	return n
}

// Instances from before a patch keep the old code once they have used it, those that
// come to it later and new ones have the new code, and no later stage breaks them.
func TestPatched(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		rt := d.run(t, durable.Options{Cached: -1}, patched("before"), repeat)
		for _, id := range []string{"passed", "waits"} {
			start(t, rt, patched(""), id)
		}
		raise(t, rt, "passed")
		d.until(t, rt, func() bool { return answered(t, rt, "passed") == 1 })
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{Cached: -1}, patched("patched"), repeat) // replayed for each turn
		start(t, rt, patched(""), "fresh")
		for _, id := range []string{"waits", "fresh"} {
			raise(t, rt, id)
			d.until(t, rt, func() bool { return answered(t, rt, id) == 2 })
		}
		raise(t, rt, "passed")
		raise(t, rt, "passed")
		equal(t, "passed", ends(t, rt, "passed"), `"old, old, old"`)
		equal(t, "markers of an old one", strings.Count(kinds(t, rt.Client(), "passed"), "GenericEvent"), 0)
		equal(t, "markers of a new one", strings.Count(kinds(t, rt.Client(), "fresh"), "GenericEvent"), 1)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{Cached: -1}, patched("deprecated"), repeat)
		start(t, rt, patched(""), "late")
		raise(t, rt, "waits")
		raise(t, rt, "waits")
		equal(t, "waits", ends(t, rt, "waits"), `"new 1, new 2, new 1, new 2, new 1, new 2"`)
		raise(t, rt, "late")
		d.until(t, rt, func() bool { return answered(t, rt, "late") == 2 })
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{Cached: -1}, patched("deleted"), repeat)
		raise(t, rt, "late")
		raise(t, rt, "late")
		equal(t, "late", ends(t, rt, "late"), `"new 1, new 2, new 1, new 2, new 1, new 2"`)
		// Deleted too early: the one that is marked breaks, and is told why.
		raise(t, rt, "fresh")
		if got := ends(t, rt, "fresh"); !strings.Contains(got, `recorded GenericEvent #0 {"patch":"new"}, the code did TaskScheduled #0 "repeat"`) {
			t.Errorf("fresh: %s", got)
		}
	})
}

func TestPatchedThroughCrashes(t *testing.T) {
	two := durable.NewOrchestration("two", func(ctx *durable.Context, n int) (string, error) {
		said := fmt.Sprint(ctx.Patched("a"))
		if err := ctx.Sleep(0); err != nil {
			return "", err
		}
		s, err := repeat.Call(ctx, fmt.Sprint(ctx.Patched("b"), ctx.Patched("a"), ctx.Patched("c")))
		ctx.DeprecatePatch("never")
		return said + s, err
	})
	durabletest.CrashEverywhere(t, []durable.Definition{two, repeat}, func(ctx context.Context, env *durabletest.Env) (string, error) {
		return two.Run(ctx, env.Client(), 1)
	})
}

// ReplayOpen gives the instances that a build would break or leave waiting, and no
// others.
func TestReplayOpen(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		gone := durable.NewOrchestration("gone", func(ctx *durable.Context, _ string) (string, error) { return "", ctx.Sleep(1 << 50) })
		rt := d.run(t, durable.Options{}, patched("before"), versioned("1"), gone, repeat)
		c := rt.Client()
		for _, id := range []string{"passed", "waits", "suspended"} {
			start(t, rt, patched(""), id)
		}
		start(t, rt, versioned("1"), "v1")
		start(t, rt, versioned("2"), "v2")
		start(t, rt, gone, "g")
		start(t, rt, gone, "ended")
		for _, id := range []string{"passed", "suspended"} {
			raise(t, rt, id)
			d.until(t, rt, func() bool { return answered(t, rt, id) == 1 })
		}
		if err := errors.Join(c.Suspend(t.Context(), "suspended", ""), c.Terminate(t.Context(), "ended", nil, false)); err != nil {
			t.Fatal(err)
		}
		check := func(what string, want string, defs ...durable.Definition) {
			t.Helper()
			var got []string
			for b, err := range durable.ReplayOpen(t.Context(), c, defs...) {
				if err != nil {
					t.Fatal(err)
				}
				why := "differs"
				if b.Difference == nil {
					why = fmt.Sprint("missing ", errors.Is(b.Err, durable.ErrNotDefined))
				}
				got = append(got, b.ID+" "+why)
			}
			equal(t, what, strings.Join(got, ", "), want)
		}
		check("the same", "v2 missing true", patched("before"), versioned("1"), gone)
		check("patched", "", patched("patched"), versioned("1"), versioned("2"), gone)
		check("changed", "passed differs, suspended differs, v1 missing true, v2 missing true", patched("deleted"), versioned("3"), versioned(""), gone)
		check("gone", "g missing true", patched("patched"), versioned(""))
		for _, err := range durable.ReplayOpen(t.Context(), c, gone, durable.NewOrchestration("gone", func(*durable.Context, int) (int, error) { return 0, nil })) {
			if err == nil {
				t.Error("definitions that contradict each other are no error")
			}
		}
	})
}
