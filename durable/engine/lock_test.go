package engine

import (
	"context"
	"fmt"
	"runtime"
	"slices"
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

// An entity that is sent ten thousand operations at once runs them in order, in
// batches between which others have their turns, whether they come at once or
// after a lock.
func TestManyOperationsAtOnce(t *testing.T) {
	for _, locked := range []bool{false, true} {
		t.Run(fmt.Sprint("locked ", locked), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 10_000
				var batches []int
				next := 0
				list := Entity{Name: "list", Run: func(b *EntityBatch) {
					batches = append(batches, len(b.Ops))
					for _, op := range b.Ops {
						if got := string(op.Data); got != fmt.Sprint(next) {
							panic("operation " + got + " instead of " + fmt.Sprint(next))
						}
						next++
						b.Results = append(b.Results, Outcome{})
					}
					b.State = history.Payload("x")
				}}
				flood := func(seen []*history.Event) (acts []*history.Event) {
					for i := range n {
						acts = append(acts, &history.Event{Kind: history.EntityOperationSignaled, Target: "@list@a", Name: "op", Request: fmt.Sprint(i), Data: history.Payload(fmt.Sprint(i))})
					}
					return append(acts, complete(""))
				}
				d := Definitions{
					Orchestrations: []Orchestration{orchestration("flood", flood), orchestration("o", locker("s", "@list@a"))},
					Entities:       []Entity{list},
				}
				e := start(t, memory.New(), d, Options{})
				if locked {
					begin(t, e, "o", "o", "")
					synctest.Wait()
				}
				begin(t, e, "flood", "flood", "")
				synctest.Wait()
				total := n
				if locked {
					equal(t, "batches before", len(batches), 0)
					// What comes together with the unlock stands behind all that waited.
					unlock := &history.Event{Kind: history.EntityUnlockSent, ID: history.FromOutside, Time: e.now(), Request: "s", Sender: history.Instance{ID: "o"}, Target: "@list@a"}
					last := &history.Event{Kind: history.EntityOperationSignaled, ID: history.FromOutside, Time: e.now(), Name: "op", Data: history.Payload(fmt.Sprint(n)), Target: "@list@a"}
					e.deliver("@list@a", &message{to: "@list@a", ev: unlock}, &message{to: "@list@a", ev: last})
					synctest.Wait()
					total++
				}
				equal(t, "operations", next, total)
				if most := slices.Max(batches); most > maxBatch || len(batches) > n/maxBatch+2 {
					t.Errorf("%d batches of up to %d operations", len(batches), most)
				}
				end(t, e)
			})
		})
	}
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

// A signal that is not due costs no memory, and is found again when it is.
func TestScheduledSignalIsEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, memory.New(), Definitions{Entities: []Entity{adder}}, Options{Cached: -1})
		for i, data := range []string{"b", "a"} {
			if err := e.Signal(t.Context(), "@adder@a", "op", history.Payload(data), e.now().Add(time.Duration(2-i)*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []string{"", "a", "ab"} {
			synctest.Wait()
			e.instances.mu.Lock()
			equal(t, "instances in memory", len(e.instances.m), 0)
			e.instances.mu.Unlock()
			if s, err := e.Entity(t.Context(), "@adder@a"); err == nil && string(s.State) != want || (err == nil) != (want != "") {
				t.Errorf("got %+v, %v; want %q", s, err, want)
			}
			time.Sleep(time.Hour)
		}
		end(t, e)
	})
}

// An entity that comes and goes within a batch leaves nothing in it, nor do the
// payloads that it stored.
func TestComingAndGoingWithinABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := Entity{Name: "keeper", Run: func(b *EntityBatch) {
			for _, op := range b.Ops {
				b.State = nil
				if len(op.Data) > 0 {
					b.State = op.Data
					b.Pieces = append(b.Pieces, Piece{Hash: history.HashOf(op.Data), Data: op.Data})
				}
				b.Results = append(b.Results, Outcome{})
			}
		}}
		var batches []store.Batch
		g, shut, open := gate(memory.New())
		s := &spy{Store: g, commit: func(b *store.Batch) {
			c := *b
			c.Payloads, c.Refs, c.Instances = slices.Clone(b.Payloads), slices.Clone(b.Refs), slices.Clone(b.Instances)
			c.Purged = slices.Clone(b.Purged)
			batches = append(batches, c)
		}}
		e := start(t, s, Definitions{Entities: []Entity{keeper}}, Options{})
		signal := func(key, data string) {
			go func() { _ = e.Signal(t.Context(), "@keeper@"+key, "op", history.Payload(data), time.Time{}) }()
			synctest.Wait()
		}
		shut()
		signal("first", "is committed alone")
		signal("other", "shared")
		signal("a", "shared")
		signal("a", "")
		signal("a", "own")
		signal("a", "")
		open()
		synctest.Wait()
		if len(batches) != 2 {
			t.Fatalf("%d commits", len(batches))
		}
		b := batches[1]
		if len(b.Instances) != 1 || b.Instances[0].ID != "@keeper@other" || len(b.Purged) != 0 {
			t.Errorf("%d instances, %d purged", len(b.Instances), len(b.Purged))
		}
		if len(b.Refs) != 1 || b.Refs[0].Num != b.Instances[0].Num {
			t.Errorf("references %v", b.Refs)
		}
		for _, p := range b.Payloads {
			equal(t, "payload", string(p.Data), "shared")
		}
		signal("first", "")
		if b := batches[len(batches)-1]; len(b.Purged) != 1 || b.Purged[0] != batches[0].Instances[0].Num || len(b.Instances) != 0 {
			t.Errorf("purged %v, instances %v", b.Purged, b.Instances)
		}
		end(t, e)
	})
}

// However much there is for some entities, one that is called meanwhile has its
// turn after a batch of each.
func TestEntityFairness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var ran []string
		proceed := make(chan struct{})
		busy := Entity{Name: "busy", Run: func(b *EntityBatch) {
			<-proceed
			mu.Lock()
			defer mu.Unlock()
			ran = append(ran, b.ID)
			b.Results = make([]Outcome, len(b.Ops))
		}}
		e := start(t, memory.New(), Definitions{Entities: []Entity{busy}}, Options{})
		floods := runtime.GOMAXPROCS(0)
		signal := func(id string) *message {
			return &message{to: id, ev: &history.Event{Kind: history.EntityOperationSignaled, ID: history.FromOutside, Time: e.now(), Name: "op", Target: id}}
		}
		for i := range floods {
			id := fmt.Sprint("@busy@", i)
			for range 10 * maxBatch {
				e.deliver(id, signal(id))
			}
		}
		e.deliver("@busy@small", signal("@busy@small"))
		synctest.Wait()
		close(proceed)
		synctest.Wait()
		if at := slices.Index(ran, "@busy@small"); at < 0 || at > 2*floods || len(ran) < 10*floods {
			t.Errorf("it ran as number %d of %d", at, len(ran))
		}
		end(t, e)
	})
}
