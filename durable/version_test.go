package durable_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// versioned waits for an event and says which code it is.
func versioned(v string, opts ...durable.OrchestrationOption) *durable.Orchestration[string, string] {
	if v != "" {
		opts = append(opts, durable.Version(v))
	}
	return durable.NewOrchestration("versioned", func(ctx *durable.Context, _ string) (string, error) {
		_, err := durable.WaitForEvent[string](ctx, "go").Await()
		return fmt.Sprintf("code %q for %q", v, ctx.Version()), err
	}, opts...)
}

func start(t *testing.T, rt *durable.Runtime, o *durable.Orchestration[string, string], id string, opts ...durable.CallOption) {
	t.Helper()
	if _, err := o.Schedule(t.Context(), rt.Client(), "", append(opts, durable.WithInstanceID(id))...); err != nil {
		t.Fatal(err)
	}
}

func raise(t *testing.T, rt *durable.Runtime, id string) {
	t.Helper()
	if err := rt.Client().RaiseEvent(t.Context(), id, "go", ""); err != nil {
		t.Fatal(err)
	}
}

// ends tells how an instance came to its end.
func ends(t *testing.T, rt *durable.Runtime, id string) string {
	t.Helper()
	s, err := rt.Client().Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Failure != nil {
		return s.Failure.Error()
	}
	return string(s.Output)
}

// Each instance goes on with the code of its version, also in a later program; one
// whose version is missing waits for a program that has it.
func TestVersionsSideBySide(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		none, one, two := versioned(""), versioned("1.0"), versioned("2.0")
		rt := d.run(t, durable.Options{}, none, one)
		start(t, rt, none, "a")
		start(t, rt, one, "b")
		start(t, rt, none, "c", durable.WithVersion("1.0"))
		start(t, rt, two, "d")
		s, err := rt.Client().Get(t.Context(), "d")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "status without its version", s.Status, history.Pending)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, two) // a program that has only the new one
		for _, id := range []string{"a", "b", "c", "d"} {
			raise(t, rt, id)
		}
		equal(t, "d", ends(t, rt, "d"), `"code \"2.0\" for \"2.0\""`)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, two, one, none)
		equal(t, "a", ends(t, rt, "a"), `"code \"\" for \"\""`)
		equal(t, "b", ends(t, rt, "b"), `"code \"1.0\" for \"1.0\""`)
		equal(t, "c", ends(t, rt, "c"), `"code \"1.0\" for \"1.0\""`)
	})
}

// A single definition without a version runs everything of its name.
func TestVersionsOfAnUnversionedProgram(t *testing.T) {
	rt := (&disk{memory: memory.New(), committed: make(chan struct{}, 1)}).run(t, durable.Options{}, versioned(""))
	start(t, rt, versioned("7"), "a")
	raise(t, rt, "a")
	equal(t, "a", ends(t, rt, "a"), `"code \"\" for \"7\""`)
}

func TestVersionPolicies(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		one, two, three := versioned("1.0"), versioned("2.0"), versioned("3.0")
		slow := durable.NewActivity("slow", func(ctx context.Context, _ string) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		})
		busy := func(v string) *durable.Orchestration[string, string] {
			return durable.NewOrchestration("busy", func(ctx *durable.Context, _ string) (string, error) { return slow.Call(ctx, "") }, durable.Version(v))
		}
		parent := durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (string, error) {
			s, err := one.Call(ctx, "", durable.WithInstanceID("child"))
			var f *durable.TaskFailedError
			if errors.As(err, &f) {
				return fmt.Sprint(f.Type, " ", f.NonRetriable), nil
			}
			return s, err
		})
		rt := d.run(t, durable.Options{}, one, parent, slow, busy("1.0"))
		start(t, rt, one, "older")
		start(t, rt, three, "newer")
		start(t, rt, parent, "p")
		start(t, rt, busy("1.0"), "busy")
		start(t, rt, durable.NewOrchestration("unknown", func(*durable.Context, string) (string, error) { return "", nil }), "unknown")
		closeRuntime(t, rt)

		fails := durable.VersionPolicy{Match: durable.MatchCurrentOrOlder, Mismatch: durable.MismatchFails}
		rt = d.run(t, durable.Options{Versions: fails}, two, parent, slow, busy("0.9"))
		raise(t, rt, "older")
		equal(t, "older", ends(t, rt, "older"), `"code \"2.0\" for \"1.0\""`)
		equal(t, "newer", ends(t, rt, "newer"),
			`VersionMismatch: the instance is of version "3.0" of orchestration versioned, and this program has only "2.0"`)
		// One that has an activity under way fails without waiting for it.
		equal(t, "busy", ends(t, rt, "busy"),
			`VersionMismatch: the instance is of version "1.0" of orchestration busy, and this program has only "0.9"`)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{Versions: durable.VersionPolicy{Match: durable.MatchStrict, Mismatch: durable.MismatchFails}}, three, parent, slow)
		raise(t, rt, "child")
		equal(t, "parent", ends(t, rt, "p"), `"VersionMismatch true"`)
		start(t, rt, two, "fresh")
		if got := ends(t, rt, "fresh"); !strings.HasPrefix(got, "VersionMismatch: ") {
			t.Errorf("an instance that begins: %s", got)
		}
		s, err := rt.Client().Get(t.Context(), "unknown")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "one whose name is unknown", s.Status, history.Pending)
	})
}

// An instance goes over to a new version where it continues as new, and children
// get the version of their definition; crashes change nothing of it.
func TestVersionsThroughCrashes(t *testing.T) {
	child := func(v string) *durable.Orchestration[int, string] {
		return durable.NewOrchestration("child", func(ctx *durable.Context, n int) (string, error) {
			return fmt.Sprint("child ", v, " of ", ctx.Version()), ctx.Sleep(0)
		}, durable.Version(v))
	}
	body := func(v string) *durable.Orchestration[[]string, []string] {
		return durable.NewOrchestration("main", func(ctx *durable.Context, said []string) ([]string, error) {
			own, err := child("2").Call(ctx, 1)
			if err != nil {
				return nil, err
			}
			other, err := child("2").Call(ctx, 1, durable.WithVersion("1"))
			if err != nil {
				return nil, err
			}
			said = append(said, v, ctx.Version(), own, other)
			switch {
			case len(said) == 4:
				return nil, ctx.ContinueAsNew(said)
			case len(said) == 8:
				return nil, ctx.ContinueAsNew(said, durable.WithVersion("b"))
			}
			return said, nil
		}, durable.Version(v))
	}
	defs := []durable.Definition{child("1"), child("2"), body("a"), body("b")}
	durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) ([]string, error) {
		said, err := body("a").Run(ctx, env.Client(), nil)
		children := []string{"child 2 of 2", "child 1 of 1"}
		want := slices.Concat([]string{"a", "a"}, children, []string{"a", "a"}, children, []string{"b", "b"}, children)
		equal(t, "said", strings.Join(said, ","), strings.Join(want, ","))
		return said, err
	})
}

// A parent that runs does not mind that its child has another version since; one
// that asks for a version in so many words must go on asking for it.
func TestVersionOfChildChanges(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		parent := func(child *durable.Orchestration[string, string], opts ...durable.CallOption) *durable.Orchestration[string, string] {
			return durable.NewOrchestration("parent", func(ctx *durable.Context, _ string) (string, error) {
				return child.Call(ctx, "", append(opts, durable.WithInstanceID(ctx.InstanceID()+"-child"))...)
			})
		}
		old := parent(versioned("1"))
		rt := d.run(t, durable.Options{}, versioned("1"), old)
		start(t, rt, old, "a")
		start(t, rt, old, "b")
		raise(t, rt, "a") // a second turn
		d.until(t, rt, func() bool {
			_, a := rt.Client().Get(t.Context(), "a-child")
			_, b := rt.Client().Get(t.Context(), "b-child")
			return a == nil && b == nil
		})
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, versioned("1"), versioned("2"), parent(versioned("2")))
		raise(t, rt, "a-child")
		equal(t, "a", ends(t, rt, "a"), `"code \"1\" for \"1\""`)
		closeRuntime(t, rt)

		rt = d.run(t, durable.Options{}, versioned("1"), parent(versioned("1"), durable.WithVersion("3")))
		raise(t, rt, "b-child")
		if got := ends(t, rt, "b"); !strings.HasPrefix(got, durable.NonDeterminism) {
			t.Errorf("b: %s", got)
		}
	})
}

func TestVersionTwice(t *testing.T) {
	if _, err := durable.Open(t.Context(), "memory:", versioned("1"), versioned("1")); err == nil || !strings.Contains(err.Error(), `"versioned version 1"`) {
		t.Errorf("the same version twice: %v", err)
	}
	names, err := durable.Orchestrations(versioned("1"), versioned(""), versioned("2"))
	if err != nil || len(names) != 1 {
		t.Errorf("names: %v, %v", names, err)
	}
}
