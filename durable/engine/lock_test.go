package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// locker is an orchestration that asks for a lock of the entities in its input,
// gives it back at the first event and ends at the second one.
func locker(section string, set ...string) body {
	ask := &history.Event{Kind: history.EntityLockRequested, Request: section, LockSet: set}
	return func(seen []*history.Event) []*history.Event {
		acts, events := []*history.Event{ask}, 0
		for _, ev := range seen {
			if ev.Kind != history.EventRaised {
				continue
			}
			if events++; events == 1 {
				for _, id := range set {
					acts = append(acts, &history.Event{Kind: history.EntityUnlockSent, Request: section, Target: id})
				}
			} else if events == 2 {
				acts = append(acts, complete("ended"))
			}
		}
		return acts
	}
}

// holders gives who has locked the entities.
func holders(t *testing.T, e *Engine, ids ...string) string {
	t.Helper()
	var s []string
	for _, id := range ids {
		by := "-"
		if r, err := e.store.Instance(t.Context(), id); err == nil && r.LockedBy != "" {
			by = r.LockedBy
		}
		s = append(s, by)
	}
	return fmt.Sprint(s)
}

func raise(t *testing.T, e *Engine, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := e.Raise(t.Context(), id, "x", nil); err != nil {
			t.Error(err)
		}
	}
}

// A request that is given up while it waits, wherever that is, is taken back from
// every entity, and the ones behind it go on.
func TestLockGivenUp(t *testing.T) {
	for _, cached := range []int{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			d := Definitions{
				Orchestrations: []Orchestration{
					orchestration("b", locker("s1", "@adder@b")), orchestration("abc", locker("s2", "@adder@a", "@adder@b", "@adder@c")),
					orchestration("a", locker("s3", "@adder@a")), orchestration("bc", locker("s4", "@adder@b", "@adder@c")),
				},
				Entities: []Entity{adder},
			}
			s := memory.New()
			e := start(t, s, d, Options{Cached: cached})
			for _, name := range []string{"b", "abc", "a", "bc"} {
				begin(t, e, name, name, "")
				synctest.Wait()
			}
			all := []string{"@adder@a", "@adder@b", "@adder@c"}
			equal(t, "at first", holders(t, e, all...), "[abc b -]")
			end(t, e)
			e, _ = reopen(t, s, d, Options{Cached: cached})
			raise(t, e, "abc")
			synctest.Wait()
			equal(t, "given up", holders(t, e, all...), "[a b -]")
			raise(t, e, "b")
			synctest.Wait()
			equal(t, "freed", holders(t, e, all...), "[a bc bc]")
			raise(t, e, "a", "bc")
			synctest.Wait()
			equal(t, "at last", holders(t, e, all...), "[- - -]")
			if n := len(events(t, e, "abc", "")); n != 8 { // and no grant
				t.Errorf("a history of %d events: %s", n, show(events(t, e, "abc", "")))
			}
			raise(t, e, "b", "abc", "a", "bc")
			for _, id := range []string{"b", "abc", "a", "bc"} {
				equal(t, "output", finish(t, e, id), "ended")
			}
			end(t, e)
		})
	}
}

// A grant and the end of the wish for it may meet anywhere: no lock is left over.
func TestLockGrantedTooLate(t *testing.T) {
	const rounds = 300
	var orchestrations []Orchestration
	for i := range rounds {
		orchestrations = append(orchestrations,
			orchestration(fmt.Sprint("first", i), locker(fmt.Sprint("f", i), "@adder@a", "@adder@b", "@adder@c")),
			orchestration(fmt.Sprint("second", i), locker(fmt.Sprint("s", i), "@adder@a", "@adder@b", "@adder@c")))
	}
	e := start(t, memory.New(), Definitions{Orchestrations: orchestrations, Entities: []Entity{adder}}, Options{})
	for i := range rounds {
		first, second := fmt.Sprint("first", i), fmt.Sprint("second", i)
		begin(t, e, first, first, "")
		begin(t, e, second, second, "")
		var wg sync.WaitGroup
		wg.Go(func() { raise(t, e, first) })
		wg.Go(func() {
			if i%2 == 0 {
				raise(t, e, second)
			} else if err := e.Terminate(t.Context(), second, nil, false); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		raise(t, e, first)
		finish(t, e, first)
	}
	for i := range rounds {
		if second := fmt.Sprint("second", i); i%2 == 0 {
			raise(t, e, second)
			finish(t, e, second)
		}
	}
	begin(t, e, "last", "first0", "") // gets all of them, which is the same section's name and no matter
	for holders(t, e, "@adder@a", "@adder@b", "@adder@c") != "[last last last]" {
		runtime.Gosched()
	}
}

// Nobody but the holder frees a lock, and not with a section of another time.
func TestUnlockByOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", locker("s", "@adder@a"))}, Entities: []Entity{adder}}
		e := start(t, memory.New(), d, Options{})
		begin(t, e, "o", "o", "")
		unlock := func(section, sender, target string) {
			t.Helper()
			err := e.send(t.Context(), &message{to: "@adder@a", ev: &history.Event{Kind: history.EntityUnlockSent, ID: history.FromOutside, Time: e.now(),
				Request: section, Sender: history.Instance{ID: sender}, Target: target}})
			if err != nil {
				t.Fatal(err)
			}
		}
		for _, target := range []string{"@adder@a", ""} {
			unlock("other", "o", target)
			unlock("s", "other", target)
			equal(t, "holder", holders(t, e, "@adder@a"), "[o]")
		}
		unlock("s", "o", "@adder@a")
		unlock("s", "o", "@adder@a")
		equal(t, "holder", holders(t, e, "@adder@a"), "[-]")
		end(t, e)
	})
}

// What waits behind a lock is read once however much comes, and a locked entity
// behind which nothing waits need not stay in memory.
func TestWaitingIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", locker("s", "@adder@a"))}, Entities: []Entity{adder}}
		s := memory.New()
		var reads atomic.Int64
		counted := &inboxes{Store: s, read: func(id string) {
			if id == "@adder@a" {
				reads.Add(1)
			}
		}}
		e := start(t, counted, d, Options{Cached: -1})
		begin(t, e, "o", "o", "")
		synctest.Wait()
		e.instances.mu.Lock()
		equal(t, "instances in memory", len(e.instances.m), 0)
		e.instances.mu.Unlock()
		reads.Store(0)
		want := ""
		for i := range 100 {
			data := fmt.Sprintf("%02d ", i)
			want += data
			if err := e.Signal(t.Context(), "@adder@a", "op", history.Payload(data), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		if n := reads.Load(); n != 1 {
			t.Errorf("the inbox was read %d times", n)
		}
		end(t, e)
		e, _ = reopen(t, s, d, Options{Cached: -1})
		raise(t, e, "o")
		synctest.Wait()
		r, err := e.Entity(t.Context(), "@adder@a")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "state", string(r.State), want)
		if left, err := e.store.Inbox(t.Context(), "@adder@a"); len(left) > 0 || err != nil {
			t.Errorf("%d messages are left, %v", len(left), err)
		}
		end(t, e)
	})
}

// inboxes tells which inboxes are read.
type inboxes struct {
	store.Store
	read func(id string)
}

func (s *inboxes) Inbox(ctx context.Context, id string) ([]store.Message, error) {
	s.read(id)
	return s.Store.Inbox(ctx, id)
}

// An orchestration may give back one entity after the other, also when it was
// away in between.
func TestUnlockOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := []string{"@adder@a", "@adder@b"}
		slowly := func(seen []*history.Event) []*history.Event {
			acts, n := []*history.Event{{Kind: history.EntityLockRequested, Request: "s", LockSet: set}}, 0
			for _, ev := range seen {
				if ev.Kind == history.EventRaised && n < len(set) {
					acts = append(acts, &history.Event{Kind: history.EntityUnlockSent, Request: "s", Target: set[n]})
					n++
				}
			}
			return acts
		}
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", slowly)}, Entities: []Entity{adder}}
		s := memory.New()
		e := start(t, s, d, Options{})
		begin(t, e, "o", "o", "")
		synctest.Wait()
		for _, want := range []string{"[- o]", "[- -]"} {
			end(t, e)
			e, s = reopen(t, s, d, Options{})
			raise(t, e, "o")
			synctest.Wait()
			equal(t, "holders", holders(t, e, set...), want)
		}
		end(t, e)
	})
}
