package engine

import (
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Operations on an entity whose definition workers have wait where those behind a lock
// do (instance.waiting), in the order in which they came, and so do lock requests
// behind them: a lock is granted when every operation before it has run. So what waits
// is on disk, whoever runs it and when, and no order depends on when that is.

// outBatch is the operations that a worker has, or had and gave back.
type outBatch struct {
	seq   uint64
	given bool
	msgs  []*message // they stay in instance.waiting until it is complete
}

// queueUp takes the messages that came for an entity of the workers.
func (v *visit) queueUp(msgs []*message) {
	in := v.in
	v.workers = true
	for _, m := range v.withDue(msgs) {
		ev := m.ev
		switch ev.Kind {
		case history.EntityOperationSignaled, history.EntityOperationCalled:
			if ev.Kind == history.EntityOperationSignaled && ev.FireAt.After(v.now) {
				v.schedule(m)
			} else {
				v.wait(m)
			}
		case history.EntityLockRequested:
			switch {
			case int(ev.Position) >= len(ev.LockSet) || ev.LockSet[ev.Position] != in.id:
				v.consume(m)
			default:
				v.wait(m)
			}
		case history.EntityUnlockSent:
			v.consume(m)
			v.unlock(ev)
		default:
			v.other(m)
		}
	}
	v.grant()
	v.changed = v.changed || !in.exists && len(in.waiting) > 0
}

// grant lets the lock request go on that is first in line, if nothing runs.
func (v *visit) grant() {
	in := v.in
	if !in.grants() {
		return
	}
	in.batch = nil // given back, and in vain: what it held waits behind the lock
	m := in.waiting[0]
	in.waiting = slices.Delete(in.waiting, 0, 1)
	v.lock(m)
}

// grants reports whether a lock request is first in line and nothing runs.
func (in *instance) grants() bool {
	return in.held == nil && (in.batch == nil || !in.batch.given) && len(in.waiting) > 0 && in.waiting[0].ev.Kind == history.EntityLockRequested
}

// ready gives the operations that may run now, in their order: those before the first
// lock request, or, while the entity is locked, those of the holder.
func (in *instance) ready() (msgs []*message) {
	size := 0
	for _, m := range in.waiting {
		if len(msgs) == maxBatch || size > maxDrain || in.held == nil && m.ev.Kind == history.EntityLockRequested {
			break
		}
		if in.held == nil || in.ofHolder(m.ev) {
			msgs = append(msgs, m)
			size += m.size()
		}
	}
	return msgs
}

// wantsBatch reports whether a worker could run operations now.
func (in *instance) wantsBatch(e *Engine) bool {
	if len(in.waiting) == 0 || in.batch != nil && in.batch.given || in.isAside() != nil || e.entities[EntityName(in.id)] != nil {
		return false
	}
	if in.held == nil {
		return in.waiting[0].ev.Kind != history.EntityLockRequested
	}
	return slices.ContainsFunc(in.waiting, func(m *message) bool { return in.ofHolder(m.ev) })
}

// beginBatch gives a worker the operations that may run now.
func (e *Engine) beginBatch(in *instance) (*EntityBatch, error) {
	in.offered = false
	if !in.wantsBatch(e) {
		return nil, ErrStale
	}
	in.batch = &outBatch{seq: e.turnSeq.Add(1), given: true, msgs: in.ready()}
	b := &EntityBatch{ID: in.id, Now: maxTime(e.now(), in.row.Updated), State: in.row.State, Payloads: &e.payloads, seq: in.batch.seq}
	for _, m := range in.batch.msgs {
		b.Ops = append(b.Ops, m.ev)
	}
	return b, nil
}

// completeBatch takes what a worker made of a batch. The message is answered after the
// commit, unless there is an error.
func (e *Engine) completeBatch(in *instance, m *message) error {
	o, b := in.batch, m.ask.batch
	if o == nil || o.seq != b.seq {
		return ErrStale
	}
	n := len(b.Results)
	if n == 0 || n > len(o.msgs) {
		return invalid("there are %d results of %d operations", n, len(o.msgs))
	}
	in.batch = nil
	v := &visit{turn: turn{e: e, in: in, cs: &changeSet{in: in}, now: e.now(), changed: true}, workers: true}
	in.row.State = b.State
	for i, done := range o.msgs[:n] {
		v.consume(done)
		if done.ev.Kind == history.EntityOperationCalled {
			v.respond(done.ev, b.Results[i])
		}
	}
	in.forgetWaiting(o.msgs[:n])
	for _, ev := range b.Sent {
		if err := v.sendOutside(ev); err != nil {
			e.log.Warn("what an operation sent is dropped", "entity", in.id, "err", err)
		}
	}
	v.grant()
	v.b.Pieces, v.b.Keep, v.b.Release = b.Pieces, b.Keep, b.Release
	v.settle(EntityName(in.id))
	v.cs.answer(m, nil)
	v.submit()
	if v.cs.gone {
		in.gone()
	}
	return nil
}

// sendOutside lets out what an operation of a worker caused, if its id can be one.
func (v *visit) sendOutside(ev *history.Event) (err error) {
	if ev.Kind == history.ExecutionStarted {
		if ev.Instance.ID != "" {
			err = CheckInstanceID(ev.Instance.ID)
		}
	} else {
		ev.Target, err = EntityID(ev.Target)
	}
	if err == nil {
		v.send(ev)
	}
	return err
}

// forgetWaiting takes messages out of those that wait; they are in the same order.
func (in *instance) forgetWaiting(msgs []*message) {
	rest := in.waiting[:0]
	for _, m := range in.waiting {
		if len(msgs) > 0 && m == msgs[0] {
			msgs = msgs[1:]
			continue
		}
		rest = append(rest, m)
	}
	clear(in.waiting[len(rest):])
	if in.waiting = rest; len(rest) == 0 {
		in.waiting = nil
	}
}
