package durable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// family is an orchestration with children and grandchildren, as deep as its
// input says, each with two.
func family(opts ...durable.OrchestrationOption) *durable.Orchestration[int, int] {
	var o *durable.Orchestration[int, int]
	o = durable.NewOrchestration("family", func(ctx *durable.Context, depth int) (int, error) {
		if depth == 0 {
			return 1, nil
		}
		n := 1
		for i := range 2 {
			below, err := o.Call(ctx, depth-1, durable.WithInstanceID(fmt.Sprintf("%s.%d", ctx.InstanceID(), i)))
			if err != nil {
				return 0, err
			}
			n += below
		}
		return n, nil
	}, opts...)
	return o
}

// list gives the ids that a query finds, in one line.
func list(t *testing.T, c *durable.Client, q durable.Query) string {
	t.Helper()
	var ids []string
	for s, err := range c.Query(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	return strings.Join(ids, " ")
}

func TestPurge(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		waits := durable.NewOrchestration("waits", func(ctx *durable.Context, _ int) (string, error) {
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		o := family()
		rt := d.run(t, durable.Options{}, o, waits)
		c := rt.Client()
		for _, id := range []string{"a", "b"} {
			if _, err := o.Run(ctx, c, 2, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := waits.Schedule(ctx, c, 0, durable.WithInstanceID("w")); err != nil {
			t.Fatal(err)
		}
		purge := func(id string, recurse bool, want int, is error) {
			t.Helper()
			if n, err := c.Purge(ctx, id, recurse); n != want || !errors.Is(err, is) {
				t.Errorf("purge of %s: %d, %v; want %d, %v", id, n, err, want, is)
			}
		}
		purge("w", true, 0, durable.ErrNotEnded)
		purge("nobody", true, 0, durable.ErrNotFound)
		purge("a.0.0", false, 1, nil)
		purge("a", true, 6, nil)
		purge("a", true, 0, durable.ErrNotFound)
		purge("b", false, 1, nil)
		equal(t, "left", list(t, c, durable.Query{}), "b.0 b.0.0 b.0.1 b.1 b.1.0 b.1.1 w")
		if _, err := c.Get(ctx, "a"); !durable.IsNotFound(err) {
			t.Errorf("what is purged: %v", err)
		}
		if err := c.RaiseEvent(ctx, "a", "go", 1); !durable.IsNotFound(err) {
			t.Errorf("event for what is purged: %v", err)
		}

		// The id is another instance's now, with a life of its own.
		if _, err := waits.Schedule(ctx, c, 0, durable.WithInstanceID("a")); err != nil {
			t.Fatal(err)
		}
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{Cached: -1}, o, waits)
		c = rt.Client()
		equal(t, "after a restart", list(t, c, durable.Query{}), "b.0 b.0.0 b.0.1 b.1 b.1.0 b.1.1 w a")
		if err := c.RaiseEvent(ctx, "a", "go", "on"); err != nil {
			t.Fatal(err)
		}
		if got, err := waits.Wait(ctx, c, "a"); got != "on" || err != nil {
			t.Errorf("the new one: %q, %v", got, err)
		}
		closeRuntime(t, rt)
	})
}

func TestPurgeWhere(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		fail := durable.NewOrchestration("fail", func(*durable.Context, int) (int, error) { return 0, errors.New("no") })
		waits := durable.NewOrchestration("waits", func(ctx *durable.Context, _ int) (string, error) {
			return durable.WaitForEvent[string](ctx, "go").Await()
		})
		leaf := family()
		rt := d.run(t, durable.Options{}, leaf, fail, waits)
		c := rt.Client()
		start := func(s string) {
			t.Helper()
			name, id, _ := strings.Cut(s, "/")
			_, err := c.Schedule(ctx, name, 0, durable.WithInstanceID(id), durable.WithTags(map[string]string{"team": id[:1]}))
			if err != nil {
				t.Fatal(err)
			}
			if name != "waits" {
				if _, err := c.Wait(ctx, id); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, s := range []string{"family/a1", "fail/a2", "waits/a3", "family/b1", "fail/b2", "waits/b3"} {
			start(s)
		}
		b1, err := c.Get(ctx, "b1")
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			name string
			q    durable.Query
			want int
			left string
		}{
			{"tag that nobody has", durable.Query{Tags: map[string]string{"team": "z"}}, 0, "a1 a2 a3 b1 b2 b3"},
			{"not ended", durable.Query{Statuses: []history.Status{history.Running, history.Suspended}}, 0, "a1 a2 a3 b1 b2 b3"},
			{"name and tag", durable.Query{Names: []string{"fail"}, Tags: map[string]string{"team": "a"}}, 1, "a1 a3 b1 b2 b3"},
			{"completed before", durable.Query{CompletedTo: b1.Completed}, 1, "a3 b1 b2 b3"},
			{"status", durable.Query{Statuses: []history.Status{history.Failed, history.Running}}, 1, "a3 b1 b3"},
			{"all of a prefix", durable.Query{Prefix: "b"}, 1, "a3 b3"},
		} {
			n, err := c.PurgeWhere(ctx, step.q, true)
			if n != step.want || err != nil {
				t.Errorf("%s: %d, %v; want %d", step.name, n, err, step.want)
			}
			equal(t, step.name, list(t, c, durable.Query{}), step.left)
		}
		for i := range 250 {
			if _, err := leaf.Schedule(ctx, c, 0, durable.WithInstanceID(fmt.Sprint("many-", i))); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 250 {
			if _, err := c.Wait(ctx, fmt.Sprint("many-", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := c.PurgeWhere(ctx, durable.Query{}, false); n != 250 || err != nil {
			t.Errorf("many: %d, %v", n, err)
		}
		equal(t, "at the end", list(t, c, durable.Query{}), "a3 b3")
		closeRuntime(t, rt)
	})
}

// An instance that ended goes when its time is over, with its descendants, also
// when no program runs at that time.
func TestRetain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		o := family(durable.Retain(time.Hour))
		s := memory.New()
		open := func() *durable.Runtime {
			rt, err := durable.OpenStore(ctx, s, durable.Options{Logger: quiet, Cached: -1}, o)
			if err != nil {
				t.Fatal(err)
			}
			return rt
		}
		rt := open()
		run := func(id string) {
			t.Helper()
			if _, err := o.Run(ctx, rt.Client(), 1, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
		}
		run("a")
		time.Sleep(30 * time.Minute)
		run("b")
		time.Sleep(29 * time.Minute)
		synctest.Wait()
		equal(t, "before", list(t, rt.Client(), durable.Query{}), "a a.0 a.1 b b.0 b.1")
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		equal(t, "after the hour of a", list(t, rt.Client(), durable.Query{}), "b b.0 b.1")
		run("a")
		closeRuntime(t, rt)
		time.Sleep(40 * time.Minute)
		s = s.Reopen()
		rt = open()
		synctest.Wait()
		equal(t, "after the hour of b", list(t, rt.Client(), durable.Query{}), "a a.0 a.1")
		time.Sleep(time.Hour)
		synctest.Wait()
		equal(t, "at the end", list(t, rt.Client(), durable.Query{}), "")
		closeRuntime(t, rt)
	})
}

// Purges and what else happens to the same ids are in one order, whatever crashes.
func TestPurgeCrashes(t *testing.T) {
	add := durable.NewActivity("add", func(_ context.Context, n int) (int, error) { return n + 1, nil })
	o := durable.NewOrchestration("o", func(ctx *durable.Context, n int) (int, error) {
		if n >= 10 {
			return add.Call(ctx, n)
		}
		n, err := add.Call(ctx, n+9)
		if err != nil {
			return 0, err
		}
		return 0, ctx.ContinueAsNew(n)
	})
	points := durabletest.CrashEverywhere(t, []durable.Definition{o, add}, func(ctx context.Context, env *durabletest.Env) (string, error) {
		c := env.Client()
		for range 2 {
			if _, err := o.Run(ctx, c, 1, durable.WithInstanceID("i")); err != nil {
				return "", err
			}
			if _, err := c.Purge(ctx, "i", true); err != nil && !durable.IsNotFound(err) {
				return "", err
			}
		}
		for range c.Query(ctx, durable.Query{}) {
			return "something is left", nil
		}
		return "", nil
	})
	if points < 8 {
		t.Errorf("only %d crash points", points)
	}
}
