package engine

import (
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

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

// entityTurn runs the operations that wait for an entity as one batch. An entity
// has no history: its row is its state, and the answers and signals go with it
// in one change set.
func (e *Engine) entityTurn(in *instance, msgs []*message) {
	t := &turn{e: e, in: in, cs: &changeSet{in: in}, now: e.now()}
	def := e.entities[EntityName(in.id)]
	b := &EntityBatch{ID: in.id, Now: t.now, State: in.row.State, Payloads: &e.payloads}
	for _, m := range msgs {
		if m.key != 0 {
			t.cs.used = append(t.cs.used, m)
		}
		switch {
		case m.ev.Kind != history.EntityOperationSignaled && m.ev.Kind != history.EntityOperationCalled:
			t.cs.answer(m, nil) // nothing else means anything to an entity
		case def == nil:
			t.cs.answer(m, nil)
			t.holdBack(m)
		default:
			t.cs.answer(m, nil)
			b.Ops = append(b.Ops, m.ev)
		}
	}
	if len(b.Ops) > 0 {
		if !in.exists {
			in.exists = true
			in.row = store.Instance{Num: e.num.Add(1), ID: in.id, Name: def.Name, Created: t.now}
		}
		t.changed = true
		def.Run(b)
		in.row.State = b.State
		t.cs.pieces, t.cs.keep = append(t.cs.pieces, b.Pieces...), b.Keep
		e.payloads.pin(b.Pieces)
		for i, op := range b.Ops {
			if op.Kind == history.EntityOperationCalled {
				t.respond(op, b.Results[i])
			}
		}
		for _, ev := range b.Sent {
			t.send(ev)
		}
	}
	t.submit()
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

// EntityState is what a client sees of an entity.
type EntityState struct {
	ID       string
	Modified time.Time
	State    history.Payload // nil where it was not asked for
	LockedBy string
}
