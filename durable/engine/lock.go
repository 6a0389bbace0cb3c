package engine

import (
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Locks. An orchestration that wants several entities for itself sends one
// request, which goes through the entities in the order of their ids: each is
// locked when its turn comes and passes the request on, the last one tells the
// orchestration. Since all requests go in that order, none can wait in a circle.
//
// The lock of an entity is the request that it granted, in its row. It is freed
// in one of two ways, both EntityUnlockSent. One with a Target goes from the
// orchestration, which was told that it has all locks, to that entity alone. One
// without is for a request of which nobody knows how far it has come: it follows
// the request from entity to entity, frees what was locked and ends where the
// request still waits. It cannot overtake it, since messages from one sender to
// one receiver keep their order.

// section is a critical section of an orchestration: the entities of which it has
// or wants the lock.
type section struct {
	set     []string
	granted bool
}

// ofHolder reports whether an operation is one of the orchestration that has
// locked the entity. Signals do not say who sent them, and wait.
func (in *instance) ofHolder(op *history.Event) bool {
	return op.Kind == history.EntityOperationCalled && op.Sender.ID == in.held.Sender.ID
}

// lock grants a request its entity.
func (v *visit) lock(m *message) {
	in, ev := v.in, m.ev
	v.consume(m)
	in.held, v.changed = ev, true
	in.row.LockedBy, in.row.CustomStatus = ev.Sender.ID, history.AppendEvent(nil, ev)
	if next := ev.Position + 1; int(next) < len(ev.LockSet) {
		v.later(ev.LockSet[next], &history.Event{Kind: history.EntityLockRequested, Request: ev.Request, LockSet: ev.LockSet, Position: next, Sender: ev.Sender})
	} else {
		v.later(ev.Sender.ID, &history.Event{Kind: history.EntityLockGranted, Request: ev.Request})
	}
}

// unlock frees the entity, or takes back a request that waits. It means nothing
// when it is repeated or not the holder's.
func (v *visit) unlock(ev *history.Event) {
	in := v.in
	same := func(r *history.Event) bool { return r.Request == ev.Request && r.Sender.ID == ev.Sender.ID }
	if h := in.held; h != nil && same(h) {
		in.held, v.changed = nil, true
		in.row.LockedBy, in.row.CustomStatus = "", nil
		if next := int(h.Position) + 1; ev.Target == "" && next < len(h.LockSet) {
			v.later(h.LockSet[next], &history.Event{Kind: history.EntityUnlockSent, Request: ev.Request, Sender: ev.Sender})
		}
		v.goOn()
		return
	}
	waits := func(m *message) bool { return m.ev.Kind == history.EntityLockRequested && same(m.ev) }
	if i := slices.IndexFunc(in.waiting, waits); i >= 0 && ev.Target == "" {
		v.consume(in.waiting[i])
		in.waiting = slices.Delete(in.waiting, i, i+1)
	}
}

// wait keeps a message until the lock before it is freed.
func (v *visit) wait(m *message) {
	ev := m.ev
	if !ev.FireAt.IsZero() { // due, which puts it behind what waits already
		due := *ev
		due.FireAt = time.Time{}
		ev = &due
	}
	v.in.waiting = append(v.in.waiting, v.keep(m, ev))
}

// goOn lets what waited go on, up to the next lock and as much as a turn may take.
func (v *visit) goOn() {
	in := v.in
	if v.workers {
		v.grant()
		return
	}
	for in.held == nil && len(in.waiting) > 0 && v.size < maxDrain && len(v.b.Ops) < maxBatch {
		m := in.waiting[0]
		in.waiting[0] = nil
		in.waiting = in.waiting[1:]
		v.size += m.size()
		if m.ev.Kind == history.EntityLockRequested {
			v.lock(m)
		} else {
			v.take(m)
		}
	}
	if len(in.waiting) == 0 {
		in.waiting = nil
	}
}

// later sends a message behind the answers of the batch.
func (v *visit) later(to string, ev *history.Event) {
	ev.ID, ev.Time = history.FromOutside, v.now
	v.after = append(v.after, &message{to: to, ev: ev})
}

// wants notes that the orchestration asked for a lock.
func (in *instance) wants(ev *history.Event) *section {
	s := &section{set: slices.Compact(slices.Sorted(slices.Values(ev.LockSet)))}
	if in.locks == nil {
		in.locks = map[string]*section{}
	}
	in.locks[ev.Request] = s
	return s
}

// granted notes that it got it; false if it does not wait for it.
func (in *instance) granted(ev *history.Event) bool {
	s := in.locks[ev.Request]
	if s == nil || s.granted {
		return false
	}
	s.granted = true
	return true
}

// leaves notes that it gives an entity back, or the whole request if that was not
// granted; nil if it had neither.
func (in *instance) leaves(ev *history.Event) *section {
	s := in.locks[ev.Request]
	if s == nil {
		return nil
	}
	i := slices.Index(s.set, ev.Target)
	switch {
	case !s.granted:
		delete(in.locks, ev.Request)
		return s
	case i < 0:
		return nil
	}
	if s.set = slices.Delete(s.set, i, i+1); len(s.set) == 0 {
		delete(in.locks, ev.Request)
	}
	return s
}

// lockAction sends what an orchestration asks of entities' locks.
func (t *turn) lockAction(a *history.Event) {
	in := t.in
	if a.Kind == history.EntityLockRequested {
		if s := in.wants(a); len(s.set) > 0 {
			t.out(s.set[0], &history.Event{Kind: a.Kind, ID: history.FromOutside, Time: t.now, Request: a.Request,
				LockSet: slices.Clone(s.set), Sender: history.Instance{ID: in.id}})
		}
		return
	}
	if s := in.leaves(a); s != nil && s.granted {
		t.free(a.Request, a.Target)
	} else if s != nil {
		t.takeBack(a.Request, s)
	}
}

// freeLocks gives back every lock that an execution has or waits for when it
// ends, in whichever way.
func (t *turn) freeLocks() {
	in := t.in
	if len(in.locks) == 0 {
		return
	}
	requests := make([]string, 0, len(in.locks))
	for r := range in.locks {
		requests = append(requests, r)
	}
	slices.Sort(requests)
	for _, r := range requests {
		s := in.locks[r]
		if !s.granted {
			t.takeBack(r, s)
			continue
		}
		for _, id := range s.set {
			t.free(r, id)
		}
	}
	in.locks = nil
}

// free gives one entity back.
func (t *turn) free(request, entity string) {
	t.out(entity, &history.Event{Kind: history.EntityUnlockSent, ID: history.FromOutside, Time: t.now, Request: request,
		Sender: history.Instance{ID: t.in.id}, Target: entity})
}

// takeBack takes a request back, however far it has come.
func (t *turn) takeBack(request string, s *section) {
	if len(s.set) == 0 {
		return
	}
	t.out(s.set[0], &history.Event{Kind: history.EntityUnlockSent, ID: history.FromOutside, Time: t.now, Request: request,
		Sender: history.Instance{ID: t.in.id}})
}
