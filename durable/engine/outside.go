package engine

import (
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// A turn outside is one that a worker makes. It takes as long as the worker likes, and
// may be lost with it, so it does not own its instance meanwhile:
//
//   - What comes is put into the inbox at once, marked as held, and into instance.queue
//     in the same order: its sender has an answer though no worker is there.
//   - When a worker begins the turn, what is in the queue is received by instance.out, a
//     turn of which nothing is submitted. What that changes in memory is what receiving
//     the same messages again after a crash would change.
//   - While there is such a turn, nothing but its completion writes the instance's row,
//     or what has absorbed it: a termination, which waits for no worker.
//   - The turn has a number, which each Begin raises. A completion counts only for the
//     number that it has.

// outside reports whether the instance's turns are made by workers.
func (e *Engine) outside(in *instance) bool { return e.opts.Workers != nil && e.lacks(in) }

// enqueue keeps a message for the turn that a worker will make.
func (t *turn) enqueue(m *message) {
	in := t.in
	if m.held { // in the inbox already; receive has put it into used, as the last one
		t.cs.used = t.cs.used[:len(t.cs.used)-1]
		in.queue = append(in.queue, m)
		return
	}
	h := &message{key: t.e.key.Add(1), to: in.id, exec: m.exec, ev: m.ev, held: true}
	t.cs.hold = append(t.cs.hold, h)
	t.cs.pieces = append(t.cs.pieces, m.pieces...)
	m.pieces = nil
	if c := m.call; c != nil && c.leavesReceipt(m.ev) {
		t.cs.effects = append(t.cs.effects, c.receipt(m.ev))
	}
	in.queue = append(in.queue, h)
}

// wantsTurn reports whether a worker could make a turn now.
func (in *instance) wantsTurn(e *Engine) bool {
	if !in.exists || in.row.Status.Ended() || in.waits() || in.isAside() != nil || !e.outside(in) {
		return false
	}
	if in.out != nil {
		return !in.out.given
	}
	return len(in.queue) > 0 || len(in.timers) > 0 && !in.timers[0].at.After(maxTime(e.now(), in.clock))
}

// beginTurn gives a worker the turn that is due.
func (e *Engine) beginTurn(in *instance, w *TurnWork) (*Turn, error) {
	if in.work != nil && in.work != Work(w) {
		return nil, ErrStale // of another that had the id: this one may be for other workers
	}
	in.offered = false
	if !in.wantsTurn(e) {
		e.rearm(in)
		return nil, ErrStale
	}
	o := in.out
	if o == nil {
		o = &turn{e: e, in: in, cs: &changeSet{in: in}, outside: true}
		in.out = o
	}
	o.now = maxTime(e.now(), in.clock)
	n := 0
	for n < len(in.queue) && o.taken < maxDrain {
		o.taken += in.queue[n].size()
		n++
	}
	queue := in.queue[:n:n]
	in.queue = in.queue[n:]
	left := func() *message {
		if len(in.queue) == 0 {
			return nil
		}
		return in.queue[0]
	}
	for _, m := range o.withTimers(queue, left) {
		o.receive(m)
	}
	if len(o.new) == 0 && !o.anew {
		// Nothing of it meant anything; what was consumed goes with the next turn.
		o.given = false
		if len(in.queue) == 0 {
			in.out = nil
			e.consumeOnly(o)
		}
		e.rearm(in)
		return nil, ErrStale
	}
	o.seq = e.turnSeq.Add(1)
	o.given = true
	started := o.begins()
	r := &in.row
	req := &Turn{
		Name: r.Name, Instance: history.Instance{ID: in.id, Execution: r.Execution}, Payloads: &e.payloads,
		New: append([]*history.Event{started}, o.new...), PastEvents: int64(r.Events), seq: o.seq,
	}
	req.Past = e.pastOutside(in.id, r.Execution, r.Events)
	return req, nil
}

// rearm sets the instance's timer again, which has woken it: the clock was set back
// before a worker came.
func (e *Engine) rearm(in *instance) {
	if len(in.timers) > 0 && !in.row.Status.Ended() {
		e.timers.set(in.id, in.timers[0].at)
	}
}

// consumeOnly lets go of messages without a turn.
func (e *Engine) consumeOnly(o *turn) {
	if len(o.cs.used) > 0 {
		e.commits.submit(&changeSet{in: o.in, used: o.cs.used})
	}
}

// pastOutside streams the committed history of an execution, of n events.
func (e *Engine) pastOutside(id, execution string, n int32) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		if n == 0 {
			return
		}
		err := e.commits.settle()
		if err == nil {
			var last int64
			if last, err = e.lastRow(id, execution); err == nil {
				e.events(context.Background(), id, last)(yield)
				return
			}
		}
		yield(nil, err)
	}
}

func (e *Engine) lastRow(id, execution string) (int64, error) {
	row, err := e.store.Instance(context.Background(), id)
	if err != nil {
		return 0, err
	}
	if row.Execution != execution {
		return 0, fmt.Errorf("%s: %w", id, ErrStale)
	}
	return row.Last, nil
}

// completeTurn takes what a worker made of its turn. The message is answered after the
// commit, unless there is an error.
func (e *Engine) completeTurn(in *instance, m *message) error {
	o, req := in.out, m.ask.turn
	if o == nil || o.seq != req.seq {
		return ErrStale
	}
	if err := in.checkActions(req); err != nil {
		return err
	}
	in.out = nil
	queue := in.queue
	in.queue = nil
	execution := in.row.Execution
	o.now = maxTime(e.now(), in.clock)
	o.changed, o.woken = true, true // a timer may have woken the instance meanwhile
	o.outgrows(req, len(req.New))
	o.record(req.New...)
	o.cs.pieces = append(o.cs.pieces, req.Pieces...)
	e.payloads.pin(req.Pieces)
	if req.CustomStatus != nil {
		in.row.CustomStatus = req.CustomStatus
	}
	for _, call := range req.Over {
		o.cs.progress = e.progress.forget(o.cs.progress, store.ProgressKey{Num: in.row.Num, Execution: execution, Call: call})
	}
	for _, a := range req.Actions {
		o.act(a, req)
	}
	if in.row.Status.Ended() || in.row.Execution != execution {
		in.pushFront(queue) // each is looked at again, with other eyes
	} else {
		in.queue = queue
	}
	o.cs.answer(m, nil)
	o.submit()
	return nil
}

// absorb makes the turn that a worker has, and what waits for the next one, part of
// this one: the instance ends without any worker.
func (t *turn) absorb() {
	in := t.in
	queue, o := in.queue, in.out
	in.queue, in.out = nil, nil
	if o != nil {
		t.new = append(o.new, t.new...)
		t.cs.used = append(t.cs.used, o.cs.used...)
		t.cs.effects = append(t.cs.effects, o.cs.effects...)
		t.cs.progress = append(t.cs.progress, o.cs.progress...)
		t.cs.pieces = append(t.cs.pieces, o.cs.pieces...)
	}
	t.outside = true
	for _, m := range queue {
		t.receive(m)
	}
}

// checkActions says what is wrong with the results of a worker's turn (ErrInvalid), and
// brings ids of entities into the form that everything is kept under.
func (in *instance) checkActions(req *Turn) error {
	ids, last := make(map[int32]bool, len(req.Actions)), in.lastID
	for i, a := range req.Actions {
		if a.Kind == history.ExecutionCompleted {
			if i != len(req.Actions)-1 {
				return invalid("an orchestration completes once, with its last action")
			}
			if a.Status != history.ContinuedAsNew && !a.Status.Ended() {
				return invalid("an orchestration cannot complete as %v", a.Status)
			}
			if a.ID < 0 {
				a.ID = last + 1
			}
			continue
		}
		if a.Kind != history.ExecutionTerminated {
			if a.ID < 0 || ids[a.ID] || in.begun(a.ID) {
				return invalid("the id %d of an action is negative, or another's", a.ID)
			}
			if a.ID == math.MaxInt32 { // there would be no number for the end
				return invalid("the id %d of an action is too large", a.ID)
			}
			ids[a.ID], last = true, max(last, a.ID)
		}
		if err := checkAction(a); err != nil {
			return err
		}
	}
	return nil
}

// begun reports whether something that has no answer yet was begun by the action of a number.
func (in *instance) begun(id int32) bool {
	_, child := in.children[id]
	return child || in.tasks[id] != nil || slices.ContainsFunc(in.timers, func(x timer) bool { return x.id == id })
}

func checkAction(a *history.Event) (err error) {
	switch a.Kind {
	case history.TaskScheduled, history.ChildCreated:
		if a.Name == "" {
			return invalid("%v %d has no name", a.Kind, a.ID)
		}
	case history.TimerCreated:
		if a.FireAt.IsZero() {
			return invalid("timer %d has no time", a.ID)
		}
	case history.EventSent, history.ExecutionTerminated:
		return CheckInstanceID(a.Target)
	case history.EntityOperationSignaled, history.EntityOperationCalled, history.EntityUnlockSent:
		a.Target, err = EntityID(a.Target)
		if err == nil && a.Request == "" {
			err = invalid("%v %d has no request id", a.Kind, a.ID)
		}
	case history.EntityLockRequested:
		if len(a.LockSet) == 0 || a.Request == "" {
			return invalid("lock request %d names no entities, or has no id", a.ID)
		}
		for i := range a.LockSet {
			if a.LockSet[i], err = EntityID(a.LockSet[i]); err != nil {
				return err
			}
		}
	case history.GenericEvent: // what the protocol has no action for, see package history
	default:
		return invalid("%v is no action", a.Kind)
	}
	return err
}
