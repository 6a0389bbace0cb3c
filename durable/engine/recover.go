package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// recover goes on where the store's last engine stopped. It reads nothing of
// instances that only wait.
func (e *Engine) recover(ctx context.Context) error {
	r, err := e.store.Recover(ctx)
	if err != nil {
		return err
	}
	e.num.Store(r.LastNum)
	e.key.Store(r.LastMsg)
	e.recovered = r.LastMsg
	e.commits.rowKey, e.commits.epoch = r.LastRow, r.Epoch
	if err := e.progress.load(ctx); err != nil {
		return err
	}
	if err := e.timers.load(ctx, store.Due{}); err != nil {
		return err
	}
	for id, err := range e.store.Runnable(ctx) {
		if err != nil {
			return err
		}
		e.wakeUp(id)
	}
	e.commits.beginSweep() // an earlier engine may not have come to the end of it
	return nil
}

// load reads an instance's row, the messages that wait for it since an earlier
// engine, and what of its history is still open. The body is not run: that is
// for the turn that needs it.
func (e *Engine) load(in *instance) (waiting []*message, err error) {
	ctx := context.Background()
	row, err := e.store.Instance(ctx, in.id)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		in.exists, in.row, in.known = true, *row, true
		in.first, in.lastRow, in.armed = row.First, row.Last, row.Due
		if row.LockedBy != "" {
			if in.held, err = history.DecodeEvent(row.CustomStatus); err != nil {
				return nil, fmt.Errorf("the lock: %w", err)
			}
		}
	}
	if !isEntity(in.id) && in.exists && !row.Status.Ended() {
		if err := e.derive(in); err != nil {
			return nil, err
		}
	}
	if in.row.Status == history.Pending && in.row.Events == 0 {
		in.startAt = in.row.Due
	}
	var stored []store.Message
	// Nothing can wait for an instance that is not there, unless an earlier engine
	// left it: what this one stores is in a mailbox, or for one that exists.
	if in.exists || e.recovered > 0 {
		if stored, err = e.store.Inbox(ctx, in.id); err != nil {
			return nil, err
		}
	}
	var first []*message
	for _, s := range stored {
		m, err := decodeMessage(s)
		if err != nil {
			return nil, err
		}
		if m.exec == kept {
			in.restore(m)
			continue
		}
		begins := in.begins(m)
		if begins && m.ev.Kind == history.ExecutionStarted {
			in.parent = m.ev.Parent
		}
		switch {
		case s.Key > e.recovered && !m.held: // of this engine: in a mailbox already, or for another program
		case begins:
			first = append(first, m)
		default:
			waiting = append(waiting, m)
		}
	}
	waiting = append(heldFirst(first), heldFirst(waiting)...)
	if !isEntity(in.id) && in.exists && !row.Status.Ended() {
		in.answeredBy(waiting)
		if err := e.restart(in); err != nil {
			return nil, err
		}
	}
	in.loaded = true
	return waiting, nil
}

// heldFirst puts the messages that an instance has received, and put into its inbox
// again, before those that it has not: their keys are higher, but they came earlier.
func heldFirst(msgs []*message) []*message {
	slices.SortStableFunc(msgs, func(a, b *message) int {
		switch {
		case a.held == b.held:
			return 0
		case a.held:
			return -1
		}
		return 1
	})
	return msgs
}

// begins reports whether m is one of those that an execution without a history
// begins with. They come first: what was sent before a continue-as-new and not
// consumed yet has lower keys, and follows them.
func (in *instance) begins(m *message) bool {
	return in.exists && in.row.Events == 0 && in.row.Execution != "" &&
		(m.exec == in.row.Execution || m.ev.Kind == history.ExecutionStarted && m.ev.Instance.Execution == in.row.Execution)
}

// derive finds in the history what the execution still waits for. Pending work
// is not stored a second time: activities without an answer are started again
// (or reconciled, where they must not be), and timers set anew.
func (e *Engine) derive(in *instance) error {
	in.reset()
	in.clock = in.row.Created
	for ev, err := range e.past(in) {
		if err != nil {
			return err
		}
		e.follow(in, ev)
	}
	if err := e.formerly(in); err != nil {
		return err
	}
	slices.SortStableFunc(in.timers, func(a, b timer) int { return a.at.Compare(b.at) })
	return nil
}

// follow takes note of what one event opens or closes.
func (e *Engine) follow(in *instance, ev *history.Event) {
	in.lastID = max(in.lastID, ev.ID)
	switch ev.Kind {
	case history.ExecutionStarted:
		in.parent, in.rewinds = ev.Parent, ev.Attempt
	case history.OrchestratorStarted:
		in.clock = ev.Time
	case history.TaskScheduled:
		c := e.newCall(in, ev)
		note(&in.tasks, ev.ID, c)
	case history.TaskCompleted, history.TaskFailed:
		delete(in.tasks, ev.Answers)
	case history.TimerCreated:
		in.timers = append(in.timers, timer{ev.ID, ev.FireAt})
	case history.TimerFired:
		in.timers = slices.DeleteFunc(in.timers, func(t timer) bool { return t.id == ev.Answers })
	case history.GenericEvent:
		if id, ok := ev.Cancels(); ok {
			in.timers = slices.DeleteFunc(in.timers, func(t timer) bool { return t.id == id })
			if c := in.tasks[id]; c != nil && c.mustAnswer() {
				c.abort()
			} else {
				delete(in.tasks, id)
			}
		}
	case history.EntityLockRequested:
		in.wants(ev)
	case history.EntityLockGranted:
		in.granted(ev)
	case history.EntityUnlockSent:
		in.leaves(ev)
	case history.ChildCreated:
		note(&in.children, ev.ID, ev.Target)
	case history.ChildCompleted, history.ChildFailed:
		delete(in.children, ev.Answers)
	case history.EntityOperationCalled:
		note(&in.requests, ev.Request, true)
	case history.EntityOperationCompleted, history.EntityOperationFailed:
		delete(in.requests, ev.Request)
	}
}

// restart gives the activities that were under way when the last engine ended to
// the dispatcher, each with what is known of its effect.
func (e *Engine) restart(in *instance) error {
	if e.lacks(in) && !e.outside(in) {
		e.misses("orchestration", in.row.Name, in.row.Version, in)
	}
	if len(in.tasks) == 0 || e.definition(in) == nil && !e.outside(in) {
		return nil // an answer could not be taken here: the program that can starts them
	}
	if err := e.recall(in); err != nil {
		return err
	}
	for _, c := range in.open() {
		if c.answered { // nobody else has it yet
			continue
		}
		if c.terms != nil {
			e.prepare(c)
			e.watch(c)
		}
		if c.act != nil || c.work != nil {
			e.excuse(c)
			e.calls.put(false, c)
		} else {
			e.misses("activity", c.ev.Name, "", in)
		}
	}
	return nil
}

// answeredBy takes note of the answers that lie in the inbox: what they answer is over.
func (in *instance) answeredBy(waiting []*message) {
	for _, m := range waiting {
		if m.ev.Kind != history.TaskCompleted && m.ev.Kind != history.TaskFailed || m.exec != in.row.Execution {
			continue
		}
		if c := in.tasks[m.ev.Answers]; c != nil {
			c.answered = true
		}
	}
}

// open gives the activities that have no answer, in the order of their numbers.
func (in *instance) open() []*call {
	calls := make([]*call, 0, len(in.tasks))
	for _, c := range in.tasks {
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b *call) int { return cmp.Compare(a.ev.ID, b.ev.ID) })
	return calls
}

// past streams the committed history of an instance's current execution.
func (e *Engine) past(in *instance) iter.Seq2[*history.Event, error] {
	return e.events(context.Background(), in.row.ID, in.row.Last)
}

// events streams the history that ends with the given row.
func (e *Engine) events(ctx context.Context, id string, last int64) iter.Seq2[*history.Event, error] {
	return e.eventsFrom(ctx, id, last, 0)
}

// eventsFrom is events without the first skip ones, which are not decoded.
func (e *Engine) eventsFrom(ctx context.Context, id string, last int64, skip int) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		if last == 0 {
			return
		}
		skip := skip // it may be ranged over again
		for row, err := range e.store.History(ctx, last) {
			if err != nil {
				yield(nil, err)
				return
			}
			if row, skip, err = history.SkipRows(row, skip); err != nil {
				yield(nil, fmt.Errorf("history of %s: %w", id, err))
				return
			}
			for ev, err := range history.DecodeRows(row) {
				if err == nil {
					err = e.payloads.resolve(ctx, ev)
				}
				if err != nil {
					yield(nil, fmt.Errorf("history of %s: %w", id, err))
					return
				}
				if !yield(ev, nil) {
					return
				}
			}
		}
	}
}
