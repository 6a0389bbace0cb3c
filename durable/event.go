package durable

import (
	"iter"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// eventQueue is the external events of one name, and who waits for them.
type eventQueue struct {
	events  []*queued
	waiting []*completion
}

// queued is an event that came before anybody waited for it.
type queued struct {
	ev    *history.Event
	order int64 // among all completions of the execution
	taken bool
}

func (x *executor) queue(name string) *eventQueue {
	name = strings.ToLower(name)
	q := x.events[name]
	if q == nil {
		if x.events == nil {
			x.events = map[string]*eventQueue{}
		}
		q = &eventQueue{}
		x.events[name] = q
	}
	return q
}

func (x *executor) raise(ev *history.Event) {
	if strings.EqualFold(ev.Name, CancelEvent) {
		x.cancelRequested(ev)
		return
	}
	q := x.queue(ev.Name)
	if len(q.waiting) > 0 {
		c := q.waiting[0]
		q.waiting = q.waiting[1:]
		c.complete(ev.Data, nil)
		return
	}
	x.completions++
	item := &queued{ev: ev, order: x.completions}
	q.events = append(q.events, item)
	x.arrivals = append(x.arrivals, item)
}

// take gives the oldest event, which nobody else gets then; nil if there is none.
func (q *eventQueue) take(x *executor) *queued {
	if len(q.events) == 0 {
		return nil
	}
	item := q.events[0]
	q.events = q.events[1:]
	item.taken = true
	x.forget()
	return item
}

// leave takes a task that was given up out of those that wait.
func (q *eventQueue) leave(c *completion) {
	q.waiting = slices.DeleteFunc(q.waiting, func(w *completion) bool { return w == c })
}

// forget drops the taken events from the arrivals when they are the most of them,
// so that these do not grow with what is done.
func (x *executor) forget() {
	if x.taken++; 2*x.taken > len(x.arrivals) {
		x.arrivals = slices.DeleteFunc(x.arrivals, func(q *queued) bool { return q.taken })
		x.taken = 0
	}
}

// WaitForEvent gives a task that completes with the next external event of that
// name that no other task has taken, also one that came before. Names compare
// without regard to case; events are taken in the order of their arrival. Whoever
// no longer wants the event cancels the task (or its scope): otherwise it takes the
// next one, and nobody sees it.
func WaitForEvent[T any](ctx *Context, name string) *Task[T] {
	c := ctx.newCompletion(label{kind: "event", name: name})
	t := &Task[T]{c, func(p history.Payload) (T, error) { return decode[T](p, "event ", name) }}
	if c.done || ctx.x.unwinding {
		return t
	}
	q := ctx.x.queue(name)
	if item := q.take(ctx.x); item != nil {
		c.complete(item.ev.Data, nil)
		return t
	}
	c.source, c.target = fromEvent, name
	q.waiting = append(q.waiting, c)
	return t
}

// EventReader receives the external events of one name, one after the other, as a
// channel would. Several readers and tasks of WaitForEvent share the events: each
// goes to one of them.
type EventReader[T any] struct {
	ctx  *Context
	name string
}

// Events gives a reader of the external events of that name. Those that nobody
// receives are kept in the order of their arrival, also through ContinueAsNew.
func Events[T any](ctx *Context, name string) *EventReader[T] { return &EventReader[T]{ctx, name} }

// Receive waits for the next event. In a scope that is cancelled it gives the
// scope's error and leaves the event for others.
func (r *EventReader[T]) Receive() (T, error) { return WaitForEvent[T](r.ctx, r.name).Await() }

// TryReceive gives the next event if one has come already.
func (r *EventReader[T]) TryReceive() (v T, ok bool, err error) {
	if r.ctx.x.unwinding {
		return v, false, nil
	}
	item := r.ctx.x.queue(r.name).take(r.ctx.x)
	if item == nil {
		return v, false, nil
	}
	v, err = decode[T](item.ev.Data, "event ", r.name)
	return v, true, err
}

// All gives the events one after the other, without an end of its own: leave the
// loop when there are enough. It ends after an error: an event that does not
// decode, or the cancellation of the scope.
func (r *EventReader[T]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for {
			v, err := r.Receive()
			if !yield(v, err) || err != nil {
				return
			}
		}
	}
}

// Pending tells how many events have come and were not received.
func (r *EventReader[T]) Pending() int { return len(r.ctx.x.queue(r.name).events) }
