package engine

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// What a rewind does with an at-most-once call, by what is known of it.
func TestRewindEffects(t *testing.T) {
	result := func(s string) Outcome { return Outcome{Result: history.Payload(s)} }
	for _, c := range []struct {
		name      string
		first     string // what the first call comes to
		reconcile Finding
		output    string
		runs      int64
	}{
		{"it failed", "fails", Happened, "done", 2},
		{"unknown, and still", "dies", CannotTell, "failed: UnknownOutcome", 1},
		{"unknown, and found", "dies", Happened, "found", 1},
		{"unknown, and not done", "dies", DidNotHappen, "done", 2},
		{"it ended after the orchestration", "late", CannotTell, "failed: UnknownOutcome", 1},
		{"the same, and found", "late", Happened, "found", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int64
				var asks atomic.Bool
				var keys []string
				late := make(chan struct{})
				pay := Activity{Name: "pay", Effect: AtMostOnce,
					Run: func(_ context.Context, call *Call) Outcome {
						keys = append(keys, call.Key())
						if runs.Add(1) > 1 {
							return result("done")
						}
						switch c.first {
						case "dies", "late":
							<-late
							return result("late")
						}
						return Outcome{Failure: &history.Failure{Type: "Broken"}}
					},
					Reconcile: func(context.Context, *Call) (Outcome, Finding) {
						if !asks.Load() {
							return Outcome{}, CannotTell
						}
						return result("found"), c.reconcile
					}}
				// It fails when the activity does, or at an event.
				o := orchestration("o", nil)
				o.New = func() Executor { return &rewindable{} }
				d := Definitions{Orchestrations: []Orchestration{o}, Activities: []Activity{pay}}
				s := memory.New()
				e := start(t, s, d, Options{})
				begin(t, e, "i", "o", "")
				synctest.Wait()
				switch c.first {
				case "dies":
					image := s.Clone()
					s.Reopen()
					close(late)
					_ = e.Close()
					s = image
					e = start(t, s, d, Options{})
				case "late":
					if err := e.Raise(t.Context(), "i", "fail", nil); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
					close(late)
				}
				synctest.Wait()
				st, err := e.Get(t.Context(), "i", false)
				if err != nil || st.Status != history.Failed {
					t.Fatalf("%+v, %v", st, err)
				}
				asks.Store(true)
				if err := e.Rewind(t.Context(), "i", ""); err != nil {
					t.Fatal(err)
				}
				out := finish(t, e, "i")
				equal(t, "output", out[:min(len(out), len(c.output))], c.output)
				equal(t, "runs", runs.Load(), c.runs)
				for _, k := range keys {
					equal(t, "key", k, keys[0])
				}
				if out != "done" && out != "found" { // and so it stays, as often as one tries
					if err := e.Rewind(t.Context(), "i", ""); err != nil {
						t.Fatal(err)
					}
					finish(t, e, "i")
					equal(t, "runs after another rewind", runs.Load(), c.runs)
				}
				end(t, e)
			})
		})
	}
}

// rewindable calls pay and ends as that does, or fails at an event; it finds in
// a past that was rewound that the call is to be made again.
type rewindable struct{ scheduled, ended bool }

func (x *rewindable) Turn(t *Turn) {
	do := func(ev *history.Event) { t.Actions = append(t.Actions, ev) }
	take := func(ev *history.Event) *history.Event {
		switch ev.Kind {
		case history.TaskScheduled:
			x.scheduled = true
		case history.TaskCompleted:
			return &history.Event{Kind: history.ExecutionCompleted, ID: 1, Status: history.Completed, Data: ev.Data}
		case history.TaskFailed:
			return &history.Event{Kind: history.ExecutionCompleted, ID: 1, Status: history.Failed, Failure: ev.Failure}
		case history.EventRaised:
			return &history.Event{Kind: history.ExecutionCompleted, ID: 1, Status: history.Failed, Failure: &history.Failure{Type: "Told"}}
		}
		return nil
	}
	if t.Past != nil {
		for ev, err := range t.Past {
			if err != nil {
				t.Err = err
				return
			}
			if ev.Kind != history.EventRaised { // it is not told twice
				take(ev)
			}
		}
	}
	for _, ev := range t.New {
		if done := take(ev); done != nil && !x.ended {
			x.ended = true
			do(done)
			return
		}
	}
	if !x.scheduled {
		x.scheduled = true
		do(&history.Event{Kind: history.TaskScheduled, ID: 0, Name: "pay", Call: 1})
	}
}

func (x *rewindable) Close() {}
