package durable_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// A purse can be read and written, but not changed in one operation: whoever does
// both without its lock loses what others did in between.
var (
	purse = durable.NewEntity[int]("Purse")
	look  = durable.Operation(purse, "look", func(_ *durable.EntityContext, n *int, _ string) (int, error) { return *n, nil })
	put   = durable.Operation(purse, "put", func(_ *durable.EntityContext, n *int, v int) (int, error) { *n = v; return v, nil })
	diary = durable.NewEntity[[]string]("diary")
	note  = durable.Operation(diary, "note", func(_ *durable.EntityContext, s *[]string, what string) (int, error) {
		*s = append(*s, what)
		return len(*s), nil
	})
)

// visitor locks purses and adds 1 to each, in the order given.
type visit struct {
	Keys  []string
	Sleep time.Duration
	End   string // how it leaves
	Event string // that it waits for while it has the lock
}

var visitor = durable.NewOrchestration("visitor", func(ctx *durable.Context, v visit) (string, error) {
	var ids []string
	for _, k := range v.Keys {
		ids = append(ids, purse.ID(k))
	}
	unlock, err := durable.Lock(ctx, ids...)
	if v.End != "keep" {
		defer unlock()
	}
	if err != nil {
		return "", err
	}
	for _, k := range slices.Compact(slices.Sorted(slices.Values(v.Keys))) {
		n, err := look.Call(ctx, k, "")
		if err != nil {
			return "", err
		}
		if v.Sleep > 0 {
			if err := ctx.Sleep(v.Sleep); err != nil {
				return "", err
			}
		}
		if _, err := put.Call(ctx, k, n+1); err != nil {
			return "", err
		}
	}
	if v.Event != "" {
		if _, err := durable.WaitForEvent[string](ctx, v.Event).Await(); err != nil {
			return "", err
		}
	}
	switch v.End {
	case "fail":
		return "", errors.New("failed")
	case "panic":
		panic("panicked")
	case "again":
		return "", ctx.ContinueAsNew(visit{Keys: v.Keys})
	}
	return "done", nil
})

var lockParts = []durable.Definition{purse, diary, visitor}

// lockedBy gives the holder of a purse; "" if nobody has it.
func lockedBy(t *testing.T, c *durable.Client, key string) string {
	t.Helper()
	s, err := c.Entity(t.Context(), purse.ID(key))
	if durable.IsNotFound(err) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.LockedBy
}

// While an entity is locked only its holder's calls run; the rest waits in order,
// also over a restart and without a cache, and then runs in that order.
func TestLockHoldsBack(t *testing.T) {
	for _, cached := range []int{0, -1} {
		t.Run(fmt.Sprint("cached ", cached), func(t *testing.T) {
			onEach(t, func(t *testing.T, d *disk) {
				holder := durable.NewOrchestration("holder", func(ctx *durable.Context, _ string) (int, error) {
					unlock, err := durable.Lock(ctx, diary.ID("d"))
					defer unlock()
					if err != nil {
						return 0, err
					}
					n := 0
					for {
						what, err := durable.WaitForEvent[string](ctx, "note").Await()
						if err != nil || what == "" {
							return n, err
						}
						if n, err = note.Call(ctx, "d", what); err != nil {
							return n, err
						}
					}
				})
				writer := durable.NewOrchestration("writer", func(ctx *durable.Context, what string) (int, error) {
					return note.Call(ctx, "d", what)
				})
				parts := append([]durable.Definition{holder, writer}, lockParts...)
				rt := d.run(t, durable.Options{Cached: cached}, parts...)
				ctx := t.Context()
				do := func(err error) {
					t.Helper()
					if err != nil {
						t.Fatal(err)
					}
				}
				start := func(id string, o interface {
					Schedule(context.Context, *durable.Client, string, ...durable.CallOption) (string, error)
				}, in string) {
					t.Helper()
					_, err := o.Schedule(ctx, rt.Client(), in, durable.WithInstanceID(id))
					do(err)
				}
				do(note.Send(ctx, rt.Client(), "d", "before"))
				start("h1", holder, "")
				d.until(t, rt, func() bool {
					s, err := rt.Client().Entity(ctx, diary.ID("d"))
					return err == nil && s.LockedBy == "h1"
				})
				do(note.Send(ctx, rt.Client(), "d", "signal 1"))
				start("w1", writer, "call 1")
				d.until(t, rt, func() bool { return strings.HasSuffix(kinds(t, rt.Client(), "w1"), "EntityOperationCalled") })
				start("h2", holder, "")
				d.until(t, rt, func() bool { return strings.HasSuffix(kinds(t, rt.Client(), "h2"), "EntityLockRequested") })
				do(note.Send(ctx, rt.Client(), "d", "signal 2"))
				do(rt.Client().RaiseEvent(ctx, "h1", "note", "holder 1"))
				d.until(t, rt, func() bool {
					s, _, err := diary.Get(ctx, rt.Client(), "d")
					return err == nil && len(s) == 2
				})
				closeRuntime(t, rt)
				rt = d.run(t, durable.Options{Cached: cached}, parts...)
				do(note.Send(ctx, rt.Client(), "d", "signal 3"))
				do(rt.Client().RaiseEvent(ctx, "h1", "note", "holder 1 again"))
				do(rt.Client().RaiseEvent(ctx, "h1", "note", ""))
				if n, err := holder.Wait(ctx, rt.Client(), "h1"); n != 3 || err != nil {
					t.Errorf("the holder got %d, %v", n, err)
				}
				if n, err := writer.Wait(ctx, rt.Client(), "w1"); n != 5 || err != nil {
					t.Errorf("the writer got %d, %v", n, err)
				}
				do(rt.Client().RaiseEvent(ctx, "h2", "note", "holder 2"))
				do(rt.Client().RaiseEvent(ctx, "h2", "note", ""))
				if n, err := holder.Wait(ctx, rt.Client(), "h2"); n != 6 || err != nil {
					t.Errorf("the second holder got %d, %v", n, err)
				}
				want := []string{"before", "holder 1", "holder 1 again", "signal 1", "call 1", "holder 2", "signal 2", "signal 3"}
				d.until(t, rt, func() bool {
					s, _, err := diary.Get(ctx, rt.Client(), "d")
					return err == nil && len(s) == len(want)
				})
				s, _, _ := diary.Get(ctx, rt.Client(), "d")
				equal(t, "what ran", strings.Join(s, ", "), strings.Join(want, ", "))
				var locks []string
				for _, ev := range record(t, rt.Client(), "h2") {
					switch ev.Kind {
					case history.EntityLockRequested, history.EntityLockGranted, history.EntityUnlockSent:
						locks = append(locks, fmt.Sprint(ev.Kind, ev.ID, ev.Sender.ID, ev.Target, ev.LockSet, ev.Position))
					}
				}
				equal(t, "history", strings.Join(locks, " "),
					"EntityLockRequested 0h2[@diary@d] 0 EntityLockGranted -1[] 0 EntityUnlockSent 2h2@diary@d[] 0")
			})
		})
	}
}

// A lock is freed when its holder ends, in any way and without unlock, also one
// that it only waits for.
func TestLockIsFreedAtTheEnd(t *testing.T) {
	for _, how := range []string{"complete", "keep", "fail", "panic", "again", "terminate", "terminate waiting", "crash"} {
		t.Run(how, func(t *testing.T) {
			onEach(t, func(t *testing.T, d *disk) {
				ctx := t.Context()
				rt := d.run(t, durable.Options{}, lockParts...)
				start := func(id string, v visit) {
					t.Helper()
					if _, err := visitor.Schedule(ctx, rt.Client(), v, durable.WithInstanceID(id)); err != nil {
						t.Fatal(err)
					}
				}
				start("one", visit{Keys: []string{"b", "a"}, End: how, Event: "go"})
				d.until(t, rt, func() bool {
					n, _, err := purse.Get(ctx, rt.Client(), "b")
					return err == nil && n == 1
				})
				for _, k := range []string{"a", "b"} {
					equal(t, "holder", lockedBy(t, rt.Client(), k), "one")
				}
				if how == "terminate waiting" {
					start("two", visit{Keys: []string{"0", "a", "c"}}) // gets 0 and waits for a
					d.until(t, rt, func() bool { return lockedBy(t, rt.Client(), "0") == "two" })
					if err := rt.Client().Terminate(ctx, "two", nil, false); err != nil {
						t.Fatal(err)
					}
					d.until(t, rt, func() bool { return lockedBy(t, rt.Client(), "0") == "" })
				}
				switch how {
				case "terminate":
					if err := rt.Client().Terminate(ctx, "one", nil, false); err != nil {
						t.Fatal(err)
					}
				case "crash":
					d = d.crash(t)
					_ = rt.Close()
					rt = d.run(t, durable.Options{}, lockParts...)
					fallthrough
				default:
					if err := rt.Client().RaiseEvent(ctx, "one", "go", ""); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := rt.Client().Wait(ctx, "one"); err != nil {
					t.Fatal(err)
				}
				start("three", visit{Keys: []string{"c", "b", "a", "0"}})
				if got, err := visitor.Wait(ctx, rt.Client(), "three"); got != "done" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
				d.until(t, rt, func() bool {
					for _, k := range []string{"0", "a", "b", "c"} {
						if lockedBy(t, rt.Client(), k) != "" {
							return false
						}
					}
					return true
				})
				want := 2
				if how == "again" {
					want = 3
				}
				if n, _, err := purse.Get(ctx, rt.Client(), "a"); n != want || err != nil {
					t.Errorf("a has %d, %v; want %d", n, err, want)
				}
			})
		})
	}
}

// The rules inside a critical section, each with an error that says what to do.
func TestLockRules(t *testing.T) {
	o := durable.NewOrchestration("rules", func(ctx *durable.Context, _ int) ([]string, error) {
		var got []string
		say := func(err error) {
			if err == nil {
				got = append(got, "nil")
				return
			}
			got = append(got, err.Error())
		}
		_, err := durable.Lock(ctx)
		say(err)
		_, err = durable.Lock(ctx, "plain")
		say(err)
		unlock, err := durable.Lock(ctx, purse.ID("b"), "@PURSE@a", purse.ID("b"))
		say(err)
		nested, err := durable.Lock(ctx, purse.ID("c"))
		nested()
		say(err)
		_, err = look.Call(ctx, "c", "")
		say(err)
		first, second := put.Start(ctx, "a", 3), look.Start(ctx, "a", "")
		_, err = second.Await()
		say(err)
		_, err = first.Await()
		say(err)
		n, err := durable.CallEntity[int](ctx, "@Purse@a", "Look", "")
		got = append(got, fmt.Sprint(n, err))
		say(put.Signal(ctx, "b", 1))
		say(put.Signal(ctx, "elsewhere", 1))
		unlock()
		unlock()
		_, err = look.Call(ctx, "c", "")
		say(err)
		return got, put.Signal(ctx, "b", 1)
	})
	onEach(t, func(t *testing.T, d *disk) {
		rt := d.run(t, durable.Options{}, append(lockParts, o)...)
		id, err := o.Schedule(t.Context(), rt.Client(), 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.Wait(t.Context(), rt.Client(), id)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "errors", strings.Join(got, "\n"), strings.Join([]string{
			"lock: invalid argument: no entity to lock",
			`lock: invalid argument: "plain" is not an entity id, which looks like @name@key`,
			"nil",
			"lock: the orchestration has or waits for another lock; name all entities in one Lock, or unlock first",
			"operation look of @purse@c: @purse@c is not among the entities that the orchestration has locked; name it in Lock too, or unlock first",
			"operation look of @purse@a: another call to @purse@a, which is locked, is under way; wait for its result first",
			"nil",
			"3 <nil>",
			"signal put: a signal to @purse@b would wait until the orchestration unlocks it; call it instead, or unlock first",
			"nil",
			"nil",
		}, "\n"))
		requested, unlocked := 0, 0
		for _, ev := range record(t, rt.Client(), id) {
			switch ev.Kind {
			case history.EntityLockRequested:
				requested++
				equal(t, "lock set", fmt.Sprint(ev.LockSet), "[@purse@a @purse@b]")
			case history.EntityUnlockSent:
				unlocked++
			}
		}
		if requested != 1 || unlocked != 2 {
			t.Errorf("%d requests and %d unlocks", requested, unlocked)
		}
		if diff, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), id, ""), nil, o); diff != nil || err != nil {
			t.Error(diff, err)
		}
	})
}
