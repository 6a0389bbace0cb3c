package engine

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// start begins an execution, or refuses.
func (t *turn) start(m *message) {
	in, ev := t.in, m.ev
	if in.exists && slices.Contains(m.reuse, in.row.Status) {
		t.giveWay()
	}
	if in.exists && ev.Parent != nil && in.row.Status.Ended() && !t.isRetry(ev) {
		t.giveWay()
	}
	switch {
	case in.exists && in.waits() && m.held:
		t.wait(m)
		return
	case in.exists && ev.Instance.Execution != "" && ev.Instance.Execution == in.row.Execution:
		// The row is made already: by continue-as-new, or when the start had to wait.
		if in.row.Events > 0 || in.row.Status.Ended() || t.terminated != nil {
			return // terminated before it could begin
		}
		if t.e.outside(in) && !t.outside {
			t.enqueue(m)
			return
		}
		if t.e.lacks(in) && !t.outside {
			t.holdBack(m)
			return
		}
	case in.exists && (ev.Parent == nil || !in.row.Status.Ended()):
		t.refuse(m)
		return
	case in.exists: // a finished child is replaced: retries reuse its id
		t.cs.replaced = t.archive()
		t.begin(m)
		in.row.Generation++
	default:
		in.row = store.Instance{Num: t.e.num.Add(1), ID: in.id, Name: ev.Name, Tags: ev.Tags, Created: t.now}
		if ev.Parent != nil {
			in.row.Parent = ev.Parent.ID
		}
		in.exists = true
		t.begin(m)
		in.row.Origin = in.row.Execution
	}
	t.cs.answer(m, nil)
	t.changed = true
	if ev.FireAt.After(t.now) && !m.held {
		in.row.Status, in.startAt = history.Pending, ev.FireAt
		t.wait(m)
		return
	}
	if t.e.outside(in) && !t.outside {
		in.row.Status = history.Pending
		t.enqueue(m)
		return
	}
	if t.e.lacks(in) && !t.outside {
		t.e.misses("orchestration", in.row.Name, in.row.Version, in)
		in.row.Status = history.Pending
		t.holdBack(m)
		return
	}
	in.row.Status = history.Running
	t.cs.wakes = true
	t.new = append(t.new, ev)
}

// isRetry reports whether the start of a child is that of the same child again: then its
// executions are those of one instance. What a store never changes tells.
func (t *turn) isRetry(ev *history.Event) bool {
	r := &t.in.row
	return r.Execution == ev.Instance.Execution || r.Name == ev.Name && r.Parent == ev.Parent.ID && maps.Equal(r.Tags, ev.Tags)
}

// refuse answers a start whose id is taken.
func (t *turn) refuse(m *message) {
	t.cs.answer(m, ErrExists)
	if p := m.ev.Parent; p != nil {
		t.reply(answer(p, t.e.key.Add(1), t.now, history.Failed, nil,
			&history.Failure{Type: "InstanceExists", Message: "the instance with the id " + t.in.id + " is running already"}))
	}
}

// begin fills the row for an execution. What a store never changes again (the
// name, the origin, who was the parent, when it was created) is not touched: a
// replaced child keeps it, and its generation tells the executions apart.
func (t *turn) begin(m *message) {
	in, ev := t.in, m.ev
	if ev.Instance.Execution == "" {
		ev.Instance = history.Instance{ID: in.id, Execution: newExecution()}
	}
	r := &in.row
	r.Version, r.Execution = ev.Version, ev.Instance.Execution
	r.Completed, r.CustomStatus = time.Time{}, nil
	r.Pending, r.Due, r.Events, r.First, r.Last = 0, time.Time{}, 0, 0, 0
	in.parent = ev.Parent
	in.reset()
}

// newExecution makes an execution id: 32 lower-case hex digits.
func newExecution() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// archive gives the record of the execution that ends here.
func (t *turn) archive() *store.Execution {
	r := &t.in.row
	return &store.Execution{Num: r.Num, Generation: r.Generation, ID: r.Execution, Events: r.Events, Started: r.Created}
}
