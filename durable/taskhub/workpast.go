package taskhub

import (
	"fmt"
	"iter"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// past is the history of an execution before a turn, as workers get it.
type past struct {
	events int64  // in the history, with those that are not for workers
	size   int    // in bytes; of one that is streamed perhaps only of its beginning
	data   []byte // the field pastEvents of an OrchestratorRequest; nil where it is too large
}

// pastWeight is what a past weighs beside its data.
const pastWeight = 256

// with gives the past with one more event. Nothing that is in p changes, but p must not get another.
func (p past) with(ev *history.Event) (past, error) {
	if !forWorkers(ev.Kind) {
		return p, nil
	}
	m, err := history.ToProto(ev)
	if err != nil {
		return p, &unsendable{err.Error()}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return p, &unsendable{err.Error()}
	}
	before := len(p.data)
	p.data = protowire.AppendTag(p.data, pastsField, protowire.BytesType)
	p.data = protowire.AppendBytes(p.data, b)
	p.size += len(p.data) - before
	return p, nil
}

// pastsField is the number of pastEvents.
const pastsField protowire.Number = 3

// pastOf gives the past of a turn. It is read and encoded once, and then grows by what each turn
// adds, unless memory is short. Of one that is streamed it matters only that it is large.
func (w *Workers) pastOf(t *engine.Turn, streaming bool) (past, error) {
	if t.PastEvents == 0 {
		return past{}, nil
	}
	w.mu.Lock()
	if before := w.submitted[t.Instance.ID]; before != nil && before.Instance == t.Instance && before.PastEvents < t.PastEvents {
		w.extendPast(before)
	}
	p, ok := w.pasts.get(t.Instance)
	w.mu.Unlock()
	if ok && (p.data != nil && p.events == t.PastEvents || streaming && p.size > streamedFrom) {
		return p, nil
	}
	p = past{events: t.PastEvents, data: []byte{}}
	for ev, err := range t.Past {
		if err != nil {
			return past{}, fmt.Errorf("read the history of %s: %w", t.Instance.ID, err)
		}
		if p, err = p.with(ev); err != nil {
			return past{}, err
		}
		if streaming && p.size > streamedFrom {
			break
		}
		if p.size > maxWorkItem {
			p.data = p.data[:0] // nobody gets it: it is only counted
		}
	}
	if p.size > maxWorkItem || streaming && p.size > streamedFrom {
		p.data = nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pasts.put(t.Instance, p, pastWeight+cap(p.data))
	return p, nil
}

// submit completes a turn. The engine may let the next one begin before this one is on disk, and
// then that takes over what this one has added to the history.
func (w *Workers) submit(work turnWork, t *engine.Turn) error {
	w.mu.Lock()
	w.submitted[t.Instance.ID] = t
	w.mu.Unlock()
	err := work.Complete(w.ctx, t)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.extendPast(t)
	}
	if w.submitted[t.Instance.ID] == t {
		delete(w.submitted, t.Instance.ID)
	}
	return err
}

// extendPast adds what a turn that the engine has taken has added to the history; w.mu is held.
func (w *Workers) extendPast(t *engine.Turn) {
	p, ok := w.pasts.get(t.Instance)
	if ok && p.events > t.PastEvents {
		return // the next turn has done it
	}
	w.pasts.drop(t.Instance)
	if !ok && t.PastEvents == 0 {
		p, ok = past{data: []byte{}}, true
	}
	if !ok || p.events != t.PastEvents {
		return
	}
	for _, ev := range t.New {
		if p, ok = p.extended(ev); !ok {
			return
		}
	}
	for _, ev := range t.Actions {
		if ev.Kind == history.ExecutionTerminated {
			continue // it is an action that has no event
		}
		if ev.Kind == history.ExecutionCompleted {
			return // there is no next turn
		}
		if p, ok = p.extended(ev); !ok {
			return
		}
	}
	w.pasts.put(t.Instance, p, pastWeight+cap(p.data))
}

// extended gives the past with one more event of a turn; false where it has to be read. Such an
// event has been a message: what is new went to the worker as one, and its actions came as some.
func (p past) extended(ev *history.Event) (past, bool) {
	if ev.Time.IsZero() {
		return p, false // what is in the history has a time
	}
	p.events++
	if p.data == nil || !forWorkers(ev.Kind) {
		return p, true
	}
	data, err := history.AppendProto(protowire.AppendTag(p.data, pastsField, protowire.BytesType), ev)
	if err != nil {
		return p, false
	}
	p.size += len(data) - len(p.data)
	p.data = data
	return p, true
}

func (w *Workers) forgetPast(i history.Instance) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pasts.drop(i)
}

// workerPast gives the history that a worker's item is about which has not been answered, and how many
// events of it; nil without such an item. It has what is not on disk yet: the turn may have begun
// before the one before it was.
func (w *Workers) workerPast(i history.Instance) (iter.Seq2[*history.Event, error], int64) {
	if w == nil {
		return nil, math.MaxInt64
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	f := w.byID[flightID{kind: worklist.Orchestration, instance: i.ID}]
	if f == nil || i.Execution != "" && f.turn.Instance.Execution != i.Execution {
		return nil, math.MaxInt64
	}
	return f.turn.Past, f.turn.PastEvents
}
