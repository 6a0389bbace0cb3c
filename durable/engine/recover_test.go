package engine

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// What has no definition here waits, and runs when a program opens that has it.
func TestWaitsForDefinitions(t *testing.T) {
	var ran atomic.Int64
	o := orchestration("o", sequence(schedule("act", "a"), operate("@adder@k", "b"), child("kid", "")))
	kid := orchestration("kid", sequence())
	act := activity("act", AtLeastOnce, func(*Call) string { ran.Add(1); return "" })
	s := memory.New()
	ids := []string{"i", "j"}

	// Each program knows one thing more than the one before.
	programs := []Definitions{
		{},
		{Activities: []Activity{act}},
		{Orchestrations: []Orchestration{o}},
		{Orchestrations: []Orchestration{o}, Activities: []Activity{act}},
		{Entities: []Entity{adder}, Activities: []Activity{act}},
		{Orchestrations: []Orchestration{o}, Entities: []Entity{adder}},
		{Orchestrations: []Orchestration{kid}},
		{Orchestrations: []Orchestration{o, kid}, Entities: []Entity{adder}, Activities: []Activity{act}},
	}
	for n, d := range programs {
		synctest.Test(t, func(t *testing.T) {
			s = s.Clone()
			e := start(t, s, d, Options{Cached: -1})
			if n == 0 {
				for _, id := range ids {
					begin(t, e, id, "o", id)
				}
			}
			synctest.Wait()
			for _, id := range ids {
				st, err := e.Get(t.Context(), id, true)
				if err != nil {
					t.Fatal(err)
				}
				want := history.Running
				if n < 2 {
					want = history.Pending
				}
				if n == len(programs)-1 {
					want = history.Completed
					equal(t, "input", string(st.Input), id)
				}
				equal(t, fmt.Sprint(id, " in program ", n), st.Status, want)
			}
			if n < 3 && ran.Load() != 0 {
				t.Errorf("the activity ran in program %d", n)
			}
			end(t, e)
		})
	}
	equal(t, "runs of the activity", ran.Load(), int64(len(ids)))
	image := s.Clone()
	in, err := image.Instance(t.Context(), "@adder@k")
	if err != nil || string(in.State) != "bb" {
		t.Errorf("entity: %+v, %v", in, err)
	}
	for id := range image.Runnable(t.Context()) {
		t.Errorf("%s is still runnable", id)
	}
}

// An instance that was terminated before any program could begin it never begins.
func TestTerminatedWhilePending(t *testing.T) {
	s := memory.New()
	parent := orchestration("parent", sequence(child("o", "kid")))
	e := start(t, s, Definitions{Orchestrations: []Orchestration{parent}}, Options{Cached: -1})
	begin(t, e, "p", "parent", "")
	begin(t, e, "alone", "o", "")
	for _, id := range []string{"alone", "kid"} {
		if err := e.Raise(t.Context(), id, "x", history.Payload("too late")); err != nil {
			t.Fatal(err)
		}
		if err := e.Terminate(t.Context(), id, history.Payload("enough"), false); err != nil {
			t.Fatal(err)
		}
		equal(t, id, finish(t, e, id), "terminated: enough")
	}
	equal(t, "the parent", finish(t, e, "p"), "failed: OrchestrationTerminated: the sub-orchestration was terminated")
	end(t, e)

	e, image := reopen(t, s, Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{})
	begin(t, e, "other", "o", "")
	if err := e.Raise(t.Context(), "other", "x", nil); err != nil {
		t.Fatal(err)
	}
	finish(t, e, "other")
	for _, id := range []string{"alone", "kid"} {
		equal(t, id+" later", finish(t, e, id), "terminated: enough")
		if x, err := e.Executions(t.Context(), id); len(x) != 1 || err != nil {
			t.Errorf("%s began again: %q, %v", id, x, err)
		}
	}
	end(t, e)
	for id := range image.Clone().Runnable(t.Context()) {
		t.Errorf("%s is still runnable", id)
	}
}

// A process may end between the commit that ends an execution and the one that
// begins the next. What was sent to the instance before, and not consumed, has
// lower keys than the next execution's start, and must not come before it.
func TestKilledBetweenExecutions(t *testing.T) {
	for _, event := range []bool{false, true} {
		t.Run(fmt.Sprintf("event=%v", event), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				turn, next := make(chan struct{}), make(chan struct{})
				again := func(wait bool) Orchestration {
					return Orchestration{Name: "again", New: func() Executor {
						return &bodyExecutor{body: func(seen []*history.Event) []*history.Event {
							var begun *history.Event
							for _, ev := range seen {
								if ev.Kind == history.ExecutionStarted {
									begun = ev
								}
							}
							if string(begun.Data) == "2" {
								if wait {
									<-next
								}
								if event {
									return waiting(seen)
								}
								return []*history.Event{complete("second")}
							}
							if wait {
								<-turn
							}
							return []*history.Event{{Kind: history.ExecutionCompleted, Status: history.ContinuedAsNew, Data: history.Payload("2")}}
						}}
					}}
				}
				d := func(wait bool) Definitions {
					return Definitions{Orchestrations: []Orchestration{
						again(wait), orchestration("waits", waiting),
						orchestration("parent", sequence(child("again", "a"))),
						orchestration("sender", sequence(&history.Event{Kind: history.EventSent, Target: "a", Name: "x", Data: history.Payload("sent")})),
					}}
				}
				s := memory.New()
				e := start(t, s, d(true), Options{})
				begin(t, e, "p", "parent", "")
				synctest.Wait() // the child is in its first turn
				if event {
					begin(t, e, "s", "sender", "")
					synctest.Wait()
				}
				close(turn)
				synctest.Wait()                   // its end is in the log, and the next execution in its first turn
				begin(t, e, "drive", "waits", "") // commits the end
				image := s.Clone()
				in, err := image.Instance(t.Context(), "a")
				if err != nil || in.Generation != 1 || in.Events != 0 {
					t.Fatalf("not between two executions: %+v, %v", in, err)
				}
				if old, err := image.Executions(t.Context(), in.Num); err != nil || len(old) != 1 || old[0].ID != in.Origin {
					t.Errorf("origin %s, executions %+v, %v", in.Origin, old, err)
				}
				e2 := start(t, image, d(false), Options{})
				want := "second"
				if event {
					want = "sent"
				}
				equal(t, "the parent", finish(t, e2, "p"), want)
				if event {
					equal(t, "history", show(events(t, e2, "a", "")), "OrchestratorStarted-1 ExecutionStarted-1 EventRaised-1 ExecutionCompleted+0")
				}
				close(next)
				equal(t, "the parent, not killed", finish(t, e, "p"), want)
				end(t, e)
				end(t, e2)
			})
		})
	}
}

// Between the commit of a message to an instance that does not exist and the next
// message to it, the first one must not be read again.
func TestDropOfUncommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		// A message for "x" that an earlier process left.
		lost := &message{key: 1, to: "x", ev: &history.Event{Kind: history.EventRaised, ID: -1, Name: "n"}}
		if err := s.Commit(t.Context(), &store.Batch{Epoch: 1, Inbox: []store.Message{{Key: 1, To: "x", Data: lost.encode()}}}); err != nil {
			t.Fatal(err)
		}
		g, shut, open := gate(s)
		shut()
		e := start(t, g, Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{})
		synctest.Wait() // the message is taken, and its commit waits
		go func() { _, _ = e.Start(t.Context(), Start{ID: "x", Name: "o"}) }()
		synctest.Wait()
		open()
		if err := e.Raise(t.Context(), "x", "n", history.Payload("v")); err != nil {
			t.Fatal(err)
		}
		equal(t, "output", finish(t, e, "x"), "v")
		end(t, e)
	})
}

// Every instance is evicted as soon as it may be, and goes on from its history.
func TestEviction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed atomic.Int64
		o := Orchestration{Name: "o", New: func() Executor {
			return &bodyExecutor{body: sequence(schedule("upper", "a"), operate("@adder@a", "b"), wait(), child("kid", ""), wait()), close: func() { closed.Add(1) }}
		}}
		d := Definitions{Orchestrations: []Orchestration{o, orchestration("kid", sequence())}, Activities: []Activity{upper}, Entities: []Entity{adder}}
		e := start(t, memory.New(), d, Options{Cached: -1})
		begin(t, e, "i", "o", "")
		for _, data := range []string{"1", "2"} {
			synctest.Wait()
			e.instances.mu.Lock()
			equal(t, "instances in memory", len(e.instances.m)+e.instances.lru.Len(), 0)
			e.instances.mu.Unlock()
			if err := e.Raise(t.Context(), "i", "x", history.Payload(data)); err != nil {
				t.Fatal(err)
			}
		}
		equal(t, "output", finish(t, e, "i"), "2")
		if closed.Load() < 3 {
			t.Errorf("the executor was closed %d times", closed.Load())
		}
		end(t, e)
	})
}

// An instance that was evicted while its last owner was still leaving must not
// take its successor with it.
func TestRestOfDeadInstance(t *testing.T) {
	var tab table
	tab.init(0, func() uint64 { return 0 })
	old := tab.get("a")
	tab.rest(old)
	tab.trim(0)
	successor := tab.get("a")
	if successor == old {
		t.Fatal("it was not evicted")
	}
	successor.busy = true
	tab.rest(old) // the leaving owner of old
	tab.trim(0)
	if tab.get("a") != successor {
		t.Error("the successor is gone")
	}
}
