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
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// box is an entity that can do everything, and fail after it.
type boxDo struct {
	Put, Fail string
	Delete    bool
}

var (
	box     = durable.NewEntity[durable.Ref]("box")
	boxedIn = durable.NewOrchestration("boxedIn", func(ctx *durable.Context, what string) (string, error) { return what, nil })
	doBox   = durable.Operation(box, "do", func(ctx *durable.EntityContext, r *durable.Ref, in boxDo) (durable.Ref, error) {
		if in.Put != "" {
			*r = ctx.Store([]byte(in.Put))
			if err := boxedIn.StartFrom(ctx, in.Put, durable.WithInstanceID("started by "+in.Put)); err != nil {
				return *r, err
			}
			if err := note.SignalFrom(ctx, "box", in.Put); err != nil {
				return *r, err
			}
		}
		switch in.Fail {
		case "error":
			return *r, errors.New("no")
		case "panic":
			panic("no")
		case "exit":
			runtime.Goexit()
		}
		if in.Delete {
			ctx.Delete()
		}
		return *r, nil
	})
	useBox = durable.NewOrchestration("useBox", func(ctx *durable.Context, todo []boxDo) ([]bool, error) {
		var tasks []*durable.Task[durable.Ref]
		for _, in := range todo {
			tasks = append(tasks, doBox.Start(ctx, "b", in))
		}
		var ok []bool
		for _, task := range tasks {
			_, err := task.Await()
			ok = append(ok, err == nil)
		}
		return ok, nil
	})
	boxParts = []durable.Definition{box, boxedIn, diary, useBox}
)

// An operation that fails stores nothing, starts nothing and signals nothing; what
// the others of its batch did stays.
func TestOperationRollsBackAll(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		rt := d.run(t, durable.Options{}, boxParts...)
		ok, err := useBox.Run(ctx, rt.Client(), []boxDo{
			{Put: "one"}, {Put: "error", Fail: "error"}, {Put: "panic", Fail: "panic"}, {Put: "exit", Fail: "exit"}, {Put: "two"}})
		if err != nil || fmt.Sprint(ok) != "[true false false false true]" {
			t.Fatalf("got %v, %v", ok, err)
		}
		d.until(t, rt, func() bool { return diaryOf(t, rt.Client(), "box") == "true one,two" })
		for _, what := range []string{"one", "two"} {
			if got, err := boxedIn.Wait(ctx, rt.Client(), "started by "+what); got != what || err != nil {
				t.Errorf("started by %s: %q, %v", what, got, err)
			}
		}
		for _, what := range []string{"error", "panic", "exit"} {
			if _, err := rt.Client().Get(ctx, "started by "+what); !durable.IsNotFound(err) {
				t.Errorf("started by %s: %v", what, err)
			}
			if _, err := rt.Client().Load(ctx, refTo(what)); !durable.IsNotFound(err) {
				t.Errorf("payload of %s: %v", what, err)
			}
		}
		r, _, err := box.Get(ctx, rt.Client(), "b")
		if b, lerr := rt.Client().Load(ctx, r); string(b) != "two" || err != nil || lerr != nil {
			t.Errorf("the box has %q, %v, %v", b, err, lerr)
		}
	})
}

// An entity that deletes itself, or never came to have a state, is not in the
// store, with all it kept; the next message makes it anew.
func TestEntityVanishes(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		rt := d.run(t, durable.Options{}, boxParts...)
		none := func(when string) {
			t.Helper()
			for s, err := range rt.Client().Entities(ctx, durable.EntityQuery{Prefix: "@box@", Transient: true}) {
				t.Errorf("%s: %v, %v", when, s, err)
			}
		}
		for i, todo := range [][]boxDo{
			{{Fail: "error"}},
			{{Put: "in one batch", Delete: true}},
			{{Put: "one"}, {Delete: true}, {Fail: "error"}},
			{{Delete: true}, {Put: "two"}, {Put: "three", Delete: true}},
		} {
			if _, err := useBox.Run(ctx, rt.Client(), todo); err != nil {
				t.Fatal(err)
			}
			none(fmt.Sprint("after ", i))
			if i == 1 {
				if _, err := rt.Client().Load(ctx, refTo("in one batch")); !durable.IsNotFound(err) {
					t.Errorf("its payload: %v", err)
				}
			}
		}
		for range 3 { // across commits
			for _, in := range []boxDo{{Put: "again"}, {Delete: true}} {
				if _, err := useBox.Run(ctx, rt.Client(), []boxDo{in}); err != nil {
					t.Fatal(err)
				}
				if _, ok, err := box.Get(ctx, rt.Client(), "b"); ok != (in.Put != "") || err != nil {
					t.Errorf("after %+v: %v, %v", in, ok, err)
				}
			}
			none("deleted")
			closeRuntime(t, rt)
			rt = d.run(t, durable.Options{}, boxParts...)
			none("after a restart")
		}
	})
}

// Entities that come and go while messages are on their way, after a crash at any
// point: none of the messages is lost.
func TestCrashVanishing(t *testing.T) {
	shop := durable.NewEntity[int]("shop")
	visitShop := durable.Operation(shop, "visit", func(ctx *durable.EntityContext, n *int, who string) (int, error) {
		if err := note.SignalFrom(ctx, "d", who); err != nil {
			return 0, err
		}
		ctx.Delete()
		return 1, nil
	})
	shopper := durable.NewOrchestration("shopper", func(ctx *durable.Context, who string) (int, error) {
		sum := 0
		for i := range 3 {
			if err := visitShop.Signal(ctx, "s", fmt.Sprint(who, i)); err != nil {
				return 0, err
			}
			n, err := visitShop.Call(ctx, "s", fmt.Sprint(who, i))
			if err != nil {
				return 0, err
			}
			sum += n
		}
		return sum, nil
	})
	synctest.Test(t, func(t *testing.T) {
		durabletest.CrashEverywhere(t, []durable.Definition{diary, shop, shopper}, func(ctx context.Context, env *durabletest.Env) (string, error) {
			var ids []string
			for _, who := range []string{"ann", "bob"} {
				id, err := shopper.Schedule(ctx, env.Client(), who)
				if err != nil {
					return "", err
				}
				ids = append(ids, id)
			}
			for _, id := range ids {
				if _, err := shopper.Wait(ctx, env.Client(), id); err != nil {
					return "", err
				}
			}
			synctest.Wait()
			s, _, err := diary.Get(ctx, env.Client(), "d")
			text := strings.Join(s, " ")
			return fmt.Sprint(len(s), " ", strings.Count(text, "ann"), " ", strings.Count(text, "bob")), err
		})
	})
}

// Entities are listed by prefix and time of change, with or without their states,
// page by page.
func TestEntityQuery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := open(t, diary, purse)
		ctx, begin := t.Context(), time.Now()
		for i := range 250 {
			if err := put.Send(ctx, rt.Client(), fmt.Sprintf("%03d", i), i); err != nil {
				t.Fatal(err)
			}
			if i == 99 {
				time.Sleep(time.Hour)
			}
		}
		if err := note.Send(ctx, rt.Client(), "d", "x", durable.WithDeliverAt(begin.Add(24*time.Hour))); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		later := begin.Add(time.Hour)
		for name, c := range map[string]struct {
			q    durable.EntityQuery
			want int
		}{
			"all":           {durable.EntityQuery{}, 250},
			"transient too": {durable.EntityQuery{Transient: true}, 251},
			"prefix":        {durable.EntityQuery{Prefix: "@purse@1", Data: true}, 100},
			"from":          {durable.EntityQuery{ModifiedFrom: later}, 150},
			"to":            {durable.EntityQuery{ModifiedTo: later, Data: true}, 100},
			"between":       {durable.EntityQuery{ModifiedFrom: begin, ModifiedTo: later, Prefix: "@purse@00"}, 10},
			"nothing":       {durable.EntityQuery{Prefix: "@other@"}, 0},
		} {
			n := 0
			for s, err := range rt.Client().Entities(ctx, c.q) {
				if err != nil {
					t.Fatal(err)
				}
				if c.q.Data != (s.State != nil) {
					t.Errorf("%s: %+v", name, s)
				}
				n++
			}
			equal(t, name, n, c.want)
		}
	})
}

// CleanEntities frees what a program of another kind left: a lock whose holder is
// gone, an entity without a state. It leaves what is in use.
func TestCleanEntities(t *testing.T) {
	onEach(t, func(t *testing.T, d *disk) {
		ctx := t.Context()
		rt := d.run(t, durable.Options{}, lockParts...)
		for _, id := range []string{"lives", "gone"} {
			if _, err := visitor.Schedule(ctx, rt.Client(), visit{Keys: []string{id}, Event: "go"}, durable.WithInstanceID(id)); err != nil {
				t.Fatal(err)
			}
			d.until(t, rt, func() bool {
				n, _, err := purse.Get(ctx, rt.Client(), id)
				return err == nil && n == 1
			})
		}
		closeRuntime(t, rt)
		var s store.Store
		var err error
		if d.memory != nil {
			d.memory = d.memory.Reopen()
			s = d.memory
		} else if s, err = sqlite.Open(ctx, d.file, sqlite.Options{Logger: quiet}); err != nil {
			t.Fatal(err)
		}
		r, err := s.Recover(ctx)
		if err != nil {
			t.Fatal(err)
		}
		gone, err := s.Instance(ctx, "gone")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx, &store.Batch{Epoch: r.Epoch, Purged: []int64{gone.Num}, Instances: []store.InstanceRow{
			{New: true, Instance: &store.Instance{Num: r.LastNum + 1, ID: "@purse@empty", Name: "purse", Created: time.Now()}}}}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		rt = d.run(t, durable.Options{}, lockParts...)
		for _, c := range []struct{ what, want string }{{"", "{0 0}"}, {"both", "{1 1}"}, {"both", "{0 0}"}} {
			got, err := rt.Client().CleanEntities(ctx, durable.EntityCleaning{Empty: c.what != "", Locks: c.what != ""})
			if err != nil || fmt.Sprint(got) != c.want {
				t.Errorf("%q: %v, %v; want %v", c.what, got, err, c.want)
			}
		}
		equal(t, "holders", lockedBy(t, rt.Client(), "lives")+lockedBy(t, rt.Client(), "gone"), "lives")
		if _, err := rt.Client().Entity(ctx, purse.ID("empty")); !durable.IsNotFound(err) {
			t.Errorf("the empty one: %v", err)
		}
	})
}

func refTo(text string) durable.Ref {
	return durable.Ref{Hash: history.HashOf([]byte(text)), Size: len(text)}
}
