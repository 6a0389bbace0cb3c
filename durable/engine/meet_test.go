package engine

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Where two features meet.

// An instance that takes the place of another in a turn of several megabytes has
// all of its history.
func TestReplacedByLargeTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 400
		input := strings.Repeat("x", 12_000)
		fan := func(seen []*history.Event) (all []*history.Event) {
			if string(seen[1].Data) == "small" {
				return []*history.Event{complete("")}
			}
			for i := range calls {
				all = append(all, schedule("nobody", strconv.Itoa(i)+input))
			}
			return all
		}
		s := memory.New()
		e := start(t, s, Definitions{Orchestrations: []Orchestration{orchestration("fan", fan)}}, Options{})
		begin(t, e, "x", "fan", "small")
		finish(t, e, "x")
		if _, err := e.Start(t.Context(), Start{ID: "x", Name: "fan", Input: history.Payload("large"), Reuse: []history.Status{history.Completed}}); err != nil {
			t.Fatal(err)
		}
		row, err := s.Instance(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "events", len(events(t, e, "x", "")), int(row.Events))
		equal(t, "of them", row.Events, calls+2)
		end(t, e)
	})
}

// inOneTurn lets an instance take the messages of ask in one turn.
func inOneTurn(e *Engine, id string, msgs ...*message) (answers []error) {
	held := make(chan struct{})
	ask(e, id, askNothing, func() { <-held })
	synctest.Wait()
	var waits []<-chan error
	for _, m := range msgs {
		m.to, m.ev.ID, m.ev.Time = id, history.FromOutside, e.now()
		waits = append(waits, e.request(m))
	}
	close(held)
	for _, w := range waits {
		answers = append(answers, <-w)
	}
	return answers
}

// What comes with a request to rewind is for the execution that it begins.
func TestRewindAmongOthers(t *testing.T) {
	rewind := func() *message { return &message{ev: &history.Event{Kind: history.ExecutionRewound}} }
	for _, c := range []struct {
		name  string
		heals bool // the activity, before the rewind
		then  *message
		// The executions that are there in the end, and how the last one ends.
		executions int
		output     string
	}{
		{"another rewind", false, rewind(), 3, "failed: Broken"},
		{"a purge", false, &message{ev: &history.Event{}, ask: &command{what: askPurge}}, 0, ""},
		{"a replacement", true, &message{reuse: []history.Status{history.Running, history.Failed}, ev: &history.Event{
			Kind: history.ExecutionStarted, Name: "o"}}, 1, "done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := orchestration("o", nil)
				var heals, gone atomic.Bool
				// A rewind finds that it fails at once.
				o.New = func() Executor { return &failsAgain{gone: &gone} }
				broken := Activity{Name: "pay", Run: func(context.Context, *Call) Outcome {
					if heals.Load() {
						return Outcome{Result: history.Payload("done")}
					}
					return Outcome{Failure: &history.Failure{Type: "Broken"}}
				}}
				s := memory.New()
				e := start(t, s, Definitions{Orchestrations: []Orchestration{o}, Activities: []Activity{broken}}, Options{})
				begin(t, e, "i", "o", "")
				finish(t, e, "i")
				heals.Store(c.heals)
				gone.Store(!c.heals)
				for i, err := range inOneTurn(e, "i", rewind(), c.then) {
					if err != nil {
						t.Errorf("request %d: %v", i, err)
					}
				}
				if c.executions == 0 {
					if _, err := e.Get(t.Context(), "i", false); !errors.Is(err, ErrNotFound) {
						t.Errorf("it is there: %v", err)
					}
					end(t, e)
					return
				}
				out := finish(t, e, "i")
				equal(t, "output", out[:min(len(out), len(c.output))], c.output)
				all, err := e.Executions(t.Context(), "i")
				if err != nil {
					t.Fatal(err)
				}
				equal(t, "executions", len(all), c.executions)
				for n, x := range all {
					began := 0
					for _, ev := range events(t, e, "i", x) {
						if ev.Kind == history.ExecutionStarted {
							began++
							equal(t, "id of the execution", ev.Instance.Execution, x)
						}
					}
					if began != 1 {
						t.Errorf("execution %d begins %d times", n, began)
					}
				}
				end(t, e)
			})
		})
	}
}

// failsAgain is rewindable, but fails as soon as it has a past, if gone is set.
type failsAgain struct {
	rewindable
	gone *atomic.Bool
}

func (x *failsAgain) Turn(t *Turn) {
	if t.Past != nil && x.gone.Load() {
		for _, err := range t.Past {
			if err != nil {
				t.Err = err
				return
			}
		}
		t.Actions = []*history.Event{{Kind: history.ExecutionCompleted, ID: 1, Status: history.Failed, Failure: &history.Failure{Type: "Broken"}}}
		return
	}
	x.rewindable.Turn(t)
}

// An unknown outcome that comes when the orchestration has failed already is not
// a failure of the call: a rewind does not make it again.
func TestUnknownAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var runs atomic.Int64
		pay := Activity{Name: "pay", Effect: AtMostOnce, StartToClose: time.Minute, Run: func(ctx context.Context, c *Call) Outcome {
			runs.Add(1)
			time.Sleep(2 * time.Minute)
			return Outcome{Failure: &history.Failure{Type: "Cut"}}
		}}
		o := orchestration("o", nil)
		o.New = func() Executor { return &rewindable{} }
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{o}, Activities: []Activity{pay}}, Options{})
		begin(t, e, "i", "o", "")
		synctest.Wait()
		if err := e.Raise(t.Context(), "i", "fail", nil); err != nil {
			t.Fatal(err)
		}
		finish(t, e, "i")
		time.Sleep(time.Hour)
		effects, err := e.Effects(t.Context(), "i")
		if err != nil || len(effects) != 1 || !effects[0].Receipt.IsZero() {
			t.Errorf("%+v, %v", effects, err)
		}
		if err := e.Rewind(t.Context(), "i", ""); err != nil {
			t.Fatal(err)
		}
		if out := finish(t, e, "i"); !failedAs(out, UnknownOutcome) {
			t.Errorf("got %q", out)
		}
		equal(t, "runs", runs.Load(), 1)
		end(t, e)
	})
}

// A rewind finds the intent of a call whose function still runs. It may return soon,
// and then Reconcile knows; until then nobody can say that it did not happen.
func TestRewindWhileEffectRuns(t *testing.T) {
	for _, c := range []struct {
		takes  time.Duration
		output string
	}{{5 * time.Second, "found"}, {time.Hour, "failed: " + UnknownOutcome}} {
		synctest.Test(t, func(t *testing.T) {
			var runs, done atomic.Int64
			pay := Activity{Name: "pay", Effect: AtMostOnce,
				Run: func(context.Context, *Call) Outcome {
					runs.Add(1)
					time.Sleep(c.takes)
					done.Add(1)
					return Outcome{Result: history.Payload("done")}
				},
				Reconcile: func(context.Context, *Call) (Outcome, Finding) {
					if done.Load() == 0 {
						return Outcome{}, DidNotHappen
					}
					return Outcome{Result: history.Payload("found")}, Happened
				}}
			o := orchestration("o", nil)
			o.New = func() Executor { return &rewindable{} }
			e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{o}, Activities: []Activity{pay}}, Options{})
			begin(t, e, "i", "o", "")
			synctest.Wait()
			if err := e.Raise(t.Context(), "i", "fail", nil); err != nil {
				t.Fatal(err)
			}
			finish(t, e, "i")
			if err := e.Rewind(t.Context(), "i", ""); err != nil {
				t.Fatal(err)
			}
			out := finish(t, e, "i")
			equal(t, "output", out[:min(len(out), len(c.output))], c.output)
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			equal(t, "runs", runs.Load(), 1)
			equal(t, "functions that run", len(e.effects.m), 0)
			end(t, e)
		})
	}
}

// A restart where the definition is missing waits for a program that has it.
func TestRestartElsewhere(t *testing.T) {
	d := Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}
	s := memory.New()
	e := start(t, s, d, Options{})
	begin(t, e, "i", "o", "input")
	if err := e.Terminate(t.Context(), "i", nil, false); err != nil {
		t.Fatal(err)
	}
	e, s = reopen(t, s, Definitions{}, Options{})
	if _, err := e.Restart(t.Context(), "i", false); err != nil {
		t.Fatal(err)
	}
	e, _ = reopen(t, s, d, Options{})
	if err := e.Raise(t.Context(), "i", "go", history.Payload("done")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	st, err := e.Wait(ctx, "i")
	if err != nil || st.Status != history.Completed || string(st.Input) != "input" {
		t.Errorf("%+v, %v", st, err)
	}
	end(t, e)
}

// A call that must answer although it was given up still ends when its time is
// over.
func TestTimeoutOfCanceled(t *testing.T) {
	for _, terms := range []history.Terms{{StartToClose: time.Minute}, {Deadline: time.Date(2000, 1, 1, 0, 1, 0, 0, time.UTC)}} {
		synctest.Test(t, func(t *testing.T) {
			pay := schedule("pay", "")
			pay.Terms = &terms
			b := func(seen []*history.Event) []*history.Event {
				all := []*history.Event{pay}
				for _, ev := range seen {
					switch ev.Kind {
					case history.EventRaised:
						all = append(all, history.NewTaskCanceled(0))
					case history.TaskFailed:
						all = append(all, complete(ev.Failure.Type))
					}
				}
				return all
			}
			act := Activity{Name: "pay", Effect: AtMostOnce, Run: func(context.Context, *Call) Outcome {
				time.Sleep(time.Hour)
				return Outcome{Failure: &history.Failure{Type: "Late"}}
			}}
			e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{orchestration("o", b)}, Activities: []Activity{act}}, Options{})
			begun := time.Now()
			begin(t, e, "i", "o", "")
			synctest.Wait()
			if err := e.Raise(t.Context(), "i", "cancel", nil); err != nil {
				t.Fatal(err)
			}
			equal(t, "output", finish(t, e, "i"), UnknownOutcome)
			equal(t, "after", time.Since(begun), time.Minute)
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			equal(t, "timers", len(e.cuts.heap)+len(e.deadlines.heap), 0)
			end(t, e)
		})
	}
}

// An instance of a version that nobody has fails when it starts, not before, and
// keeps its input for a restart.
func TestMismatchOfScheduledStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := orchestration("o", waiting)
		o.Version = "1"
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{o}}, Options{Versions: VersionPolicy{Mismatch: MismatchFails}})
		begun := time.Now()
		if _, err := e.Start(t.Context(), Start{ID: "i", Name: "o", Version: "2", Input: history.Payload("in"), At: begun.Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if out := finish(t, e, "i"); !failedAs(out, VersionMismatch) {
			t.Errorf("got %q", out)
		}
		equal(t, "after", time.Since(begun), time.Hour)
		st, err := e.Get(t.Context(), "i", true)
		if err != nil || string(st.Input) != "in" {
			t.Errorf("%+v, %v", st, err)
		}
		end(t, e)
	})
}

// A child that begins anew in place of one that ended, and is replaced in the same
// turn, leaves nothing either.
func TestReplacedAsItReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New()
		e := start(t, s, Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{})
		begin(t, e, "x", "o", "first")
		if err := e.Terminate(t.Context(), "x", nil, false); err != nil {
			t.Fatal(err)
		}
		answers := inOneTurn(e, "x",
			&message{ev: &history.Event{Kind: history.ExecutionStarted, Name: "o", Parent: &history.Parent{Instance: history.Instance{ID: "p"}}}},
			&message{ev: &history.Event{Kind: history.ExecutionStarted, Name: "o", Data: history.Payload("third")}, reuse: []history.Status{history.Running}})
		for _, err := range answers {
			if err != nil {
				t.Fatal(err)
			}
		}
		all, err := e.Executions(t.Context(), "x")
		if err != nil || len(all) != 1 {
			t.Errorf("%q, %v", all, err)
		}
		for n := int64(1); n < 3; n++ {
			old, err := s.Executions(t.Context(), n)
			if err != nil || len(old) > 0 {
				t.Errorf("ended executions of number %d: %+v, %v", n, old, err)
			}
		}
		end(t, e)
	})
}

// A call that must answer, and is given up while it waits for a place, does not
// wait for that to say that it never started; nor after a restart.
func TestCanceledWithoutPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := func(seen []*history.Event) []*history.Event {
			all := []*history.Event{schedule("pay", "")}
			for _, ev := range seen {
				switch ev.Kind {
				case history.EventRaised:
					all = append(all, history.NewTaskCanceled(0))
				case history.TaskFailed:
					all = append(all, complete(ev.Failure.Type))
				case history.TaskCompleted:
					all = append(all, complete("paid"))
				}
			}
			return all
		}
		runs := 0
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", b)}, Activities: []Activity{{
			Name: "pay", Effect: AtMostOnce, MaxConcurrent: 1, Run: func(ctx context.Context, _ *Call) Outcome {
				runs++
				time.Sleep(time.Hour)
				return Outcome{}
			}, Reconcile: func(context.Context, *Call) (Outcome, Finding) {
				time.Sleep(time.Hour)
				return Outcome{}, CannotTell
			}}}}
		s := memory.New()
		var images []*memory.Store
		e := start(t, &spy{Store: s, commit: func(*store.Batch) { images = append(images, s.Clone()) }}, d, Options{})
		begin(t, e, "first", "o", "")
		begin(t, e, "second", "o", "")
		synctest.Wait()
		begun := time.Now()
		if err := e.Raise(t.Context(), "second", "cancel", nil); err != nil {
			t.Error(err)
		}
		equal(t, "output", finish(t, e, "second"), Canceled)
		equal(t, "after", time.Since(begun), 0)
		equal(t, "output", finish(t, e, "first"), "paid")
		end(t, e)
		crashed := 0
		for _, image := range images {
			row, err := image.Instance(t.Context(), "second")
			if err != nil || row.Events != 6 { // it was cancelled, and has no answer
				continue
			}
			crashed++
			e := start(t, image, d, Options{})
			begun := time.Now()
			equal(t, "output after a crash", finish(t, e, "second"), Canceled)
			equal(t, "after", time.Since(begun), 0)
			finish(t, e, "first")
			end(t, e)
		}
		equal(t, "runs", runs, 1)
		equal(t, "crashes", crashed, 1)
	})
}

// A message that is on disk and whose sender comes to deliver it only after its
// receiver was purged and forgotten.
func TestMessageOvertakenByPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{Cached: -1})
		begin(t, e, "x", "o", "")
		m := &message{key: e.key.Add(1), to: "x", ev: &history.Event{Kind: history.EventRaised, ID: history.FromOutside, Time: e.now()}}
		if err := e.commits.write(&changeSet{out: []*message{m}}); err != nil {
			t.Fatal(err)
		}
		if err := e.Terminate(t.Context(), "x", nil, false); err != nil {
			t.Fatal(err)
		}
		if n, err := e.Purge(t.Context(), []string{"x"}, false); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		begin(t, e, "y", "o", "")
		synctest.Wait()
		e.deliver("x", m)
		synctest.Wait()
		if err := e.Health(); err != nil {
			t.Error(err)
		}
		end(t, e)
	})
}

// A token that comes back in the very moment in which one is taken is not
// overlooked: whoever waits for it does not wait for the end of another call.
func TestTokenComesBackAtOnce(t *testing.T) {
	d, x, e := limited(t, 0, &Rate{N: 1, Per: time.Microsecond})
	clock := time.Now()
	e.cuts.now = func() time.Time { // each look at it takes longer than a token
		clock = clock.Add(time.Millisecond)
		return clock
	}
	a := &instance{id: "a"}
	d.put(false, named(a, "a0", 0, x), named(a, "a1", 0, x), named(a, "a2", 0, x))
	equal(t, "started", taken(d, 4), "a0 a1 a2 -")
}
