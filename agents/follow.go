package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/memory"
)

// Follow gives the events of a run and of everything that it started, from the
// cursor on and as they come, until that of the run's end. The run may have begun
// long ago, in another process, and may be any orchestration.
//
// Events of what is recorded come from the histories: whoever goes on with the
// Cursor of the last event that it has seen gets each of the others once, whichever
// program holds the store by then. Within one instance they come in the order of its
// history; what an instance started ends before that is told of by the one that
// started it. Deltas come beside them, from the memory of the program that holds the
// store, and go on where the cursor is; see [Event] for how to show them. Whoever
// reads slowly holds up nobody, and gets the text that it missed with its EventAnswer.
// A run that was rewound has an EventEnd for each time that it has ended. A cursor has
// some 15 bytes for each instance that is under way.
//
// The sequence ends with an error if the run does not exist (durable.IsNotFound), the
// cursor does not fit (ErrCursor), ctx ends, or the program that holds the store goes:
// then connect again and go on with the cursor. It may be ranged over once.
func Follow(ctx context.Context, c *durable.Client, run string, from Cursor) iter.Seq2[Event, error] {
	return sequence(ctx, c, run, from, true)
}

// Past is [Follow] of what is recorded by now: it waits for nothing, and ends with
// the last event that there is.
func Past(ctx context.Context, c *durable.Client, run string, from Cursor) iter.Seq2[Event, error] {
	return sequence(ctx, c, run, from, false)
}

func sequence(ctx context.Context, c *durable.Client, run string, from Cursor, live bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := &following{ctx: ctx, client: c, yield: yield, nodes: map[string]*node{}}
		err := f.begin(run, from)
		if err == nil && live {
			err = f.live()
		} else if err == nil {
			err = f.catchUp()
		}
		if err != nil && !errors.Is(err, errEnough) {
			yield(Event{}, fmt.Errorf("follow %s: %w", run, err))
		}
	}
}

// mostWatched bounds the instances of a run that are watched at a time. What others do
// is told when they have ended.
const mostWatched = 5000

// errEnough ends a following: the run has ended, or the caller has left the loop.
var errEnough = errors.New("enough")

// following is a Follow under way.
type following struct {
	ctx    context.Context
	client *durable.Client
	watch  durable.Watch // nil: of the past only
	yield  func(Event, error) bool
	root   *node
	order  []*node // that are followed, those found first first
	nodes  map[string]*node
	resume []cursorPlace // of the cursor, those that nobody has taken up
}

// begin finds the run, and its place in the cursor.
func (f *following) begin(run string, from Cursor) (err error) {
	if f.resume, err = from.places(); err != nil {
		return err
	}
	if _, err := f.client.Get(f.ctx, run); err != nil {
		return err
	}
	rooted := len(f.resume) > 0
	if f.root, err = f.add(run); err != nil {
		return err
	}
	f.root.root = true
	if err := f.refill(f.root); err != nil {
		return err
	}
	if rooted && f.root.resumed == nil {
		return fmt.Errorf("%w: it is of another run, or of one that was purged", ErrCursor)
	}
	return nil
}

// add follows one instance more.
func (f *following) add(id string) (*node, error) {
	if n := f.nodes[id]; n != nil {
		return n, nil
	}
	n := &node{id: id, dirty: true}
	f.nodes[id] = n
	f.order = append(f.order, n)
	if f.watch == nil || len(f.order) > mostWatched {
		return n, nil
	}
	return n, f.watch.Add(id)
}

// remove ends the following of an instance.
func (f *following) remove(n *node) error {
	delete(f.nodes, n.id)
	f.order = slices.DeleteFunc(f.order, func(x *node) bool { return x == n })
	if f.watch == nil {
		return nil
	}
	return f.watch.Remove(n.id)
}

// live tells what there is, and then what comes.
func (f *following) live() (err error) {
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	var ids []string
	for _, n := range f.order[:min(len(f.order), mostWatched)] {
		ids = append(ids, n.id)
	}
	if f.watch, err = f.client.Watch(ctx, ids...); err != nil {
		return err
	}
	defer func() { _ = f.watch.Close() }()
	for {
		if err := f.catchUp(); err != nil || f.root.ended { // its end was told before the cursor
			return err
		}
		c, err := f.watch.Next(f.ctx)
		if err != nil {
			return err
		}
		n := f.nodes[c.ID]
		if n == nil {
			continue // it has ended
		}
		// What the messages are about may be recorded by now.
		if n.dirty = n.dirty || c.Changed; n.dirty {
			if err := f.catchUp(); err != nil {
				return err
			}
		}
		for _, m := range c.Messages {
			var ev liveEvent
			if json.Unmarshal(m, &ev) != nil || len(ev.Try) != len(tryID{}) {
				continue // of somebody else, or of another version
			}
			if err := f.hear(n, &ev); err != nil {
				return err
			}
		}
	}
}

// catchUp tells what is recorded, in the order of time where it is of several
// instances.
func (f *following) catchUp() error {
	for {
		var first *node
		for _, n := range f.order {
			if err := f.refill(n); err != nil {
				return err
			}
			if len(n.next) > 0 && (first == nil || n.next[0].Time.Before(first.next[0].Time)) {
				first = n
			}
		}
		if first == nil {
			return nil
		}
		if err := f.step(first); err != nil {
			return err
		}
	}
}

// finish tells all that is recorded of one instance.
func (f *following) finish(n *node) error {
	for {
		if err := f.refill(n); err != nil || len(n.next) == 0 {
			return err
		}
		if err := f.step(n); err != nil {
			return err
		}
	}
}

// step tells of the next event of an instance.
func (f *following) step(n *node) error {
	ev := n.next[0]
	n.next = n.next[1:]
	if err := f.finishFirst(n, ev); err != nil {
		return err
	}
	content, err := f.endTexts(n, ev)
	if err != nil {
		return err
	}
	out, child, was := n.take(ev)
	if child != "" {
		if _, err := f.add(child); err != nil {
			return err
		}
	}
	if was != nil {
		if told := n.texts[was.ID]; told != nil && !told.void {
			out.Offset, out.Try = told.size, told.try.String()
		}
		delete(n.texts, was.ID)
	}
	if out.Kind == EventAnswer {
		out.Text = content
	}
	n.events++
	if out.Kind != "" {
		if err := f.emit(out); err != nil {
			return err
		}
	}
	switch out.Kind {
	case EventEnd:
		n.dirty = true
		if err := f.refill(n); err != nil || len(n.next) > 0 || !n.ended {
			return err // it was rewound since
		}
		return errEnough
	case EventTurn:
		return f.hearAgain(n)
	}
	return nil
}

// finishFirst tells what happened before an event of an instance elsewhere: in the
// child whose end it is, or in all, if the run ends with it.
func (f *following) finishFirst(n *node, ev *history.Event) error {
	switch {
	case ev.Kind == history.ChildCompleted || ev.Kind == history.ChildFailed:
		was := n.teller.open[ev.Answers]
		if was == nil || f.nodes[was.Target] == nil {
			return nil
		}
		child := f.nodes[was.Target]
		child.dirty = true
		if err := f.finish(child); err != nil {
			return err
		}
		return f.remove(child)
	case ev.Kind == history.ExecutionCompleted && n.root && ev.Status != history.ContinuedAsNew:
		for _, other := range slices.Clone(f.order) {
			if other == n || f.nodes[other.id] != other {
				continue
			}
			other.dirty = true
			if err := f.finish(other); err != nil {
				return err
			}
		}
	}
	return nil
}

// emit gives an event to the caller.
func (f *following) emit(ev Event) error {
	ev.Run = f.root.id
	places := make([]cursorPlace, 0, len(f.order))
	for _, n := range f.order {
		if n.execution != "" {
			places = append(places, n.place())
		}
	}
	ev.Cursor = cursorOf(append(places, f.resume...))
	if !f.yield(ev, nil) {
		return errEnough
	}
	return f.ctx.Err()
}

// content reads the text of an answer; "" if it is gone.
func (f *following) content(ev *history.Event) (string, error) {
	var a chatAnswer
	if err := json.Unmarshal(ev.Data, &a); err != nil {
		return "", nil // of another version: it has no text that could be shown
	}
	msg, err := memory.Message(func(r durable.Ref) ([]byte, error) { return f.client.Load(f.ctx, r) }, a.Message)
	if durable.IsNotFound(err) {
		return "", nil
	}
	return msg.Content, err
}
