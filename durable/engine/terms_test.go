package engine

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// calling is an orchestration that calls one activity on terms.
func calling(name string, terms *history.Terms) Orchestration {
	ev := schedule(name, "in")
	ev.Terms = terms
	return orchestration("call", sequence(ev))
}

// obedient waits until its context ends, and fails then.
func obedient(ctx context.Context) Outcome {
	<-ctx.Done()
	return Outcome{Failure: &history.Failure{Type: "cut", Message: context.Cause(ctx).Error()}}
}

func failedAs(out, typ string) bool { return strings.HasPrefix(out, "failed: "+typ+":") }

// A call whose time is over is answered at once, also if its function ignores
// that; what that comes to later is dropped, but until then it has its place.
func TestTimeoutOfDeafActivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		deaf := Activity{Name: "deaf", StartToClose: time.Minute, Run: func(context.Context, *Call) Outcome {
			time.Sleep(time.Hour)
			return Outcome{Result: history.Payload("late")}
		}}
		d := Definitions{Orchestrations: []Orchestration{calling("deaf", nil), orchestration("other", sequence(schedule("upper", "x")))},
			Activities: []Activity{deaf, upper}}
		e := start(t, memory.New(), d, Options{Activities: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		begun := time.Now()
		begin(t, e, "i", "call", "")
		if out := finish(t, e, "i"); !failedAs(out, string(StartToClose)) {
			t.Errorf("got %q", out)
		}
		equal(t, "answered after", time.Since(begun), time.Minute)
		equal(t, "history", show(events(t, e, "i", "")),
			"OrchestratorStarted-1 ExecutionStarted-1 TaskScheduled+0 OrchestratorStarted-1 TaskFailed-1 ExecutionCompleted+1")
		begin(t, e, "j", "other", "")
		equal(t, "beside it", finish(t, e, "j"), "X")
		equal(t, "its place is free after", time.Since(begun), time.Hour)
		synctest.Wait()
		equal(t, "events", len(events(t, e, "i", "")), 6)
		equal(t, "warnings", strings.Count(log.String(), "goes on although its time is over"), 1)
		equal(t, "timers", len(e.cuts.heap)+len(e.deadlines.heap), 0)
		end(t, e)
	})
}

// A function that gives signs of life is cut off when it gives none.
func TestHeartbeatTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cause error
		work := Activity{Name: "work", Heartbeat: 10 * time.Second, Run: func(ctx context.Context, c *Call) Outcome {
			for range 6 {
				time.Sleep(9 * time.Second)
				if err := c.Heartbeat(nil); err != nil {
					t.Errorf("heartbeat: %v", err)
				}
			}
			<-ctx.Done()
			cause = context.Cause(ctx)
			if err := c.Heartbeat(history.Payload("too late")); err == nil {
				t.Error("a heartbeat after the end")
			}
			return Outcome{Result: history.Payload("nevertheless")}
		}}
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{calling("work", nil)}, Activities: []Activity{work}}, Options{})
		begun := time.Now()
		begin(t, e, "i", "call", "")
		if out := finish(t, e, "i"); !failedAs(out, string(HeartbeatTimeout)) {
			t.Errorf("got %q", out)
		}
		equal(t, "after", time.Since(begun), 64*time.Second)
		synctest.Wait()
		var f *history.Failure
		if !errors.As(cause, &f) || f.Type != string(HeartbeatTimeout) {
			t.Errorf("cause %v", cause)
		}
		equal(t, "records of progress", e.progress.count.Load(), 0)
		end(t, e)
	})
}

// Schedule to close counts while the call waits for a place, for a program that
// has the activity, and while no program runs.
func TestScheduleToClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now().UTC()
		var runs atomic.Int64
		hold := Activity{Name: "hold", Run: func(ctx context.Context, _ *Call) Outcome { return obedient(ctx) }}
		wait := Activity{Name: "wait", Run: func(context.Context, *Call) Outcome { runs.Add(1); return Outcome{} }}
		d := Definitions{Orchestrations: []Orchestration{
			calling("wait", &history.Terms{Deadline: begun.Add(time.Hour)}),
			orchestration("hold", sequence(schedule("hold", ""))),
			orchestration("elsewhere", sequence(&history.Event{Kind: history.TaskScheduled, Name: "nobody has it", Terms: &history.Terms{Deadline: begun.Add(2 * time.Hour)}})),
		}, Activities: []Activity{hold, wait}}
		s := memory.New()
		e := start(t, s, d, Options{Activities: 1})
		begin(t, e, "hold", "hold", "")
		synctest.Wait()
		begin(t, e, "i", "call", "")
		begin(t, e, "j", "elsewhere", "")
		synctest.Wait()
		image := s.Clone()
		for _, id := range []string{"i", "j"} {
			out := finish(t, e, id)
			if !failedAs(out, string(ScheduleToClose)) || !strings.Contains(out, "from schedule to close was over at ") {
				t.Errorf("%s: got %q", id, out)
			}
		}
		equal(t, "after", time.Since(begun), 2*time.Hour)
		end(t, e)
		equal(t, "runs", runs.Load(), 0)

		// Another process that begins when the first hour is over, and the second not.
		e = start(t, image.Clone(), Definitions{Orchestrations: d.Orchestrations, Activities: []Activity{wait}}, Options{})
		if out := finish(t, e, "i"); !failedAs(out, string(ScheduleToClose)) {
			t.Errorf("after a restart: %q", out)
		}
		equal(t, "runs", runs.Load(), 0)
		end(t, e)
	})
	synctest.Test(t, func(t *testing.T) { // a running call, across a restart
		begun := time.Now().UTC()
		starts := []time.Duration{}
		slow := Activity{Name: "slow", Run: func(ctx context.Context, c *Call) Outcome {
			starts = append(starts, time.Since(begun))
			if at, ok := ctx.Deadline(); !ok || !at.Equal(begun.Add(time.Hour)) || !c.Deadline.Equal(at) {
				t.Errorf("deadline %v", at)
			}
			return obedient(ctx)
		}}
		d := Definitions{Orchestrations: []Orchestration{calling("slow", &history.Terms{Deadline: begun.Add(time.Hour)})}, Activities: []Activity{slow}}
		s := memory.New()
		e := start(t, s, d, Options{})
		begin(t, e, "i", "call", "")
		time.Sleep(20 * time.Minute)
		end(t, e)
		time.Sleep(20 * time.Minute)
		e, _ = reopen(t, s, d, Options{})
		if out := finish(t, e, "i"); !failedAs(out, string(ScheduleToClose)) {
			t.Errorf("got %q", out)
		}
		equal(t, "over after", time.Since(begun), time.Hour)
		end(t, e)
		if !slices.Equal(starts, []time.Duration{0, 40 * time.Minute}) {
			t.Errorf("started at %v", starts)
		}
	})
}

// The causes with which a function's context ends.
func TestCauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := map[string]error{}
		a := Activity{Name: "a", Run: func(ctx context.Context, c *Call) Outcome {
			<-ctx.Done()
			causes[c.Instance.ID] = context.Cause(ctx)
			return Outcome{}
		}}
		d := Definitions{Orchestrations: []Orchestration{calling("a", nil)}, Activities: []Activity{a}}
		e := start(t, memory.New(), d, Options{})
		begin(t, e, "given up", "call", "")
		begin(t, e, "closed", "call", "")
		synctest.Wait()
		if err := e.Terminate(t.Context(), "given up", nil, false); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		end(t, e)
		if !errors.Is(causes["given up"], ErrCanceled) || !errors.Is(causes["closed"], ErrClosed) {
			t.Errorf("causes %v", causes)
		}
	})
}

// Cells of an at-most-once call whose time is over: a timeout is the answer only
// where it certainly had no effect.
func TestAtMostOnceTimeouts(t *testing.T) {
	happened := func(context.Context, *Call) (Outcome, Finding) {
		return Outcome{Result: history.Payload("found")}, Happened
	}
	didNot := func(context.Context, *Call) (Outcome, Finding) { return Outcome{}, DidNotHappen }
	cannot := func(context.Context, *Call) (Outcome, Finding) { return Outcome{}, CannotTell }
	const grace = 10 * time.Second
	for _, c := range []struct {
		name      string
		deaf      bool
		heartbeat bool // the bound is that of heartbeats
		reconcile func(context.Context, *Call) (Outcome, Finding)
		output    string
		after     time.Duration
	}{
		{"nobody can tell", false, false, nil, "failed: UnknownOutcome", time.Minute},
		{"nobody can tell, deaf", true, false, nil, "failed: UnknownOutcome", time.Minute},
		{"nobody can tell, silent", false, true, nil, "failed: UnknownOutcome", time.Minute},
		{"happened", false, false, happened, "found", time.Minute},
		{"did not happen", false, false, didNot, "failed: StartToCloseTimeout", time.Minute},
		{"did not happen, silent", false, true, didNot, "failed: HeartbeatTimeout", time.Minute},
		{"cannot tell", false, false, cannot, "failed: UnknownOutcome", time.Minute},
		{"happened, deaf", true, false, happened, "found", time.Minute + grace},
		{"has not happened yet, deaf", true, false, didNot, "failed: UnknownOutcome", time.Minute + grace},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				a := Activity{Name: "pay", Effect: AtMostOnce, Reconcile: c.reconcile, Run: func(ctx context.Context, _ *Call) Outcome {
					runs++
					if c.deaf {
						time.Sleep(time.Hour)
						return Outcome{Result: history.Payload("late")}
					}
					return obedient(ctx)
				}}
				if c.heartbeat {
					a.Heartbeat = time.Minute
				} else {
					a.StartToClose = time.Minute
				}
				s := memory.New()
				e := start(t, s, Definitions{Orchestrations: []Orchestration{calling("pay", nil)}, Activities: []Activity{a}}, Options{Grace: grace})
				begun := time.Now()
				begin(t, e, "i", "call", "")
				out := finish(t, e, "i")
				equal(t, "answered after", time.Since(begun), c.after)
				equal(t, "output", out[:min(len(out), len(c.output))], c.output)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				equal(t, "runs", runs, 1)
				equal(t, "events", len(events(t, e, "i", "")), 6)
				effects, err := e.Effects(t.Context(), "i")
				unknown := failedAs(out, UnknownOutcome) // of which there is no receipt
				if err != nil || len(effects) != 1 || effects[0].Receipt.IsZero() != unknown || effects[0].Failed != (c.output != "found" && !unknown) {
					t.Errorf("effects %+v, %v", effects, err)
				}
				end(t, e)
			})
		})
	}
}

// An at-most-once call whose time is over before it begins has no intent; one
// with an intent of an earlier process is settled first.
func TestAtMostOnceDeadline(t *testing.T) {
	for _, c := range []struct {
		name      string
		intent    bool
		busy      bool // all places are taken when the time is over
		reconcile func(context.Context, *Call) (Outcome, Finding)
		output    string
	}{
		{"never begun", false, false, nil, "failed: ScheduleToCloseTimeout"},
		{"never begun, busy", false, true, nil, "failed: ScheduleToCloseTimeout"},
		{"begun, nobody can tell", true, false, nil, "failed: UnknownOutcome"},
		{"begun, nobody can tell, busy", true, true, nil, "failed: UnknownOutcome"},
		{
			"begun, happened", true, false,
			func(context.Context, *Call) (Outcome, Finding) {
				return Outcome{Result: history.Payload("found")}, Happened
			}, "found",
		},
		{
			"begun, did not happen", true, true,
			func(context.Context, *Call) (Outcome, Finding) { return Outcome{}, DidNotHappen }, "failed: ScheduleToCloseTimeout",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				runs := 0
				holds := make(chan struct{}, 2)
				hold := Activity{Name: "hold", Run: func(ctx context.Context, _ *Call) Outcome {
					holds <- struct{}{}
					select {
					case <-ctx.Done():
					case <-time.After(3 * time.Hour):
					}
					return Outcome{}
				}}
				deadline := time.Now().Add(time.Hour).UTC()
				defs := func(has bool) Definitions {
					d := Definitions{Activities: []Activity{hold}, Orchestrations: []Orchestration{
						orchestration("hold", sequence(schedule("hold", ""))), calling("pay", &history.Terms{Deadline: deadline})}}
					if has {
						d.Activities = []Activity{hold, {Name: "pay", Effect: AtMostOnce, Reconcile: c.reconcile, Run: func(ctx context.Context, _ *Call) Outcome {
							runs++
							return obedient(ctx)
						}}}
					}
					return d
				}
				s := memory.New()
				e := start(t, s, defs(c.intent), Options{})
				if c.busy { // in the next process
					begin(t, e, "hold", "hold", "")
				}
				begin(t, e, "i", "call", "")
				synctest.Wait()
				image := s.Clone()
				s.Reopen()
				_ = e.Close()
				if !c.busy {
					time.Sleep(2 * time.Hour)
				}
				var again store.Store = image
				if c.busy {
					<-holds
					again = &oneByOne{image, holds}
				}
				e = start(t, again, defs(true), Options{Activities: 1})
				out := finish(t, e, "i")
				equal(t, "output", out[:min(len(out), len(c.output))], c.output)
				effects, err := e.Effects(t.Context(), "i")
				want := 0
				if c.intent {
					want = 1
				}
				if err != nil || len(effects) != want || want == 1 && effects[0].Receipt.IsZero() != failedAs(out, UnknownOutcome) {
					t.Errorf("effects %+v, %v", effects, err)
				}
				equal(t, "runs", runs, want)
				end(t, e)
			})
		})
	}
}

// The time may be over while the intent is being written: the function is not
// called then, and the receipt says so.
func TestDeadlineDuringIntent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		commits := 0
		f := &spy{Store: memory.New(), commit: func(*store.Batch) {
			if commits++; commits == 2 {
				time.Sleep(time.Hour) // a slow disk
			}
		}}
		pay := Activity{Name: "pay", Effect: AtMostOnce, Run: func(context.Context, *Call) Outcome {
			t.Error("it was called")
			return Outcome{}
		}}
		e := start(t, f, Definitions{Activities: []Activity{pay},
			Orchestrations: []Orchestration{calling("pay", &history.Terms{Deadline: time.Now().Add(time.Minute).UTC()})}}, Options{})
		begin(t, e, "i", "call", "")
		if out := finish(t, e, "i"); !failedAs(out, string(ScheduleToClose)) {
			t.Errorf("got %q", out)
		}
		effects, err := e.Effects(t.Context(), "i")
		if err != nil || len(effects) != 1 || effects[0].Receipt.IsZero() || !effects[0].Failed {
			t.Errorf("effects %+v, %v", effects, err)
		}
		end(t, e)
	})
}

// What fails at its deadline fails because of it, also if nobody has looked yet.
func TestFailureAtDeadline(t *testing.T) {
	for _, effect := range []Effect{AtLeastOnce, AtMostOnce} {
		synctest.Test(t, func(t *testing.T) {
			var e *Engine
			a := Activity{Name: "a", Effect: effect, StartToClose: time.Minute, Run: func(context.Context, *Call) Outcome {
				e.cuts.stop() // as if its timer came late
				time.Sleep(time.Minute)
				return Outcome{Failure: &history.Failure{Type: "i/o timeout"}}
			}}
			e = start(t, memory.New(), Definitions{Orchestrations: []Orchestration{calling("a", nil)}, Activities: []Activity{a}}, Options{})
			begin(t, e, "i", "call", "")
			want := string(StartToClose)
			if effect == AtMostOnce {
				want = UnknownOutcome
			}
			if out := finish(t, e, "i"); !failedAs(out, want) {
				t.Errorf("got %q", out)
			}
			end(t, e)
		})
	}
}

// oneByOne is a store that names no second instance as runnable before the first one
// does something.
type oneByOne struct {
	store.Store
	does <-chan struct{}
}

func (o *oneByOne) Runnable(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		first := true
		for id, err := range o.Store.Runnable(ctx) {
			if !yield(id, err) {
				return
			}
			if first {
				<-o.does
			}
			first = false
		}
	}
}
