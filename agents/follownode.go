package agents

import (
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Bounds of what a following holds of one instance.
const (
	mostNext  = 256       // events that were read and not told
	mostHeard = 256 << 10 // bytes of what was published about calls that are not known yet
)

// node is one instance that is followed.
type node struct {
	id   string
	root bool

	execution string // that is being told; "" before the first
	events    int    // of it, that were told
	resumed   *cursorPlace
	until     time.Time        // its events up to then were told; zero: none
	over      bool             // all of the execution was told, up to its end
	ended     bool             // and so did the instance
	dirty     bool             // there may be more in the store
	next      []*history.Event // read and not told
	teller    teller
	texts     map[int32]*shownText // of calls that are open
	last      int32                // number of the last action that was told
	left      []execKey            // executions that were told before
	heard     []*liveEvent         // of calls that are not known yet
	heardSize int
}

// place is what a cursor says of the instance.
func (n *node) place() cursorPlace {
	p := cursorPlace{execution: keyOf(n.execution), events: n.events}
	for _, t := range n.texts {
		p.texts = append(p.texts, *t)
	}
	return p
}

// take lets the teller see an event.
func (n *node) take(ev *history.Event) (out Event, child string, was *history.Event) {
	if ev.Kind == history.ExecutionCompleted {
		n.over, n.ended = true, ev.Status != history.ContinuedAsNew
	}
	if ev.Kind == history.ExecutionStarted {
		n.teller.name = ev.Name
	}
	n.last = max(n.last, ev.ID)
	out, child, was = n.teller.event(ev)
	if ev.Kind == history.ExecutionStarted && len(n.left) > 0 {
		out.Kind = "" // it goes on
	}
	return out, child, was
}

// enter begins to tell an execution, from the event with the number on.
func (n *node) enter(execution string, events int) {
	if n.execution != "" {
		n.left = append(n.left, keyOf(n.execution))
	}
	n.execution, n.events, n.last = execution, events, history.FromOutside
	n.over, n.ended = false, false
	n.teller = teller{instance: n.id, root: n.root, open: map[int32]*history.Event{}}
	n.texts = map[int32]*shownText{}
}

// refill reads what comes next, if nothing that was read is left and there may be
// more.
func (f *following) refill(n *node) error {
	for len(n.next) == 0 && n.dirty {
		if n.execution == "" || n.over {
			if found, err := f.nextExecution(n); err != nil || !found {
				n.dirty = false
				return err
			}
		}
		more := false
		for ev, err := range f.client.HistoryFrom(f.ctx, n.id, n.execution, n.events) {
			if durable.IsNotFound(err) && !n.root {
				break // purged
			}
			if err != nil {
				return err
			}
			if more = len(n.next) == mostNext; more {
				break
			}
			n.next = append(n.next, ev)
		}
		// What came meanwhile is told by a change, but for an execution that goes on in another.
		n.dirty = more || n.over || len(n.next) > 0 && n.next[len(n.next)-1].Kind == history.ExecutionCompleted
	}
	return nil
}

// nextExecution goes on to the execution after the one that was told, or to that of
// the cursor. False: there is none yet.
func (f *following) nextExecution(n *node) (bool, error) {
	all, err := f.client.Executions(f.ctx, n.id)
	if durable.IsNotFound(err) && !n.root {
		return false, nil // it has not begun, or was purged
	}
	if err != nil {
		return false, err
	}
	at := slices.Index(all, n.execution) + 1
	if n.execution == "" {
		for i := len(all) - 1; i >= 0; i-- {
			if p := f.takeUp(keyOf(all[i])); p != nil {
				for _, old := range all[:i] {
					n.left = append(n.left, keyOf(old))
				}
				n.resumed = p
				return true, f.goOn(n, all[i])
			}
		}
	}
	if n.execution == "" && !n.until.IsZero() {
		return true, f.skipUntil(n, all)
	}
	if at == len(all) {
		return false, nil
	}
	before := n.execution
	n.enter(all[at], 0)
	if before == "" {
		return true, nil
	}
	return true, f.skipCopies(n, before)
}

// takeUp finds what the cursor says of an execution.
func (f *following) takeUp(k execKey) *cursorPlace {
	for i, p := range f.resume {
		if p.execution == k {
			f.resume = slices.Delete(f.resume, i, i+1)
			return &p
		}
	}
	return nil
}

// goOn tells an execution from the place of the cursor on. What is before it is only
// read, to know what is open.
func (f *following) goOn(n *node, execution string) error {
	n.enter(execution, 0)
	if err := f.pass(n, n.resumed.events, time.Time{}); err != nil {
		return err
	}
	for _, t := range n.resumed.texts {
		if was := n.teller.open[t.task]; was != nil {
			n.texts[t.task] = &t
		}
	}
	return nil
}

// pass goes over the first events of an execution without telling of them.
// What it started and was not answered has been told up to a time.
func (f *following) pass(n *node, events int, until time.Time) error {
	for ev, err := range f.client.History(f.ctx, n.id, n.execution) {
		if err != nil {
			return err
		}
		if n.events == events {
			return nil
		}
		n.events++
		_, child, was := n.take(ev)
		if child != "" {
			c, err := f.add(child)
			if err != nil {
				return err
			}
			c.until = until
		}
		if was != nil && was.Kind == history.ChildCreated {
			if c := f.nodes[was.Target]; c != nil {
				if err := f.remove(c); err != nil {
					return err
				}
			}
		}
	}
	if n.events < events {
		return fmt.Errorf("%w: it is ahead of the history of %s", ErrCursor, n.id)
	}
	return nil
}

// eventKey is what an event and its copy in the history of a rewound execution have
// in common.
type eventKey struct {
	kind        history.Kind
	id, answers int32
	request     string
	at          time.Time
}

func eventKeyOf(ev *history.Event) eventKey {
	if ev.Kind == history.ExecutionStarted {
		return eventKey{kind: ev.Kind}
	}
	return eventKey{ev.Kind, ev.ID, ev.Answers, ev.Request, ev.Time}
}

// skipCopies passes over what an execution that a rewind began has of the one before:
// it was told.
func (f *following) skipCopies(n *node, before string) error {
	var old, all []eventKey
	var end time.Time
	for ev, err := range f.client.History(f.ctx, n.id, n.execution) {
		if err != nil {
			return err
		}
		if ev.Kind == history.ExecutionStarted && ev.Lineage == "" {
			return nil // it continued as new
		}
		all = append(all, eventKeyOf(ev))
	}
	for ev, err := range f.client.History(f.ctx, n.id, before) {
		if err != nil {
			return err
		}
		if old = append(old, eventKeyOf(ev)); ev.Kind == history.ExecutionCompleted {
			end = ev.Time
		}
	}
	copies := 0
	for _, k := range all {
		i := slices.Index(old, k)
		if i < 0 {
			break
		}
		old = old[i+1:]
		copies++
	}
	return f.pass(n, copies, end)
}

// skipUntil begins with what an instance did after it was told of for the last time:
// it had failed, and was rewound, or will be, together with the one that started it.
func (f *following) skipUntil(n *node, all []string) error {
	for i, execution := range all {
		told, more := 0, false
		for ev, err := range f.client.History(f.ctx, n.id, execution) {
			if err != nil {
				return err
			}
			if more = ev.Time.After(n.until); more {
				break
			}
			told++
		}
		n.enter(execution, 0)
		if more || i == len(all)-1 {
			return f.pass(n, told, n.until)
		}
	}
	return nil
}
