package durable

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// CancelEvent is the name of the external event that asks an orchestration to
// cancel itself, with a reason as its data: what [Client.Cancel] raises, and what
// goes to children. It is an event so that any hub of the protocol carries it. An
// orchestration in another language may wait for it.
const CancelEvent = "durable.cancel"

// scope is a part of an orchestration that can be cancelled as one: what was
// started in it and is not complete, and the scopes within. Each Context has one.
//
// Cancelling completes its tasks in the order in which they were started, then
// those of its inner scopes in the order in which these were made.
type scope struct {
	x           *executor
	parent      *scope
	err         error // once it is cancelled
	first, last *completion
	inner       []*scope
	done        *completion // of Context.Done
	timed       bool        // it has a deadline, whose timer has the number timer
	timer       int32
}

// child gives a Context whose scope lies within that of ctx.
func (ctx *Context) child() *Context {
	s := &scope{x: ctx.x, parent: ctx.scope, err: ctx.scope.err}
	if s.err == nil {
		ctx.scope.inner = append(ctx.scope.inner, s)
	}
	return &Context{ctx.x, s}
}

// WithCancel gives a Context for a part of the orchestration, and the function that
// cancels what was started with it. As with [context.WithCancel], call it when the
// part is over, also when nothing is left to cancel.
//
// Cancelling completes every task that was started in the scope and is not
// complete with an error for which errors.Is(err, [context.Canceled]) is true, and
// everything that is started there afterwards likewise, without starting it.
// What lies behind a task is given up: an activity's context ends and its result
// is dropped, a timer is taken back, a child is asked to cancel itself, an external
// event is left for the next one who waits. An activity that is [AtMostOnce] is the
// exception: its context ends too, but the task completes with its answer, because
// nobody else knows whether it took effect.
func (ctx *Context) WithCancel() (*Context, func()) {
	inner := ctx.child()
	return inner, func() { inner.scope.cancel(errCanceled) }
}

// WithTimeout is WithCancel with a deadline: when d has passed on the
// orchestration's clock, across restarts, the scope is cancelled with an error for
// which errors.Is(err, [context.DeadlineExceeded]) is true.
func (ctx *Context) WithTimeout(d time.Duration) (*Context, func()) {
	return ctx.WithDeadline(ctx.Now().Add(d))
}

// WithDeadline is WithTimeout for a point in time.
func (ctx *Context) WithDeadline(at time.Time) (*Context, func()) {
	inner, cancel := ctx.WithCancel()
	if s := inner.scope; s.err == nil && !s.x.unwinding {
		ev := s.x.emit(&history.Event{Kind: history.TimerCreated, FireAt: at.UTC().Round(0)})
		s.timer, s.timed = ev.ID, true
		s.x.expect(ev.ID, func(*history.Event) {
			s.timed = false
			s.cancel(fmt.Errorf("the deadline of the scope has passed: %w", context.DeadlineExceeded))
		})
	}
	return inner, cancel
}

// WithoutCancel gives a Context that is not cancelled when ctx is: for clean-up that
// has to happen after a cancellation, and for steps that must not be cut off.
func (ctx *Context) WithoutCancel() *Context { return &Context{ctx.x, &scope{x: ctx.x}} }

// Err tells why the Context's scope was cancelled; nil while it is not. Like that
// of a [context.Context] it is context.Canceled or context.DeadlineExceeded for
// errors.Is.
func (ctx *Context) Err() error { return ctx.scope.err }

// Done gives a task that completes, without an error, when the scope is cancelled.
func (ctx *Context) Done() *Task[struct{}] {
	s := ctx.scope
	if s.done == nil {
		s.done = &completion{x: s.x, label: label{kind: "scope"}}
		if s.err != nil {
			s.done.complete(nil, nil)
		}
	}
	return &Task[struct{}]{s.done, func(history.Payload) (struct{}, error) { return struct{}{}, nil }}
}

var errCanceled = fmt.Errorf("the scope was canceled: %w", context.Canceled)

// cancel ends the scope.
func (s *scope) cancel(err error) {
	if s.err != nil || s.x.unwinding {
		return
	}
	s.err = err
	s.detach()
	for c := s.first; c != nil; c = s.first {
		c.cancel(err)
		s.remove(c) // where it is not complete now, it waits for its answer
	}
	for _, in := range slices.Clone(s.inner) {
		in.cancel(err)
	}
	s.inner = nil
	if s.done != nil {
		s.done.complete(nil, nil)
	}
}

// detach takes a scope that is over out of the one around it, and its deadline's
// timer back.
func (s *scope) detach() {
	if s.timed {
		s.timed = false
		s.x.giveUp(s.timer)
	}
	if s.parent != nil {
		s.parent.inner = slices.DeleteFunc(s.parent.inner, func(in *scope) bool { return in == s })
		s.parent = nil
	}
}

// dissolve ends the scope of a coroutine that has ended: what it has left behind is
// the scope's around it.
func (s *scope) dissolve() {
	if p := s.parent; p != nil {
		for c := s.first; c != nil; c = s.first {
			s.remove(c)
			p.add(c)
		}
		for _, in := range s.inner {
			in.parent = p
		}
		p.inner = append(p.inner, s.inner...)
		s.inner = nil
	}
	s.detach()
}

// add links a task into the list of the pending ones.
func (s *scope) add(c *completion) {
	c.scope, c.prev = s, s.last
	if s.last == nil {
		s.first = c
	} else {
		s.last.next = c
	}
	s.last = c
}

// remove takes a task out of the list, once.
func (s *scope) remove(c *completion) {
	if c.scope == nil {
		return
	}
	if c.prev == nil {
		s.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		s.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.scope, c.prev, c.next = nil, nil, nil
}

// source is what lies behind a task.
type source uint8

const (
	fromNothing  source = iota
	fromActivity        // action is its number
	fromUnsafe          // the same, of one that is at most once
	fromTimer           // action is its number
	fromChild           // action is its number, target its id
	fromEntity          // target is the request
	fromLock            // the executor's critical section
	fromEvent           // target is the event's name
	fromRoutine         // inner is its scope
)

// cancel gives up what lies behind a task and completes it, but for what completes
// by itself.
func (c *completion) cancel(err error) {
	if c.done || c.canceled {
		return
	}
	c.canceled = true
	x := c.x
	switch c.source {
	case fromActivity, fromTimer:
		x.giveUp(c.action)
		if c.source == fromTimer && c.call != 0 && !x.replaying {
			x.over = append(x.over, c.call)
		}
	case fromUnsafe:
		x.emit(history.NewTaskCanceled(c.action))
		return
	case fromChild:
		delete(x.tasks, c.action)
		x.emit(&history.Event{Kind: history.EventSent, Target: c.target, Name: CancelEvent, Data: reasonOf(err)})
	case fromEntity:
		delete(x.requests, c.target)
		x.section.answered(c.target)
	case fromLock:
		x.releaseLock(x.section)
	case fromEvent:
		x.queue(c.target).leave(c)
	case fromRoutine:
		c.inner.cancel(err)
		return
	}
	c.complete(nil, err)
}

// giveUp takes an activity or a timer back.
func (x *executor) giveUp(action int32) {
	delete(x.tasks, action)
	x.emit(history.NewTaskCanceled(action))
}

func reasonOf(err error) history.Payload {
	p, encodeErr := encode(err.Error())
	if encodeErr != nil {
		return nil
	}
	return p
}

// cancelRequested cancels the orchestration as a whole.
func (x *executor) cancelRequested(ev *history.Event) {
	x.cancelEvent = ev
	reason, err := decode[string](ev.Data, "reason")
	if err != nil || reason == "" {
		reason = "the orchestration was asked to cancel"
	}
	x.ctx.scope.cancel(&cancelRequest{reason})
}

// cancelRequest is the error of an orchestration's scope that was cancelled from
// outside.
type cancelRequest struct{ reason string }

func (c *cancelRequest) Error() string { return c.reason }
func (c *cancelRequest) Unwrap() error { return context.Canceled }
