package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// mayRunAhead says whether a pure activity of this turn may start before the
// turn is on disk.
func (t *turn) mayRunAhead(a *Activity) bool {
	if !t.e.commits.mayRunAhead() {
		return false
	}
	if a.Costly {
		if t.costly || t.in.ahead > t.e.commits.committed.Load() {
			return false
		}
		t.costly = true
	}
	return true
}

// act gives one action its event and its effect.
func (t *turn) act(a *history.Event, req *Turn) {
	in := t.in
	a.Time = t.now
	in.lastID = max(in.lastID, a.ID)
	switch a.Kind {
	case history.TaskScheduled:
		c := t.e.newCall(in, a)
		t.e.recallRewound(in, c)
		note(&in.tasks, a.ID, c)
		if c.terms != nil {
			t.e.prepare(c)
			t.cs.timed = append(t.cs.timed, c)
		}
		switch {
		case c.act == nil && c.work == nil:
			t.e.misses("activity", a.Name, "", in)
		case c.act == nil:
			t.cs.calls = append(t.cs.calls, c)
		case c.act.Effect == Pure && t.mayRunAhead(c.act):
			t.inline = append(t.inline, c)
		default:
			t.cs.calls = append(t.cs.calls, c)
		}
	case history.TimerCreated:
		at, _ := slices.BinarySearchFunc(in.timers, a.FireAt, func(x timer, due time.Time) int {
			if x.at.After(due) {
				return 1
			}
			return -1 // after those due at the same time
		})
		in.timers = slices.Insert(in.timers, at, timer{id: a.ID, at: a.FireAt})
	case history.ChildCreated:
		fresh := a.Target == "" || a.Target == childID(in.row.Execution, a.ID)
		if a.Target == "" {
			a.Target = childID(in.row.Execution, a.ID)
		}
		parent := &history.Parent{Instance: history.Instance{ID: in.id, Execution: in.row.Execution},
			Name: in.row.Name, Version: in.row.Version, Scheduled: a.ID}
		note(&in.children, a.ID, a.Target)
		if err := CheckInstanceID(a.Target); err != nil {
			t.reply(answer(parent, t.e.key.Add(1), t.now, history.Failed, nil,
				&history.Failure{Type: "InvalidArgument", Message: err.Error(), NonRetriable: true}))
			break
		}
		t.out(a.Target, &history.Event{
			Kind: history.ExecutionStarted, ID: history.FromOutside, Time: t.now,
			Name: a.Name, Version: a.Version, Data: a.Data, Tags: a.Tags, Trace: a.Trace,
			Instance: history.Instance{ID: a.Target, Execution: newExecution()}, Parent: parent,
		}).fresh = fresh
	case history.EventSent:
		t.out(a.Target, &history.Event{Kind: history.EventRaised, ID: history.FromOutside, Time: t.now, Name: a.Name, Data: a.Data})
	case history.EntityOperationSignaled, history.EntityOperationCalled:
		msg := *a
		msg.ID = history.FromOutside
		if a.Kind == history.EntityOperationCalled {
			note(&in.requests, a.Request, true)
			msg.Sender = history.Instance{ID: in.id, Execution: in.row.Execution}
		}
		t.out(a.Target, &msg)
	case history.ExecutionTerminated: // a worker's word for what a client can ask; it leaves no event
		t.out(a.Target, &history.Event{Kind: a.Kind, ID: history.FromOutside, Time: t.now, Data: a.Data, Recurse: a.Recurse})
		return
	case history.GenericEvent:
		if id, ok := a.Cancels(); ok {
			t.giveUp(id)
		}
	case history.EntityLockRequested, history.EntityUnlockSent:
		t.lockAction(a)
	case history.ExecutionCompleted:
		t.record(a)
		t.finish(a, req)
		return
	}
	t.record(a)
}

// giveUp takes back an activity or a timer that the orchestration no longer wants.
func (t *turn) giveUp(id int32) {
	in := t.in
	in.timers = slices.DeleteFunc(in.timers, func(x timer) bool { return x.id == id })
	c := in.tasks[id]
	if c == nil {
		return
	}
	t.cs.abort = append(t.cs.abort, c)
	if c.mustAnswer() {
		return
	}
	delete(in.tasks, id)
	c.mute()
	t.cs.progress = t.e.progress.forget(t.cs.progress, c.progressKey())
}

// childID is the id of a child that was given none: fixed length at any depth.
func childID(execution string, action int32) string {
	return fmt.Sprintf("%s:%04x", execution, action)
}

// out sends a message to another instance.
func (t *turn) out(to string, ev *history.Event) *message {
	m := &message{key: t.e.key.Add(1), to: to, ev: ev}
	t.reply(m)
	return m
}

func (t *turn) reply(m *message) { t.cs.out = append(t.cs.out, m) }

// newCall makes the call of an activity that was scheduled.
func (e *Engine) newCall(in *instance, ev *history.Event) *call {
	r := &in.row
	c := &call{in: in, act: e.activities[ev.Name], exec: r.Execution, num: r.Num, ev: ev, hub: e.opts.Hub, origin: r.Origin,
		generation: r.Generation - in.rewinds}
	c.work = e.offered(in, c)
	if ev.Terms != nil || c.act != nil && c.act.limited() {
		c.terms = e.termsOf(c)
	}
	return c
}

// finish ends the execution with its ExecutionCompleted event, which act has
// recorded (or, when the engine makes it, finish does).
func (t *turn) finish(done *history.Event, req *Turn) {
	in, r := t.in, &t.in.row
	if req == nil {
		t.record(done)
	}
	t.letGo()
	if done.Status == history.ContinuedAsNew {
		t.continueAsNew(done, req)
		return
	}
	r.Status, r.Completed, r.Due = done.Status, t.now, time.Time{}
	if o := t.e.definition(in); o != nil && o.Retain > 0 {
		r.Due = t.now.Add(o.Retain)
	}
	t.cs.wakes = true
	if in.parent != nil {
		t.reply(answer(in.parent, t.e.key.Add(1), t.now, done.Status, done.Data, done.Failure))
	}
	if t.terminated != nil && t.terminated.Recurse {
		t.terminateChildren()
	}
	in.tasks, in.timers, in.requests, in.children = nil, nil, nil, nil
}

// letGo stops what the execution has under way.
func (t *turn) letGo() {
	in := t.in
	for _, c := range in.tasks {
		t.cs.abort = append(t.cs.abort, c)
	}
	t.cs.progress = t.e.progress.forgetAll(t.cs.progress, in.row.Num, in.row.Execution, in.tasks)
	t.inline, t.cs.calls, t.cs.timed = nil, nil, nil // what the last turn started never runs
	t.freeLocks()
	if in.exec != nil {
		in.exec.Close()
		in.exec = nil
	}
}

// terminateChildren passes a recursive termination on.
func (t *turn) terminateChildren() {
	ids := sortedValues(t.in.children)
	if t.in.row.Generation > 0 {
		ids = append(ids, t.e.earlierChildren(t.in.id)...)
		slices.Sort(ids)
		ids = slices.Compact(ids)
	}
	for _, id := range ids {
		t.out(id, &history.Event{Kind: history.ExecutionTerminated, ID: history.FromOutside, Time: t.now, Data: t.terminated.Data, Recurse: true})
	}
}

func sortedValues(m map[int32]string) []string {
	out := make([]string, 0, len(m))
	for _, v := range m {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

// continueAsNew makes the row of the next execution and the messages that it
// begins with. They are part of the log, so the turn that ends this execution
// and the one that begins the next may be in different commits.
func (t *turn) continueAsNew(done *history.Event, req *Turn) {
	in, r := t.in, &t.in.row
	t.cs.ended = t.archive()
	version := r.Version
	if req.NewVersion != "" {
		version = req.NewVersion
	}
	r.Execution, r.Version = newExecution(), version
	r.Generation++
	r.Events, r.First, r.Last, r.Pending, r.Due = 0, 0, 0, 0, time.Time{}
	r.Status = history.Running
	in.reset()
	begin := []*history.Event{{
		Kind: history.ExecutionStarted, ID: history.FromOutside, Time: t.now, Name: r.Name, Version: version,
		Data: done.Data, Parent: in.parent, Tags: r.Tags, Instance: history.Instance{ID: in.id, Execution: r.Execution},
	}}
	for _, ev := range append(begin, req.Carryover...) {
		m := &message{key: t.e.key.Add(1), to: in.id, exec: r.Execution, ev: ev}
		t.cs.out = append(t.cs.out, m)
		t.next = append(t.next, m)
	}
}
