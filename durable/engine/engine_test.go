package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// body is a hand-written orchestration: what it has done in all, given the events
// that came from outside so far. Each turn emits what is new.
type body func(seen []*history.Event) []*history.Event

// bodyExecutor runs a body.
type bodyExecutor struct {
	body  body
	seen  []*history.Event
	done  int
	close func()
}

func (x *bodyExecutor) Turn(t *Turn) {
	if t.Past != nil {
		for ev, err := range t.Past {
			if err != nil {
				t.Err = err
				return
			}
			x.take(ev)
		}
	}
	for _, ev := range t.New {
		x.take(ev)
	}
	all := x.body(x.seen)
	for i, a := range all[x.done:] {
		ev := *a
		ev.ID = int32(x.done + i)
		t.Actions = append(t.Actions, &ev)
	}
	x.done = len(all)
}

func (x *bodyExecutor) take(ev *history.Event) {
	if ev.ID == history.FromOutside {
		x.seen = append(x.seen, ev)
	} else {
		x.done++
	}
}

func (x *bodyExecutor) Close() {
	if x.close != nil {
		x.close()
	}
}

func orchestration(name string, b body) Orchestration {
	return Orchestration{Name: name, New: func() Executor { return &bodyExecutor{body: b} }}
}

// sequence is a body that does one action after the other, each when the one
// before has its answer, and then completes with the data of the last answer.
func sequence(actions ...*history.Event) body {
	return func(seen []*history.Event) []*history.Event {
		var last *history.Event
		n := 0
		for _, ev := range seen {
			switch ev.Kind {
			case history.TaskCompleted, history.TaskFailed, history.TimerFired, history.ChildCompleted, history.ChildFailed,
				history.EntityOperationCompleted, history.EntityOperationFailed, history.EventRaised:
				last = ev
				n++
			}
		}
		if n < len(actions) {
			return actions[:n+1]
		}
		end := complete("")
		if last != nil {
			end.Data, end.Failure = last.Data, last.Failure
			if last.Failure != nil {
				end.Status = history.Failed
			}
		}
		n = len(actions) // events may come that are nobody's answer
		return append(actions[:n:n], end)
	}
}

// waiting is a body that completes when it gets an external event, with its data.
func waiting(seen []*history.Event) []*history.Event {
	for _, ev := range seen {
		if ev.Kind == history.EventRaised {
			return []*history.Event{complete(string(ev.Data))}
		}
	}
	return nil
}

func complete(data string) *history.Event {
	return &history.Event{Kind: history.ExecutionCompleted, Status: history.Completed, Data: history.Payload(data)}
}

func schedule(name, input string) *history.Event {
	return &history.Event{Kind: history.TaskScheduled, Name: name, Data: history.Payload(input)}
}

func child(name, id string) *history.Event {
	return &history.Event{Kind: history.ChildCreated, Name: name, Target: id}
}

// activity is one that gives f of its input.
func activity(name string, e Effect, f func(c *Call) string) Activity {
	return Activity{Name: name, Effect: e, Run: func(_ context.Context, c *Call) Outcome {
		return Outcome{Result: history.Payload(f(c))}
	}}
}

var upper = activity("upper", AtLeastOnce, func(c *Call) string { return strings.ToUpper(string(c.Input)) })

// adder is an entity whose state is a text that each operation appends to.
var adder = Entity{Name: "adder", Run: func(b *EntityBatch) {
	for _, op := range b.Ops {
		b.State = append(append(history.Payload{}, b.State...), op.Data...)
		b.Results = append(b.Results, Outcome{Result: b.State})
	}
}}

var quiet = slog.New(slog.DiscardHandler)

// start opens an engine that the test closes.
func start(t *testing.T, s store.Store, d Definitions, o Options) *Engine {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	e, err := Open(t.Context(), s, d, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return e
}

// end closes an engine that must end well.
func end(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

// begin starts an instance.
func begin(t *testing.T, e *Engine, id, name, input string) {
	t.Helper()
	if _, err := e.Start(t.Context(), Start{ID: id, Name: name, Input: history.Payload(input)}); err != nil {
		t.Fatal(err)
	}
}

// finish waits for an instance and gives its output, or its failure.
func finish(t *testing.T, e *Engine, id string) string {
	t.Helper()
	s, err := e.Wait(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if s.Failure != nil {
		return s.Status.String() + ": " + s.Failure.Error()
	}
	if s.Status != history.Completed {
		return s.Status.String() + ": " + string(s.Output)
	}
	return string(s.Output)
}

// events gives a history.
func events(t *testing.T, e *Engine, id, execution string) (evs []*history.Event) {
	t.Helper()
	for ev, err := range e.History(t.Context(), id, execution) {
		if err != nil {
			t.Fatal(err)
		}
		evs = append(evs, ev)
	}
	return evs
}

// show writes a history as one line.
func show(evs []*history.Event) string {
	var s []string
	for _, ev := range evs {
		s = append(s, fmt.Sprintf("%s%+d", ev.Kind, ev.ID))
	}
	return strings.Join(s, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}

// reopen opens another engine on an image of what is committed.
func reopen(t *testing.T, s *memory.Store, d Definitions, o Options) (*Engine, *memory.Store) {
	t.Helper()
	image := s.Clone()
	return start(t, image, d, o), image
}
