package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Answers to clients.
var (
	// ErrExists: the instance id is taken.
	ErrExists = errors.New("the instance exists already")
	// ErrNotFound: there is no such instance.
	ErrNotFound = errors.New("there is no such instance")
)

// runTurns is the run queue's way to own an instance.
func (e *Engine) runTurns(in *instance) {
	e.own(in)
	e.commits.drive(false)
}

// own runs turns of an instance until its mailbox is empty. The caller has the
// ownership, which ends with the call, and drives the log afterwards.
func (e *Engine) own(in *instance) {
	exists := false
	for {
		msgs, woken, room, ok := in.take()
		if !ok {
			break
		}
		if room {
			e.calls.resume()
		}
		if in.aside != nil {
			e.refuse(in, msgs)
			continue
		}
		if !in.loaded {
			stored, err := e.load(in)
			if err != nil && e.Err() == nil {
				e.setAside(in, err)
				e.refuse(in, msgs)
				continue
			}
			if e.Err() != nil {
				failMessages(msgs, e.stopError())
				return // nobody else may own it: it stays busy for ever
			}
			msgs = append(stored, msgs...)
		}
		if e.opts.Workers != nil {
			if i := slices.IndexFunc(msgs, (*message).ofWorker); i > 0 {
				in.pushFront(msgs[i:])
				msgs = msgs[:i]
			} else if i == 0 {
				in.pushBack(msgs[1:], woken)
				e.obeyWorker(in, msgs[0])
				e.offer(in)
				exists = in.exists
				continue
			}
		}
		if isEntity(in.id) {
			e.entityTurn(in, msgs, woken)
			if e.opts.Workers != nil {
				e.offer(in)
			}
			if e.turns.yield(in) {
				return
			}
		} else {
			e.orchestrationTurn(in, msgs, woken)
			if e.opts.Workers != nil {
				e.offer(in)
			}
		}
		exists = in.exists
	}
	committed := e.commits.committed.Load()
	if in.isAside() != nil {
		return // it stays in memory, so that nobody reads it again
	}
	if !exists {
		e.instances.drop(in, committed)
	} else {
		e.instances.rest(in)
	}
	e.instances.trim(committed)
}

func failMessages(msgs []*message, err error) {
	for _, m := range msgs {
		if m.ack != nil {
			m.ack(err)
		}
	}
}

// orchestrationTurn takes messages, makes a turn of them if they call for one,
// and submits what came of it.
func (e *Engine) orchestrationTurn(in *instance, msgs []*message, woken bool) {
	t := &turn{e: e, in: in, cs: &changeSet{in: in}, woken: woken, born: !in.exists}
	now := e.now()
	if now.Before(in.clock) {
		now = in.clock // the orchestration's time never runs backwards
	}
	t.now = now
	t.new = make([]*history.Event, 0, len(msgs)+1) // with the OrchestratorStarted
	if in.waits() && !in.startAt.After(now) {
		t.release()
	}
	if !e.outside(in) {
		msgs = t.withTimers(msgs, in.left)
	}
	for i, m := range msgs {
		if t.receive(m); t.rewinds {
			in.pushFront(msgs[i+1:]) // the turn is done: the rest is for what it has begun
			break
		}
	}
	t.run()
	if in.aside != nil {
		t.e.payloads.unpin(t.cs.pieces)
		t.cs.fail(in.aside)
		return
	}
	if woken && t.expired() {
		e.expired.add(in.id)
	}
	t.submit()
}

// turn is a turn of an orchestration in the making.
type turn struct {
	e   *Engine
	in  *instance
	cs  *changeSet
	now time.Time

	new        []*history.Event // for the body, without the OrchestratorStarted
	terminated *history.Event
	inline     []*call    // pure activities that may start before the commit
	costly     bool       // one of them costs
	next       []*message // to this instance itself: how its next execution begins
	changed    bool       // the row is to be written
	woken      bool       // it has another reason than messages, perhaps a timer
	born       bool       // no row of it is in the log before this turn
	rewinds    bool       // it has begun the execution anew, see turn.rewind
	anew       bool       // the body is to run though nothing came: its history was rewritten

	// Of one that a worker makes, see outside.go.
	outside bool
	given   bool   // a worker has it
	taken   int    // bytes of messages in it
	seq     uint64 // which
}

// withTimers merges the timers that are due into the messages: what came before
// a timer was due stands before it. So between a decision and a deadline the
// earlier one wins, also when nothing ran at the time.
//
// next gives the first message that is left for a later turn, or nil: what is due
// after that came is left, too.
func (t *turn) withTimers(msgs []*message, next func() *message) []*message {
	in := t.in
	n := 0
	for n < len(in.timers) && !in.timers[n].at.After(t.now) {
		n++
	}
	if n == 0 {
		return msgs
	}
	if left := next(); left != nil {
		for n > 0 && in.timers[n-1].at.After(left.ev.Time) {
			n--
		}
	}
	due := in.timers[:n]
	out := make([]*message, 0, len(msgs)+n)
	for _, m := range msgs {
		for len(due) > 0 && !due[0].at.After(m.ev.Time) {
			out = append(out, t.fire(due[0]))
			due = due[1:]
		}
		out = append(out, m)
	}
	for _, d := range due {
		out = append(out, t.fire(d))
	}
	return out
}

func (t *turn) fire(d timer) *message {
	return &message{to: t.in.id, exec: t.in.row.Execution,
		ev: &history.Event{Kind: history.TimerFired, ID: history.FromOutside, Time: t.now, Answers: d.id, FireAt: d.at}}
}

// receive decides what becomes of one message.
func (t *turn) receive(m *message) {
	in, ev := t.in, m.ev
	if m.key != 0 {
		t.cs.used = append(t.cs.used, m)
	}
	if ev.Kind == history.ExecutionRewound && !m.held {
		t.rewound(m)
		return
	}
	if m.ask != nil {
		t.cs.answer(m, t.obey(m.ask))
		return
	}
	if ev.Kind == history.ExecutionStarted {
		t.start(m)
		return
	}
	if !in.exists {
		t.e.payloads.unpin(m.pieces) // it was purged
		t.cs.answer(m, ErrNotFound)
		return
	}
	t.cs.answer(m, nil)
	if in.row.Status.Ended() || t.terminated != nil || m.exec != "" && m.exec != in.row.Execution && !in.wasAskedBy(m) {
		t.lost(m)
		return
	}
	if in.waits() {
		if ev.Kind != history.ExecutionTerminated {
			t.wait(m)
			return
		}
		t.release()
	}
	if ev.Kind == history.ExecutionTerminated {
		if t.e.outside(in) {
			t.absorb()
		}
	} else if t.e.outside(in) {
		if !t.outside {
			t.enqueue(m)
			return
		}
	} else if t.e.lacks(in) {
		t.e.misses("orchestration", in.row.Name, in.row.Version, in)
		t.holdBack(m)
		return
	}
	switch ev.Kind {
	case history.TaskCompleted, history.TaskFailed:
		c := in.tasks[ev.Answers]
		if c == nil {
			t.e.payloads.unpin(m.pieces) // answered already
			return
		}
		delete(in.tasks, ev.Answers)
		t.cs.progress = t.e.progress.answered(t.cs.progress, c, ev)
		t.cs.pieces = append(t.cs.pieces, m.pieces...)
		m.pieces = nil
		if !m.held && c.leavesReceipt(ev) {
			t.cs.effects = append(t.cs.effects, c.receipt(ev))
		}
	case history.TimerFired:
		i := slices.IndexFunc(in.timers, func(x timer) bool { return x.id == ev.Answers })
		if i < 0 {
			return
		}
		in.timers = slices.Delete(in.timers, i, i+1)
		in.armed = time.Time{} // the next one may be due at the very same time
	case history.ChildCompleted, history.ChildFailed:
		if _, waits := in.children[ev.Answers]; !waits {
			return
		}
		delete(in.children, ev.Answers)
	case history.EntityOperationCompleted, history.EntityOperationFailed:
		if !in.requests[ev.Request] {
			return
		}
		delete(in.requests, ev.Request)
	case history.EntityLockGranted:
		if !in.granted(ev) {
			return // given up meanwhile: the entities know
		}
	case history.ExecutionRewound:
		t.anew = true
		return
	case history.ExecutionTerminated:
		t.terminated = ev
	case history.ExecutionSuspended:
		in.row.Status = history.Suspended
	case history.ExecutionResumed:
		in.row.Status = history.Running
	}
	t.new = append(t.new, ev)
}

// lost lets go of a message that nobody will consume.
func (t *turn) lost(m *message) {
	t.e.payloads.unpin(m.pieces)
	if c := m.call; c != nil && c.num == t.in.row.Num && c.leavesReceipt(m.ev) {
		// The orchestration ended meanwhile, but the effect took place.
		t.cs.effects = append(t.cs.effects, c.receipt(m.ev))
	}
}

// holdBack keeps a message for a program that has the definition.
func (t *turn) holdBack(m *message) {
	if m.key == 0 {
		if m.ack == nil && m.ev.Kind != history.ExecutionStarted { // a start may be the engine's own
			t.lost(m)
			return
		}
		m.key = t.e.key.Add(1)
		t.cs.hold = append(t.cs.hold, m)
		return
	}
	t.cs.used = t.cs.used[:len(t.cs.used)-1] // it was put there by receive, as the last one
}

// run lets the body go on with the new events.
func (t *turn) run() {
	in := t.in
	refused := t.refused()
	if len(t.new) == 0 && !refused && !t.anew {
		return
	}
	t.changed = true
	t.new = slices.Insert(t.new, 0, t.begins())
	if t.terminated != nil {
		t.record(t.new...)
		t.finish(&history.Event{Kind: history.ExecutionCompleted, ID: in.lastID + 1, Time: t.now, Status: history.Terminated, Data: t.terminated.Data}, nil)
		return
	}
	if refused {
		t.mismatch()
		return
	}
	req := &Turn{
		Name:     in.row.Name,
		Instance: history.Instance{ID: in.id, Execution: in.row.Execution},
		Payloads: &t.e.payloads,
		New:      t.new,
	}
	if in.exec == nil {
		in.exec = t.e.definition(in).New()
		if in.row.Events > 0 {
			req.Past = t.e.past(in)
		}
	}
	in.exec.Turn(req)
	if req.Err != nil {
		t.e.setAside(in, req.Err)
		return
	}
	t.outgrows(req, len(t.new))
	t.record(t.new...)
	t.cs.pieces = append(t.cs.pieces, req.Pieces...)
	t.e.payloads.pin(req.Pieces)
	if req.CustomStatus != nil {
		in.row.CustomStatus = req.CustomStatus
	}
	for _, call := range req.Over {
		t.cs.progress = t.e.progress.forget(t.cs.progress, store.ProgressKey{Num: in.row.Num, Execution: in.row.Execution, Call: call})
	}
	for _, a := range req.Actions {
		t.act(a, req)
	}
}

// HistoryTooLarge is the failure type of an instance that is failed for the size of its
// history.
const HistoryTooLarge = "HistoryTooLarge"

// outgrows makes a turn with so many new events fail its instance if its history would
// have too many.
func (t *turn) outgrows(req *Turn, news int) {
	most, n := t.e.opts.MaxHistory, int(t.in.row.Events)+news+len(req.Actions)
	if most == 0 || n <= most || len(req.Actions) > 0 && req.Actions[len(req.Actions)-1].Kind == history.ExecutionCompleted {
		return
	}
	req.Actions = []*history.Event{{Kind: history.ExecutionCompleted, ID: t.in.lastID + 1, Status: history.Failed, Failure: &history.Failure{
		Type: HistoryTooLarge, NonRetriable: true,
		Message: fmt.Sprintf("its history would have %d events, and may have %d: let it continue as new from time to time, or raise the limit", n, most),
	}}}
}

// begins makes the event that a turn begins with, whose time is the orchestration's.
func (t *turn) begins() *history.Event {
	started := &history.Event{Kind: history.OrchestratorStarted, ID: history.FromOutside, Time: t.now}
	for _, ev := range t.new {
		if ev.Kind == history.TimerFired && ev.FireAt.After(started.Time) {
			started.Time = ev.FireAt
		}
	}
	t.in.clock, t.now = started.Time, started.Time
	return started
}

// record appends events to the history.
func (t *turn) record(evs ...*history.Event) {
	if t.e.opts.OnTurn != nil {
		r := &t.in.row
		if t.cs.told == nil {
			t.cs.told = &Recorded{Instance: history.Instance{ID: r.ID, Execution: r.Execution}, Name: r.Name, Parent: r.Parent, Number: int(r.Events)}
		}
		t.cs.told.Events = append(t.cs.told.Events, evs...)
	}
	for _, ev := range evs {
		t.in.row.Events++
		t.e.encode(t.cs, ev)
		// Not before what ends, in this turn, the history that a row would be tied to.
		if len(t.cs.events) > maxTurn && t.cs.replaced == nil && t.cs.purged == 0 {
			t.writeAhead()
		}
	}
}

// submit puts the change set into the log, and lets out what need not wait for
// the disk.
func (t *turn) submit() {
	in, cs := t.in, t.cs
	cs.num = in.row.Num
	if t.changed && t.e.Err() == nil {
		r := &in.row
		r.Pending = len(in.tasks)
		if !r.Status.Ended() {
			r.Due = in.startAt
			if len(in.timers) > 0 {
				r.Due = in.timers[0].at
			}
		}
		r.Updated = t.now
		row := *r
		cs.row = &row
	}
	// A timer that woke the instance too early (the clock was set back meanwhile)
	// has to be set again, though it is the same.
	if due := in.row.Due; !due.Equal(in.armed) || t.woken && due.After(t.now) {
		in.armed = due
		t.e.timers.set(in.id, due)
	}
	if cs.row == nil && cs.purged == 0 && len(cs.used)+len(cs.acks)+len(cs.effects)+len(cs.hold) == 0 {
		return
	}
	out, next, inline := cs.out, t.next, t.inline // cs belongs to the log from here on
	t.e.commits.submit(cs)
	if t.costly {
		in.ahead = in.pos
	}
	if len(next) > 0 {
		in.pushFront(next)
		out = slices.DeleteFunc(slices.Clone(out), func(m *message) bool { return m.to == in.id && slices.Contains(next, m) })
	}
	t.e.route(out)
	t.e.calls.put(false, inline...)
}

// route brings messages to their mailboxes.
func (e *Engine) route(out []*message) {
	for _, m := range out {
		e.deliver(m.to, m)
	}
}
