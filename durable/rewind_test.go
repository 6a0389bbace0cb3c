package durable_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// world is what activities do: it counts their calls by input, and fails those
// that it is told to.
type world struct {
	mu    sync.Mutex
	calls map[string]int
	keys  map[string][]string
	fails map[string]int // how often, still
}

func newWorld(fails ...string) *world {
	w := &world{calls: map[string]int{}, keys: map[string][]string{}, fails: map[string]int{}}
	for _, f := range fails {
		w.fails[f]++
	}
	return w
}

func (w *world) do(ctx context.Context, in string) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[in]++
	info, _ := durable.Info(ctx)
	if !slices.Contains(w.keys[in], info.Key) {
		w.keys[in] = append(w.keys[in], info.Key)
	}
	if w.fails[in] > 0 {
		w.fails[in]--
		return "", errors.New("no " + in)
	}
	return strings.ToUpper(in), nil
}

// String tells how often each was called, and of how many keys.
func (w *world) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []string
	for in, n := range w.calls {
		s = append(s, fmt.Sprintf("%s:%d/%d", in, n, len(w.keys[in])))
	}
	slices.Sort(s)
	return strings.Join(s, " ")
}

// parallel runs the activity on each letter of its input, all at once, between a
// step before and one after, and makes an id on the way.
func parallel(act *durable.Activity[string, string]) *durable.Orchestration[string, string] {
	return durable.NewOrchestration("parallel", func(ctx *durable.Context, in string) (string, error) {
		id := ctx.NewGUID()
		before, err := act.Call(ctx, "before")
		if err != nil {
			return "", err
		}
		tasks := durable.StartEach(ctx, strings.Split(in, ""), func(s string) *durable.Task[string] { return act.Start(ctx, s) })
		all, err := durable.All(ctx, tasks)
		if err != nil {
			return "", err
		}
		after, err := act.Call(ctx, "after")
		if id != "" && ctx.NewGUID() == id {
			return "", errors.New("an id was given twice")
		}
		return before + strings.Join(all, "") + after, err
	})
}

// A failed instance goes on from its failure: what succeeded is not done again,
// and what failed is, under its old key; as often as it takes, also across
// restarts.
func TestRewind(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		w := newWorld("b", "b", "c", "after")
		act := durable.NewActivity("act", w.do)
		o := parallel(act)
		rt := d.run(t, durable.Options{Cached: -1}, o, act)
		if _, err := o.Run(ctx, rt.Client(), "abcd", durable.WithInstanceID("i")); err == nil {
			t.Fatal("it did not fail")
		}
		equal(t, "at first", w.String(), "a:1/1 b:1/1 before:1/1 c:1/1 d:1/1")
		for n, want := range []string{
			"a:1/1 b:2/1 before:1/1 c:2/1 d:1/1",
			"a:1/1 after:1/1 b:3/1 before:1/1 c:2/1 d:1/1",
		} {
			if err := rt.Client().Rewind(ctx, "i", "try again"); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Wait(ctx, rt.Client(), "i"); err == nil {
				t.Fatal("it did not fail again")
			}
			equal(t, fmt.Sprint("rewind ", n+1), w.String(), want)
			closeRuntime(t, rt)
			rt = d.run(t, durable.Options{Cached: -1}, o, act)
		}
		if err := rt.Client().Rewind(ctx, "i", "once more"); err != nil {
			t.Fatal(err)
		}
		got, err := o.Wait(ctx, rt.Client(), "i")
		equal(t, "output", fmt.Sprint(got, err), "BEFOREABCDAFTER<nil>")
		equal(t, "at the end", w.String(), "a:1/1 after:2/1 b:3/1 before:1/1 c:2/1 d:1/1")

		old, err := rt.Client().Executions(ctx, "i")
		if err != nil || len(old) != 4 {
			t.Fatalf("executions %v, %v", old, err)
		}
		var last *history.Event
		for ev, err := range rt.Client().History(ctx, "i", old[0]) {
			if err != nil {
				t.Fatal(err)
			}
			last = ev
		}
		equal(t, "end of the first", fmt.Sprint(last.Kind, " ", last.Reason), "ExecutionRewound try again")
		for _, ev := range record(t, rt.Client(), "i") {
			if ev.Kind == history.TaskFailed || ev.Kind == history.ExecutionRewound {
				t.Errorf("a %v is in the history", ev.Kind)
			}
		}
		if err := rt.Client().Rewind(ctx, "i", ""); !errors.Is(err, durable.ErrCannotRewind) {
			t.Errorf("one that completed: %v", err)
		}
		if err := rt.Client().Rewind(ctx, "nobody", ""); !durable.IsNotFound(err) {
			t.Errorf("nobody: %v", err)
		}
		closeRuntime(t, rt)
	})
}

// Children that failed are rewound with their parent, at every depth; those that
// were purged begin again, those that go on answer the parent that they have now.
func TestRewindChildren(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		w := newWorld("x", "y")
		act := durable.NewActivity("act", w.do)
		leaf := durable.NewOrchestration("leaf", func(ctx *durable.Context, in string) (string, error) {
			if in == "waits" {
				return durable.WaitForEvent[string](ctx, "go").Await()
			}
			return act.Call(ctx, in)
		})
		middle := durable.NewOrchestration("middle", func(ctx *durable.Context, in string) (string, error) {
			first, err := act.Call(ctx, "middle")
			if err != nil {
				return "", err
			}
			second, err := leaf.Call(ctx, in, durable.WithInstanceID("leaf-"+in))
			return first + second, err
		})
		top := durable.NewOrchestration("top", func(ctx *durable.Context, _ int) (string, error) {
			waits := leaf.Start(ctx, "waits", durable.WithInstanceID("waits"))
			ended := leaf.Start(ctx, "waits", durable.WithInstanceID("ended"))
			ok := leaf.Start(ctx, "ok")
			kids := durable.StartEach(ctx, []string{"x", "y"}, func(in string) *durable.Task[string] {
				return middle.Start(ctx, in, durable.WithInstanceID("middle-"+in))
			})
			all, err := durable.All(ctx, append(kids, ok))
			if err != nil {
				return "", err
			}
			more, err := durable.All(ctx, []*durable.Task[string]{waits, ended})
			return strings.Join(append(all, more...), " "), err
		})
		rt := d.run(t, durable.Options{}, act, leaf, middle, top)
		c := rt.Client()
		if _, err := top.Run(ctx, c, 0, durable.WithInstanceID("t")); err == nil {
			t.Fatal("it did not fail")
		}
		equal(t, "at first", w.String(), "middle:2/2 ok:1/1 x:1/1 y:1/1")
		// One child answers between the failure and the rewind, one is purged.
		if err := c.RaiseEvent(ctx, "ended", "go", "ENDED"); err != nil {
			t.Fatal(err)
		}
		if _, err := leaf.Wait(ctx, c, "ended"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Purge(ctx, "middle-y", true); err != nil {
			t.Fatal(err)
		}
		if err := c.Rewind(ctx, "t", "why"); err != nil {
			t.Fatal(err)
		}
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{Cached: -1}, act, leaf, middle, top)
		c = rt.Client()
		if err := c.RaiseEvent(ctx, "waits", "go", "WAITED"); err != nil {
			t.Fatal(err)
		}
		got, err := top.Wait(ctx, c, "t")
		equal(t, "output", fmt.Sprint(got, err), "MIDDLEX MIDDLEY OK WAITED ENDED<nil>")
		equal(t, "calls", w.String(), "middle:3/3 ok:1/1 x:2/1 y:2/2")
		closeRuntime(t, rt)
	})
}

// Code that went on after a failure cannot be rewound, and stays as it is.
func TestRewindRefused(t *testing.T) {
	w := newWorld("a", "a", "handled")
	act := durable.NewActivity("act", w.do)
	retried := durable.NewOrchestration("retried", func(ctx *durable.Context, _ int) (string, error) {
		return act.Call(ctx, "a", durable.WithRetry(durable.RetryPolicy{MaxAttempts: 2}))
	})
	handled := durable.NewOrchestration("handled", func(ctx *durable.Context, _ int) (string, error) {
		if _, err := act.Call(ctx, "handled"); err != nil {
			end, _ := act.Call(ctx, "end")
			return end, err
		}
		return "", nil
	})
	rt, err := durable.OpenWith(t.Context(), "memory:", durable.Options{Logger: quiet}, act, retried, handled)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*durable.Orchestration[int, string]{retried, handled} {
		if _, err := o.Run(t.Context(), rt.Client(), 0, durable.WithInstanceID(o.Name())); err == nil {
			t.Fatal("it did not fail")
		}
		before := kinds(t, rt.Client(), o.Name())
		err := rt.Client().Rewind(t.Context(), o.Name(), "")
		if !errors.Is(err, durable.ErrCannotRewind) || !strings.Contains(err.Error(), o.Name()+": ") {
			t.Errorf("%s: %v", o.Name(), err)
		}
		st, err := rt.Client().Get(t.Context(), o.Name())
		if err != nil || st.Status != history.Failed || st.Failure == nil {
			t.Errorf("%s is %+v, %v", o.Name(), st, err)
		}
		equal(t, o.Name(), kinds(t, rt.Client(), o.Name()), before)
	}
	closeRuntime(t, rt)
}

// A failure of the code itself goes away with other code.
func TestRewindWithMendedCode(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		w := newWorld()
		act := durable.NewActivity("act", w.do)
		version := func(broken bool) *durable.Orchestration[int, string] {
			return durable.NewOrchestration("o", func(ctx *durable.Context, _ int) (string, error) {
				a, err := act.Call(ctx, "a")
				if err != nil || broken {
					return "", fmt.Errorf("broken: %w", err)
				}
				b, err := act.Call(ctx, "b")
				return a + b, err
			})
		}
		o := version(true)
		rt := d.run(t, durable.Options{}, act, o)
		if _, err := o.Run(t.Context(), rt.Client(), 0, durable.WithInstanceID("i")); err == nil {
			t.Fatal("it did not fail")
		}
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{}) // a program that has only the decision to make
		if err := rt.Client().Rewind(t.Context(), "i", "mended"); err != nil {
			t.Fatal(err)
		}
		closeRuntime(t, rt)
		o = version(false)
		for range 2 { // and from its history once more
			rt = d.run(t, durable.Options{Cached: -1}, act, o)
			d.until(t, rt, func() bool {
				st, err := rt.Client().Get(t.Context(), "i")
				return err == nil && st.Status == history.Completed
			})
			got, err := o.Wait(t.Context(), rt.Client(), "i")
			equal(t, "output", fmt.Sprint(got, err), "AB<nil>")
			equal(t, "calls", w.String(), "a:1/1 b:1/1")
			diff, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), "i", ""), nil, act, o)
			if diff != nil || err != nil {
				t.Errorf("replay: %v, %v", diff, err)
			}
			closeRuntime(t, rt)
		}
	})
}

func TestRewindCrashes(t *testing.T) {
	var w *world
	act := durable.NewActivity("act", func(ctx context.Context, in string) (string, error) { return w.do(ctx, in) })
	once := durable.NewActivity("once", func(ctx context.Context, in string) (string, error) { return w.do(ctx, in) }, durable.AtMostOnce(),
		durable.Reconcile(func(context.Context, string) (string, bool, error) { return "", false, nil }))
	leaf := durable.NewOrchestration("leaf", func(ctx *durable.Context, in string) (string, error) { return once.Call(ctx, in) })
	top := durable.NewOrchestration("top", func(ctx *durable.Context, _ int) (string, error) {
		a, b, kid := act.Start(ctx, "a"), act.Start(ctx, "b"), leaf.Start(ctx, "kid")
		all, err := durable.All(ctx, []*durable.Task[string]{a, b, kid})
		return strings.Join(all, ""), err
	})
	durabletest.CrashEverywhere(t, []durable.Definition{act, once, leaf, top}, func(ctx context.Context, env *durabletest.Env) (string, error) {
		w = newWorld()
		w.fails["b"], w.fails["kid"] = 1000, 1000
		c := env.Client()
		if _, err := top.Run(ctx, c, 0, durable.WithInstanceID("t")); err == nil {
			return "", errors.New("it did not fail")
		}
		w.mu.Lock()
		clear(w.fails)
		w.mu.Unlock()
		if err := c.Rewind(ctx, "t", ""); err != nil {
			return "", err
		}
		got, err := top.Wait(ctx, c, "t")
		for in, keys := range w.keys {
			if len(keys) != 1 {
				return "", fmt.Errorf("%s has the keys %v", in, keys)
			}
		}
		return got, err
	})
}
