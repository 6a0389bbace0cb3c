package durable_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// diaryOf gives what a diary holds, and whether it exists.
func diaryOf(t *testing.T, c *durable.Client, key string) string {
	t.Helper()
	s, ok, err := diary.Get(t.Context(), c, key)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(ok, " ", strings.Join(s, ","))
}

// noteLater signals from an orchestration, and through an entity from that.
var (
	forwarder = durable.NewEntity[int]("forwarder")
	passOn    = durable.Operation(forwarder, "passOn", func(ctx *durable.EntityContext, n *int, at time.Time) (int, error) {
		*n++
		if err := note.SignalFrom(ctx, "d", "entity", durable.WithDeliverAt(at)); err != nil {
			return 0, err
		}
		return *n, ctx.Signal(diary.ID("d"), "NOTE", "entity by name", durable.WithDeliverAt(at))
	})
	noteLater = durable.NewOrchestration("noteLater", func(ctx *durable.Context, in time.Duration) (int, error) {
		at := ctx.Now().Add(in)
		if err := note.Signal(ctx, "d", "orchestration", durable.WithDeliverAt(at)); err != nil {
			return 0, err
		}
		return passOn.Call(ctx, "r", at)
	})
	signalParts = []durable.Definition{diary, forwarder, noteLater}
)

// Scheduled signals, from everywhere, come when they are due and in that order,
// and until then the entity does not exist; they survive restarts and evictions.
func TestScheduledSignals(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		synctest.Test(t, func(t *testing.T) {
			for _, cached := range []int{0, -1} {
				ctx := t.Context()
				rt := d.run(t, durable.Options{Cached: cached}, signalParts...)
				begin := time.Now()
				send := func(what string, after time.Duration) {
					t.Helper()
					if err := note.Send(ctx, rt.Client(), "d", what, durable.WithDeliverAt(begin.Add(after))); err != nil {
						t.Fatal(err)
					}
				}
				// Waits a moment longer, since a commit is not part of the bubble's rest.
				at := func(after time.Duration, want string) {
					t.Helper()
					time.Sleep(time.Until(begin.Add(after)))
					for diaryOf(t, rt.Client(), "d") != want {
						if time.Since(begin) > after+time.Minute {
							t.Fatalf("after %v: %s, want %s", after, diaryOf(t, rt.Client(), "d"), want)
						}
						time.Sleep(time.Second)
					}
				}
				send("three", 3*time.Hour)
				send("two", 2*time.Hour)
				send("two again", 2*time.Hour)
				if _, err := noteLater.Run(ctx, rt.Client(), time.Hour); err != nil {
					t.Fatal(err)
				}
				at(30*time.Minute, "false ")
				for s, err := range rt.Client().Entities(ctx, durable.EntityQuery{Prefix: "@diary@"}) {
					t.Errorf("%v is listed, %v", s, err)
				}
				var transient []string
				for s, err := range rt.Client().Entities(ctx, durable.EntityQuery{Prefix: "@diary@", Transient: true}) {
					if err != nil {
						t.Fatal(err)
					}
					transient = append(transient, s.ID)
				}
				equal(t, "transient", fmt.Sprint(transient), "[@diary@d]")
				closeRuntime(t, rt)
				rt = d.run(t, durable.Options{Cached: cached}, signalParts...)
				at(time.Hour-time.Second, "false ")
				at(time.Hour, "true orchestration,entity,entity by name")
				send("past", -time.Hour)
				at(90*time.Minute, "true orchestration,entity,entity by name,past")
				closeRuntime(t, rt)
				time.Sleep(time.Hour) // nobody runs when two are due
				rt = d.run(t, durable.Options{Cached: cached}, signalParts...)
				at(150*time.Minute+time.Second, "true orchestration,entity,entity by name,past,two,two again")
				at(3*time.Hour, "true orchestration,entity,entity by name,past,two,two again,three")
				closeRuntime(t, rt)
				d.file += "2"
				if d.memory != nil {
					d.memory = memory.New()
				}
			}
		})
	})
}

// A scheduled signal that is due while its entity is locked waits behind what
// waits already, also over a restart.
func TestScheduledSignalBehindLock(t *testing.T) {
	holder := durable.NewOrchestration("holder", func(ctx *durable.Context, _ int) (int, error) {
		unlock, err := durable.Lock(ctx, diary.ID("d"))
		defer unlock()
		if err != nil {
			return 0, err
		}
		return 0, ctx.Sleep(3 * time.Hour)
	})
	synctest.Test(t, func(t *testing.T) {
		d := &disk{memory: memory.New(), committed: make(chan struct{}, 1)}
		parts := []durable.Definition{diary, holder}
		rt := d.run(t, durable.Options{}, parts...)
		ctx := t.Context()
		id, err := holder.Schedule(ctx, rt.Client(), 0)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		begin := time.Now()
		send := func(what string, opts ...durable.SignalOption) {
			t.Helper()
			if err := note.Send(ctx, rt.Client(), "d", what, opts...); err != nil {
				t.Fatal(err)
			}
		}
		send("due", durable.WithDeliverAt(begin.Add(time.Hour)))
		send("first")
		time.Sleep(2 * time.Hour)
		send("last")
		synctest.Wait()
		equal(t, "while it is locked", diaryOf(t, rt.Client(), "d"), "false ")
		closeRuntime(t, rt)
		rt = d.run(t, durable.Options{}, parts...)
		if _, err := holder.Wait(ctx, rt.Client(), id); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		equal(t, "at last", diaryOf(t, rt.Client(), "d"), "true first,due,last")
		closeRuntime(t, rt)
	})
}

// The same after a crash at every point.
func TestCrashScheduledSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		points := durabletest.CrashEverywhere(t, signalParts, func(ctx context.Context, env *durabletest.Env) (string, error) {
			if _, err := noteLater.Run(ctx, env.Client(), time.Hour); err != nil {
				return "", err
			}
			time.Sleep(2 * time.Hour)
			// After a crash the hub is opened again by this question; what is due runs then.
			if _, _, err := diary.Get(ctx, env.Client(), "d"); err != nil {
				return "", err
			}
			time.Sleep(time.Minute)
			s, ok, err := diary.Get(ctx, env.Client(), "d")
			return fmt.Sprint(ok, s), err
		})
		if points < 3 { // signals share commits
			t.Errorf("only %d crash points", points)
		}
	})
}

// An id that cannot be an entity's is a clear error wherever it is used.
func TestEntityIDs(t *testing.T) {
	bad := map[string]string{
		"long":    strings.Repeat("k", 100),
		"invalid": "\xff",
	}
	try := durable.NewEntity[int]("try")
	signal := durable.Operation(try, "signal", func(ctx *durable.EntityContext, _ *int, what string) (int, error) {
		if what == "start" {
			return 0, boxedIn.StartFrom(ctx, "x", durable.WithInstanceID("@not@this"))
		}
		return 0, note.SignalFrom(ctx, bad[what], "x")
	})
	o := durable.NewOrchestration("ids", func(ctx *durable.Context, what string) ([]string, error) {
		key := bad[what]
		_, call := note.Call(ctx, key, "x")
		_, lock := durable.Lock(ctx, diary.ID("fine"), diary.ID(key))
		_, entity := signal.Call(ctx, "t", what)
		_, start := signal.Call(ctx, "t", "start")
		_, plain := durable.CallEntity[int](ctx, "plain", "op", nil)
		_, nameless := durable.CallEntity[int](ctx, "@@key", "op", nil)
		var got []string
		for _, err := range []error{call, note.Signal(ctx, key, "x"), lock, entity, plain, nameless, durable.SignalEntity(ctx, "plain", "op", nil), start} {
			if err == nil {
				return nil, errors.New("nothing was wrong")
			}
			got = append(got, err.Error())
		}
		return got, nil
	})
	rt := open(t, diary, try, o)
	for what, problem := range map[string]string{"long": "has a length of more than 100 characters", "invalid": "is not valid UTF-8"} {
		got, err := o.Run(t.Context(), rt.Client(), what)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range got {
			want := problem
			switch {
			case i == 7:
				want = "begins with @, which is for entities"
			case i >= 4:
				want = "is not an entity id, which looks like @name@key"
			}
			if !strings.Contains(text, want) {
				t.Errorf("%s: %s", what, text)
			}
		}
		err = note.Send(t.Context(), rt.Client(), bad[what], "x")
		if !errors.Is(err, durable.ErrInvalid) || !strings.Contains(err.Error(), problem) {
			t.Errorf("from a client: %v", err)
		}
	}
	if err := rt.Client().Signal(t.Context(), "@DIARY@Key", "note", "by name"); err != nil {
		t.Fatal(err)
	}
	for diaryOf(t, rt.Client(), "Key") != "true by name" {
		runtime.Gosched()
	}
	if s, err := rt.Client().Entity(t.Context(), "@Diary@Key"); err != nil || s.ID != "@diary@Key" {
		t.Errorf("got %+v, %v", s, err)
	}
}
