package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// ErrCannotRewind: the instance has not failed, or its failures cannot be taken
// out of its history; the text says which.
var ErrCannotRewind = errors.New("the instance cannot be rewound")

func cannotRewind(why string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCannotRewind, fmt.Sprintf(why, args...))
}

// Rewind lets a failed instance go on from its failure: activities and children
// that failed are done anew, what succeeded is not. The old execution stays, with
// the reason at its end; the next one begins with the old history without the
// failures. Children that failed are rewound as well, and those that were
// purged begin again.
//
// Code that went on after a failure (a retry policy, an error that it handled)
// does not replay without that failure: then nothing happens and the error wraps
// ErrCannotRewind, as it does for an instance that has not failed. Code of a worker
// is replayed by the worker, later: it fails the instance again.
//
// An instance whose definition is missing here is rewound by the program that has
// it.
func (e *Engine) Rewind(ctx context.Context, id, reason string) error {
	return e.control(ctx, id, &history.Event{Kind: history.ExecutionRewound, Reason: reason})
}

// rewound is what becomes of a request to rewind, by a client or a parent.
func (t *turn) rewound(m *message) {
	in := t.in
	p := m.ev.Parent
	switch {
	case p != nil && (!in.exists || in.row.Parent != p.ID):
		// Purged, or the id was another's: the parent starts it, or is refused, again.
		t.start(&message{to: in.id, ev: childStart(m.ev)})
	case !in.exists:
		t.cs.answer(m, ErrNotFound)
	case p != nil && !in.row.Status.Ended():
		in.parent = p
	case p != nil && in.row.Status != history.Failed:
		t.answerAgain(m)
	case in.row.Status != history.Failed:
		t.cs.answer(m, cannotRewind("it has not failed, it is %v", in.row.Status))
	case t.e.definition(in) == nil && !t.e.outside(in):
		t.cs.answer(m, nil)
		t.holdBack(m)
	default:
		err := t.rewind(m.ev)
		if err != nil && p != nil { // the parent hears of it: the child is as it was
			t.reply(answer(p, t.e.key.Add(1), t.now, history.Failed, nil, &history.Failure{Type: "CannotRewind", Message: err.Error(), NonRetriable: true}))
		}
		t.cs.answer(m, err)
	}
}

// childStart makes the start of a child from the event that rewinds it.
func childStart(ev *history.Event) *history.Event {
	return &history.Event{
		Kind: history.ExecutionStarted, ID: history.FromOutside, Time: ev.Time, Name: ev.Name, Version: ev.Version, Data: ev.Data,
		Tags: ev.Tags, Trace: ev.Trace, Parent: ev.Parent, Instance: history.Instance{ID: ev.Instance.ID, Execution: newExecution()},
	}
}

// answerAgain tells a parent how its child ended: the first answer came after the
// parent had failed.
func (t *turn) answerAgain(m *message) {
	var s *State
	err := t.e.commits.settle()
	if err == nil {
		s, err = t.e.Get(context.Background(), t.in.id, true)
	}
	if err != nil {
		s = &State{Status: history.Failed, Failure: &history.Failure{Type: "Unreadable", Message: err.Error()}}
	}
	t.reply(answer(m.ev.Parent, t.e.key.Add(1), t.now, s.Status, s.Output, s.Failure))
}

// rewind begins the execution anew from its history without the failures, if its
// code replays that.
func (t *turn) rewind(why *history.Event) error {
	in := t.in
	if err := t.e.commits.settle(); err != nil {
		return err
	}
	old, err := t.e.store.Instance(context.Background(), in.id)
	if err != nil {
		return err
	}
	past, started, err := t.e.withoutFailures(in.id, old.Last, why.Parent)
	if err != nil {
		return err
	}
	before := in.row
	r := &in.row
	t.cs.replaced = t.archive()
	r.Execution, r.Status = started.Instance.Execution, history.Running
	r.Generation++
	r.Completed, r.Due, r.Events, r.First, r.Last = time.Time{}, time.Time{}, 0, 0, 0
	in.reset()
	for _, ev := range past {
		t.e.follow(in, ev)
	}
	slices.SortStableFunc(in.timers, func(a, b timer) int { return a.at.Compare(b.at) })
	t.now = maxTime(t.now, in.clock)
	in.clock = t.now
	req := &Turn{
		Name: r.Name, Instance: history.Instance{ID: in.id, Execution: r.Execution}, Payloads: &t.e.payloads,
		New: []*history.Event{{Kind: history.OrchestratorStarted, ID: history.FromOutside, Time: t.now}},
		Past: func(yield func(*history.Event, error) bool) {
			for _, ev := range past {
				if !yield(ev, nil) {
					return
				}
			}
		},
	}
	var x Executor // nil where a worker replays
	if !t.e.outside(in) {
		x = t.e.definition(in).New()
		x.Turn(req)
		err = req.Err
	}
	if err == nil {
		err = t.cannotGoOn(req)
	}
	if err == nil {
		err = t.e.recall(in)
	}
	if err == nil {
		err = t.e.formerIDs(in, &before)
	}
	if err != nil {
		if x != nil {
			x.Close()
		}
		t.cs.replaced, in.row = nil, before
		in.reset()
		return err
	}
	in.exec = x
	t.changed, t.rewinds = true, true
	t.cs.replaced.Events++
	t.cs.closing = history.AppendRow(nil, &history.Event{Kind: history.ExecutionRewound, ID: history.FromOutside, Time: t.now, Reason: why.Reason})
	for _, c := range in.open() {
		if c.terms != nil {
			t.e.prepare(c)
			t.cs.timed = append(t.cs.timed, c)
		}
		if c.act != nil || c.work != nil {
			t.cs.calls = append(t.cs.calls, c)
		}
	}
	t.rewindChildren(past)
	t.record(past...)
	if x == nil {
		t.enqueue(&message{to: in.id, exec: r.Execution, ev: why})
		return nil
	}
	t.record(req.New...)
	t.cs.pieces = append(t.cs.pieces, req.Pieces...)
	t.e.payloads.pin(req.Pieces)
	if req.CustomStatus != nil {
		r.CustomStatus = req.CustomStatus
	}
	for _, a := range req.Actions {
		t.act(a, req)
	}
	return nil
}

// cannotGoOn says why an execution cannot go on that was rewound this far.
func (t *turn) cannotGoOn(req *Turn) error {
	if req.Diverged {
		f := req.Actions[len(req.Actions)-1].Failure
		return cannotRewind("without its failures its code takes other steps (it handled or retried one): %v", f)
	}
	if len(t.in.locks) > 0 {
		return cannotRewind("it had entities locked when it failed, which are free since")
	}
	for request := range t.in.requests {
		return cannotRewind("it waits for the answer of an entity to request %s, which may have come after it failed", request)
	}
	return nil
}

// withoutFailures gives the history that ends with a row as it goes on: without
// the failures, what they are the failures of, and the end; a call that was given
// up and failed is over, and a child that failed stays created. Its start is that of
// a new execution.
func (e *Engine) withoutFailures(id string, last int64, parent *history.Parent) (past []*history.Event, started *history.Event, err error) {
	failed, givenUp := map[int32]bool{}, map[int32]bool{}
	turn := 0 // where the last one begins
	for ev, err := range e.events(context.Background(), id, last) {
		if err != nil {
			return nil, nil, err
		}
		switch ev.Kind {
		case history.OrchestratorStarted:
			turn = len(past)
		case history.GenericEvent:
			if id, ok := ev.Cancels(); ok {
				givenUp[id] = true
			}
		case history.TaskFailed:
			if givenUp[ev.Answers] {
				break // no call that is to be made again
			}
			failed[ev.Answers] = true
			continue
		case history.ChildFailed, history.ExecutionCompleted:
			continue
		case history.ExecutionStarted:
			again := *ev
			if again.Lineage == "" {
				again.Lineage = ev.Instance.Execution
			}
			again.Attempt++
			again.Instance = history.Instance{ID: id, Execution: newExecution()}
			if parent != nil {
				again.Parent = parent
			}
			ev, started = &again, &again
		}
		past = append(past, ev)
	}
	if started == nil {
		return nil, nil, cannotRewind("its history has no start")
	}
	// What its last turn gave up it mostly gave up because of the failure, on its way
	// out. Where it did not, its code does so again.
	kept := slices.DeleteFunc(past[turn:], func(ev *history.Event) bool {
		_, cancels := ev.Cancels()
		return cancels
	})
	return slices.DeleteFunc(past[:turn+len(kept)], func(ev *history.Event) bool {
		return ev.Kind == history.TaskScheduled && failed[ev.ID]
	}), started, nil
}

// rewindChildren asks every child that has not answered to go on: one that failed
// is rewound, one that was purged begins again, one that ended since answers again.
func (t *turn) rewindChildren(past []*history.Event) {
	in := t.in
	for _, ev := range past {
		if _, waits := in.children[ev.ID]; !waits || ev.Kind != history.ChildCreated {
			continue
		}
		t.out(ev.Target, &history.Event{
			Kind: history.ExecutionRewound, ID: history.FromOutside, Time: t.now, Reason: "the parent was rewound",
			Name: ev.Name, Version: ev.Version, Data: ev.Data, Tags: ev.Tags, Trace: ev.Trace,
			Instance: history.Instance{ID: ev.Target},
			Parent: &history.Parent{Instance: history.Instance{ID: in.id, Execution: in.row.Execution},
				Name: in.row.Name, Version: in.row.Version, Scheduled: ev.ID},
		})
	}
}

// formerly finds the ids that the execution had before it was rewound.
func (e *Engine) formerly(in *instance) error { return e.formerIDs(in, nil) }

func (e *Engine) formerIDs(in *instance, last *store.Instance) error {
	if in.rewinds == 0 {
		return nil
	}
	old, err := e.store.Executions(context.Background(), in.row.Num)
	if err != nil {
		return err
	}
	for _, x := range old {
		if x.Generation >= in.row.Generation-in.rewinds && x.Generation < in.row.Generation {
			in.formerly = append(in.formerly, x.ID)
		}
	}
	if last != nil {
		in.formerly = append(in.formerly, last.Execution)
	}
	return nil
}

// wasAskedBy reports whether m is the answer of a child that knows its parent by
// an earlier id: the number that it answers means the same as then.
func (in *instance) wasAskedBy(m *message) bool {
	return (m.ev.Kind == history.ChildCompleted || m.ev.Kind == history.ChildFailed) && slices.Contains(in.formerly, m.exec)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
