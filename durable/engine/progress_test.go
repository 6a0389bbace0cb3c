package engine

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// keptProgress lists the progress that a store has.
func keptProgress(t *testing.T, s *memory.Store) (list string) {
	t.Helper()
	for p, err := range s.Clone().Progress(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list += fmt.Sprintf("[%d/%d %s]", p.Num, p.Call, p.Data)
	}
	return list
}

// Progress is on disk a second later at most, however often it is told, costs a
// commit a second at most, and is there for the next process; with the call's
// result it is gone.
func TestProgressSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := ""
		count := func(from int) Activity {
			return Activity{Name: "count", Run: func(ctx context.Context, c *Call) Outcome {
				p, ok := c.Progress()
				found += fmt.Sprintf("(%s %v)", p, ok)
				for i := 0; i < 1000 && ctx.Err() == nil; i++ {
					if err := c.Heartbeat(history.Payload(fmt.Sprint(from + i))); err != nil {
						t.Error(err)
					}
					time.Sleep(7 * time.Millisecond)
				}
				<-ctx.Done()
				return Outcome{Failure: &history.Failure{Message: "cut off"}}
			}}
		}
		s := memory.New()
		e := start(t, s, chainOf(1, count(0)), Options{})
		begin(t, e, "i", "chain", "")
		synctest.Wait()
		before := e.Commits()
		equal(t, "at first", keptProgress(t, s), "[1/0 0]")
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		equal(t, "nearly a second later", keptProgress(t, s), "[1/0 0]")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		equal(t, "a second later", keptProgress(t, s), "[1/0 142]")
		time.Sleep(20 * time.Second)
		synctest.Wait()
		equal(t, "the last one", keptProgress(t, s), "[1/0 999]")
		if n := e.Commits() - before; n > 10 {
			t.Errorf("%d commits in 20 seconds", n)
		}
		image := s.Clone()
		end(t, e)

		e = start(t, image, chainOf(1, count(5000)), Options{})
		time.Sleep(1500 * time.Millisecond)
		end(t, e) // what was told and not written is, when the engine is closed
		equal(t, "after Close", keptProgress(t, image), "[1/0 5214]")
		done := Activity{Name: "count", Run: func(_ context.Context, c *Call) Outcome {
			p, _ := c.Progress()
			_ = c.Heartbeat(history.Payload("last"))
			return Outcome{Result: p}
		}}
		e, image = reopen(t, image, chainOf(1, done), Options{})
		equal(t, "found by the next", finish(t, e, "i"), "5214")
		synctest.Wait()
		equal(t, "found", found, "( false)(999 true)")
		equal(t, "after the result", keptProgress(t, image), "")
		equal(t, "records", e.progress.count.Load(), 0)
		end(t, e)
		equal(t, "in the end", keptProgress(t, image), "")
	})
}

// What an attempt told is there for the next one, which tells of its call's number;
// it goes with the failure of the last, as the executor says, and with the
// execution.
func TestProgressOfAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := Activity{Name: "work", Run: func(ctx context.Context, c *Call) Outcome {
			p, _ := c.Progress()
			_ = c.Heartbeat(append(p, c.Input...))
			if c.ID == 0 {
				return Outcome{}
			}
			return Outcome{Failure: &history.Failure{Message: string(p)}}
		}}
		attempt := func(call int32, input string) *history.Event {
			return &history.Event{Kind: history.TaskScheduled, Name: "work", Data: history.Payload(input), Call: call}
		}
		d := Definitions{Activities: []Activity{work}, Orchestrations: []Orchestration{
			orchestration("three", func(seen []*history.Event) []*history.Event {
				return sequence(attempt(9, "result"), attempt(1, "a"), attempt(1, "b"), attempt(2, "c"), &history.Event{Kind: history.TimerCreated, FireAt: time.Now().Add(time.Hour)})(seen)
			}),
		}}
		s := memory.New()
		e := start(t, s, d, Options{})
		begin(t, e, "i", "three", "")
		synctest.Wait()
		equal(t, "between attempts", keptProgress(t, s), "[1/1 ab][1/2 c]")
		image := s.Clone()
		if err := e.Terminate(t.Context(), "i", nil, false); err != nil {
			t.Fatal(err)
		}
		equal(t, "after the end", keptProgress(t, s), "")
		end(t, e)

		d.Orchestrations[0].New = func() Executor { return &saysOver{call: 1} }
		e = start(t, image, d, Options{})
		if err := e.Raise(t.Context(), "i", "go", nil); err != nil {
			t.Fatal(err)
		}
		equal(t, "after the last attempt of one", keptProgress(t, image), "[1/2 c]")
		end(t, e)
	})
}

// saysOver is an executor that finds a call to be over.
type saysOver struct{ call int32 }

func (x *saysOver) Turn(t *Turn) { t.Over = []int32{x.call} }
func (x *saysOver) Close()       {}

// A function that goes on after its orchestration has ended leaves nothing.
func TestProgressAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := Activity{Name: "a", Run: func(ctx context.Context, c *Call) Outcome {
			for i := range 100 {
				_ = c.Heartbeat(history.Payload(fmt.Sprint(i)))
				time.Sleep(100 * time.Millisecond)
			}
			return Outcome{}
		}}
		s := memory.New()
		e := start(t, s, chainOf(1, a), Options{})
		begin(t, e, "i", "chain", "")
		time.Sleep(2500 * time.Millisecond)
		if err := e.Terminate(t.Context(), "i", nil, false); err != nil {
			t.Fatal(err)
		}
		equal(t, "after the end", keptProgress(t, s), "")
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "later", keptProgress(t, s), "")
		end(t, e)
		equal(t, "closed", keptProgress(t, s), "")
	})
}

// Between the turn that ends the execution and its commit, in which the calls that
// are left learn of it, they may tell what they like.
func TestProgressWhileEnding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running *Call
		a := Activity{Name: "a", Run: func(ctx context.Context, c *Call) Outcome {
			running = c
			return obedient(ctx)
		}}
		s := memory.New()
		ending := false
		f := storetest.NewFault(s, func(op storetest.Op, _ int) error {
			if ending && op == storetest.OpCommit {
				if err := running.Heartbeat(history.Payload("too late")); err == nil {
					t.Error("it was taken")
				}
			}
			return nil
		})
		e := start(t, f, chainOf(1, a), Options{})
		begin(t, e, "i", "chain", "")
		synctest.Wait()
		ending = true
		if err := e.Terminate(t.Context(), "i", nil, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		equal(t, "kept", keptProgress(t, s), "")
		end(t, e)
	})
}

// What is pending is shown with what is known of it.
func TestPendingActivities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		deadline := time.Now().Add(time.Hour).UTC()
		a := Activity{Name: "a", MaxConcurrent: 1, Run: func(ctx context.Context, c *Call) Outcome {
			_ = c.Heartbeat(history.Payload("half"))
			return obedient(ctx)
		}}
		first, second := schedule("a", "1"), schedule("a", "2")
		second.Terms = &history.Terms{Deadline: deadline, Priority: 2}
		d := Definitions{Activities: []Activity{a}, Orchestrations: []Orchestration{
			orchestration("two", func([]*history.Event) []*history.Event { return []*history.Event{first, second} })}}
		e := start(t, memory.New(), d, Options{})
		begun := time.Now().UTC()
		begin(t, e, "i", "two", "")
		time.Sleep(time.Second)
		list, err := e.Activities(t.Context(), "i")
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		x, y := list[0], list[1]
		if !x.Running || string(x.Progress) != "half" || !x.Told.Equal(begun) || !x.Deadline.IsZero() || x.Priority != 3 || x.Attempt != 1 || !x.Scheduled.Equal(begun) {
			t.Errorf("first: %+v", x)
		}
		if y.Running || y.Progress != nil || !y.Deadline.Equal(deadline) || y.Priority != 2 || y.Task != 1 || y.Name != "a" || y.Key == x.Key {
			t.Errorf("second: %+v", y)
		}
		for _, id := range []string{"nobody", "@entity@x", ""} {
			if _, err := e.Activities(t.Context(), id); err == nil {
				t.Errorf("%q has activities", id)
			}
		}
		end(t, e)
	})
}
