package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// maxBatch bounds the operations that one turn of an entity takes from its mailbox,
// and those that it takes from behind a lock, so that one that is called ten
// thousand times at once lets others have their turns in between.
const maxBatch = 256

// EntityName gives the name in an entity's id @name@key; "" if id is not one.
func EntityName(id string) string {
	if !isEntity(id) {
		return ""
	}
	name, _, ok := strings.Cut(id[1:], "@")
	if !ok {
		return ""
	}
	return name
}

// EntityID gives the form of an entity's id @name@key that everything is kept
// under, with its name in lower case, or says why it cannot be one (ErrInvalid).
// The key is kept as it is.
func EntityID(id string) (string, error) {
	if err := checkID(id); err != nil {
		return "", err
	}
	name := EntityName(id)
	if name == "" {
		return "", fmt.Errorf("%w: %q is not an entity id, which looks like @name@key", ErrInvalid, id)
	}
	if lower := strings.ToLower(name); lower != name {
		id = "@" + lower + id[1+len(name):]
	}
	return id, nil
}

// visit is a turn of an entity in the making. An entity has no history: its row
// is its state, and the answers and signals go with it in one change set.
//
// What cannot run yet is kept: signals that are not due, and what stands behind
// a lock. A kept message is one that the entity's own turn has put into its inbox
// again, in the order in which it came. So everything kept is on disk when the
// entity is evicted, and a reload can tell it from messages of this engine that
// are still on their way to the mailbox.
type visit struct {
	turn
	b     EntityBatch
	size  int        // bytes of messages taken from those that waited
	after []*message // what the locks caused, to be sent behind the answers
	// workers run the operations (outsidebatch.go).
	workers bool
}

// entityTurn lets the messages that came for an entity take effect in order, and
// runs those that are operations as one batch.
func (e *Engine) entityTurn(in *instance, msgs []*message, woken bool) {
	v := &visit{turn: turn{e: e, in: in, cs: &changeSet{in: in}, now: e.now(), woken: woken}}
	if def := e.entities[EntityName(in.id)]; def != nil {
		v.arrivals(msgs)
		v.operate(def)
		v.settle(def.Name)
	} else if e.opts.Workers != nil {
		v.queueUp(msgs)
		v.settle(EntityName(in.id))
	} else {
		v.leave(msgs)
	}
	v.submit()
	if v.cs.gone {
		in.gone()
	}
}

// gone forgets the row of an entity of which nothing is left.
func (in *instance) gone() { in.exists, in.row = false, store.Instance{} }

// leave keeps messages for a program that has the entity's definition.
func (v *visit) leave(msgs []*message) {
	v.e.misses("entity", EntityName(v.in.id), "", v.in)
	for _, m := range msgs {
		if m.ask != nil {
			v.cs.answer(m, ErrNotEnded)
			continue
		}
		v.consume(m)
		switch m.ev.Kind {
		case history.EntityOperationSignaled, history.EntityOperationCalled, history.EntityLockRequested, history.EntityUnlockSent:
			v.holdBack(m)
		}
	}
}

// arrivals takes the messages that came, behind those that wait from before and
// may go on now.
func (v *visit) arrivals(msgs []*message) {
	in := v.in
	v.goOn()
	msgs = v.withDue(msgs)
	for i, m := range msgs {
		if in.held == nil && len(in.waiting) > 0 { // more went on than one turn may take
			in.pushFront(msgs[i:])
			break
		}
		v.arrive(m)
	}
	if in.held == nil && len(in.waiting) > 0 {
		in.mu.Lock()
		in.wake = true
		in.mu.Unlock()
	}
}

// arrive decides what becomes of one message.
func (v *visit) arrive(m *message) {
	in, ev := v.in, m.ev
	switch ev.Kind {
	case history.EntityOperationSignaled, history.EntityOperationCalled:
		switch {
		case ev.Kind == history.EntityOperationSignaled && ev.FireAt.After(v.now):
			v.schedule(m)
		case in.held != nil && !in.ofHolder(ev):
			v.wait(m)
		default:
			v.take(m)
		}
	case history.EntityLockRequested:
		switch {
		case int(ev.Position) >= len(ev.LockSet) || ev.LockSet[ev.Position] != in.id:
			v.consume(m)
		case in.held != nil:
			v.wait(m)
		default:
			v.lock(m)
		}
	case history.EntityUnlockSent:
		v.consume(m)
		v.unlock(ev)
	default:
		v.other(m)
	}
}

// other is what becomes of a message that only a purge gives a meaning.
func (v *visit) other(m *message) {
	switch {
	case m.ask != nil && m.ask.what == askPurgeEntity:
		v.cs.answer(m, v.purge())
	case m.ask != nil && m.ask.what == askDropEntity:
		v.cs.answer(m, v.drop())
	default:
		v.consume(m)
	}
}

// consume is the end of a message.
func (v *visit) consume(m *message) {
	if m.key != 0 {
		v.cs.used = append(v.cs.used, m)
	}
	v.cs.answer(m, nil)
}

// take makes a message's operation one of the batch.
func (v *visit) take(m *message) {
	v.consume(m)
	v.b.Ops = append(v.b.Ops, m.ev)
	v.changed = true
}

// operate runs the batch.
func (v *visit) operate(def *Entity) {
	in, b := v.in, &v.b
	if len(b.Ops) == 0 {
		return
	}
	b.ID, b.Now, b.State, b.Payloads = in.id, v.now, in.row.State, &v.e.payloads
	def.Run(b)
	in.row.State = b.State
	for i, op := range b.Ops {
		if op.Kind == history.EntityOperationCalled {
			v.respond(op, b.Results[i])
		}
	}
	for _, ev := range b.Sent {
		v.send(ev)
	}
}

// settle sends what the locks caused, and sees to the row.
func (v *visit) settle(name string) {
	in := v.in
	for _, m := range v.after {
		m.key = v.e.key.Add(1)
		v.reply(m)
	}
	in.timers = in.timers[:0]
	if len(in.scheduled) > 0 {
		in.timers = append(in.timers, timer{at: in.scheduled[0].ev.FireAt})
	}
	if in.row.State == nil && in.held == nil && len(in.waiting)+len(in.scheduled) == 0 {
		// Nothing is left of it: it goes, with its payloads. A message on its way to it
		// stays in the inbox, and makes it anew.
		v.cs.gone, v.changed = in.exists, in.exists
		return
	}
	v.cs.pieces, v.cs.keep, v.cs.release = v.b.Pieces, v.b.Keep, v.b.Release
	v.e.payloads.pin(v.b.Pieces)
	if v.changed && !in.exists {
		in.exists = true
		in.row.Num, in.row.ID, in.row.Name, in.row.Created = v.e.num.Add(1), in.id, name, v.now
	}
}

// respond answers a call.
func (t *turn) respond(op *history.Event, o Outcome) {
	ev := &history.Event{Kind: history.EntityOperationCompleted, ID: history.FromOutside, Time: t.now, Request: op.Request, Data: o.Result}
	if o.Failure != nil {
		ev.Kind, ev.Data, ev.Failure = history.EntityOperationFailed, nil, o.Failure
	}
	t.reply(&message{key: t.e.key.Add(1), to: op.Sender.ID, exec: op.Sender.Execution, ev: ev})
}

// send lets out what an operation caused: a signal, or the start of an
// orchestration.
func (t *turn) send(ev *history.Event) {
	ev.ID, ev.Time = history.FromOutside, t.now
	if ev.Kind == history.ExecutionStarted {
		if ev.Instance.ID == "" {
			ev.Instance.ID = newExecution()
		}
		id := ev.Instance.ID
		ev.Instance = history.Instance{ID: id, Execution: newExecution()}
		t.out(id, ev)
		return
	}
	if ev.Request == "" {
		ev.Request = NewRequest()
	}
	t.out(ev.Target, ev)
}

// kept is the exec of a message that an entity has put into its inbox again. The
// messages that others send to an entity have none.
const kept = "kept"

// keep puts a message into the inbox again, as one of the entity's own.
func (v *visit) keep(m *message, ev *history.Event) *message {
	v.consume(m)
	k := &message{key: v.e.key.Add(1), to: m.to, exec: kept, ev: ev}
	v.cs.hold = append(v.cs.hold, k)
	return k
}

// schedule keeps a signal until it is due.
func (v *visit) schedule(m *message) {
	v.in.addScheduled(v.keep(m, m.ev))
	v.changed = true // when the first one is due
}

// addScheduled puts a signal among those that are not due, behind the ones that
// are due at the same time.
func (in *instance) addScheduled(m *message) {
	at, _ := slices.BinarySearchFunc(in.scheduled, m.ev.FireAt, func(x *message, due time.Time) int {
		if x.ev.FireAt.After(due) {
			return 1
		}
		return -1
	})
	in.scheduled = slices.Insert(in.scheduled, at, m)
}

// withDue merges the scheduled signals that are due into the messages: what came
// before a signal was due stands before it.
func (v *visit) withDue(msgs []*message) []*message {
	in := v.in
	n := 0
	for n < len(in.scheduled) && !in.scheduled[n].ev.FireAt.After(v.now) {
		n++
	}
	if n == 0 {
		return msgs
	}
	due := in.scheduled[:n]
	in.scheduled = slices.Clone(in.scheduled[n:])
	v.changed = true
	out := make([]*message, 0, len(msgs)+n)
	for _, m := range msgs {
		for len(due) > 0 && !due[0].ev.FireAt.After(m.ev.Time) {
			out = append(out, due[0])
			due = due[1:]
		}
		out = append(out, m)
	}
	return append(out, due...)
}

// restore takes up what the entity kept, as its row and its inbox have it.
func (in *instance) restore(m *message) {
	if m.ev.FireAt.IsZero() {
		in.waiting = append(in.waiting, m)
	} else {
		in.addScheduled(m)
	}
}
