package engine

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

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
				if len(op.Data) == 0 {
					continue
				}
				b.State = op.Data
				if h := history.HashOf(op.Data); b.ID == "@keeper@heir" {
					b.Keep = append(b.Keep, h)
				} else {
					b.Pieces = append(b.Pieces, Piece{Hash: h, Data: op.Data})
				}
			}
			b.Results = make([]Outcome, len(b.Ops))
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
		signal("a", "handed over")
		signal("a", "")
		signal("heir", "handed over")
		open()
		synctest.Wait()
		if len(batches) != 2 {
			t.Fatalf("%d commits", len(batches))
		}
		b := batches[1]
		if len(b.Instances) != 2 || b.Instances[0].ID != "@keeper@other" || b.Instances[1].ID != "@keeper@heir" || len(b.Purged) != 0 {
			t.Fatalf("%d instances, %d purged", len(b.Instances), len(b.Purged))
		}
		if len(b.Refs) != 2 || b.Refs[0].Num != b.Instances[0].Num || b.Refs[1].Num != b.Instances[1].Num {
			t.Errorf("references %v", b.Refs)
		}
		kept := map[string]bool{}
		for _, p := range b.Payloads {
			kept[string(p.Data)] = true
		}
		equal(t, "payloads", fmt.Sprint(kept), "map[handed over:true shared:true]")
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
		const floods = 2
		e.turns.max = 1 // in an order that the test can know
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
		if at := slices.Index(ran, "@busy@small"); at != floods || len(ran) < 10*floods {
			t.Errorf("it ran as number %d of %d", at, len(ran))
		}
		end(t, e)
	})
}
