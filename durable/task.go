package durable

import (
	"context"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Task is something that an orchestration has started and that completes once:
// an activity, a child, a timer, an event, an entity call. It belongs to its
// orchestration: use it only there.
type Task[T any] struct {
	c      *completion
	decode func(history.Payload) (T, error)
}

// Await waits until the task is complete and gives its result. It may be called
// again and then gives the same.
func (t *Task[T]) Await() (T, error) {
	var zero T
	if err := t.c.await(); err != nil {
		return zero, err
	}
	if t.c.err != nil {
		return zero, t.c.err
	}
	return t.decode(t.c.data)
}

// Done reports whether the task is complete, so that Await would not wait.
func (t *Task[T]) Done() bool { return t.c.done }

// Cancel gives the task up, as the end of its scope would (see
// [Context.WithCancel]): the losers of an [Any], for instance. A task that is
// complete stays as it is.
func (t *Task[T]) Cancel() {
	if !t.c.x.unwinding {
		t.c.cancel(errTaskCanceled)
	}
}

var errTaskCanceled = fmt.Errorf("the task was canceled: %w", context.Canceled)

func (t *Task[T]) completion() *completion { return t.c }

// Awaitable is a task of any type.
type Awaitable interface {
	// Done reports whether it is complete.
	Done() bool
	// Cancel gives it up.
	Cancel()
	completion() *completion
}

// completion is the state of a task.
type completion struct {
	x        *executor
	done     bool
	canceled bool  // what is behind it was given up
	order    int64 // among all completions of the execution: what came first
	data     history.Payload
	err      error
	label    label // for messages

	// What is behind it.
	source source
	action int32
	target string
	inner  *scope
	call   int32 // of an activity, whichever attempt or wait between two it is at

	scope      *scope // it is one of the scope's pending tasks
	prev, next *completion
}

// label says what a task is: its kind, its name, and whose the name is. It becomes
// text only where a message needs it.
type label struct{ kind, name, of string }

func (l label) String() string {
	s := l.kind
	if l.name != "" {
		s += " " + l.name
	}
	if l.of != "" {
		s += " of " + l.of
	}
	return s
}

// newCompletion makes a task of the Context's scope. It is not complete, unless the
// scope was cancelled: then nothing must be started for it.
func (ctx *Context) newCompletion(label label) *completion {
	c := &completion{x: ctx.x, label: label}
	if err := ctx.scope.err; err != nil {
		c.complete(nil, err)
		return c
	}
	ctx.scope.add(c)
	return c
}

func (c *completion) complete(data history.Payload, err error) {
	if c.done {
		return
	}
	if c.scope != nil {
		c.scope.remove(c)
	}
	c.x.completions++
	c.done, c.order, c.data, c.err = true, c.x.completions, data, err
}

// await parks the coroutine until the task is complete.
func (c *completion) await() error { return c.x.park(c) }

// over makes the completion something to wait for.
func (c *completion) over() bool { return c.done }

// All waits for every task and gives their results in the order of the tasks. If
// some failed, the error is that of the first one in that order, and comes only
// after all are complete.
func All[T any](ctx *Context, tasks []*Task[T]) ([]T, error) {
	err := ctx.x.park(until(func() bool {
		for _, t := range tasks {
			if !t.c.done {
				return false
			}
		}
		return true
	}))
	if err != nil {
		return nil, err
	}
	results := make([]T, len(tasks))
	for i, t := range tasks {
		v, err := t.Await()
		if err != nil {
			return nil, fmt.Errorf("task %d of %d: %w", i+1, len(tasks), err)
		}
		results[i] = v
	}
	return results, nil
}

// Any waits until one of the tasks is complete and gives the one that was
// complete first. It gives nil for no tasks, and while the orchestration is
// being unwound.
func Any(ctx *Context, tasks ...Awaitable) Awaitable {
	if len(tasks) == 0 {
		return nil
	}
	first := func() (w Awaitable) {
		for _, t := range tasks {
			if t.Done() && (w == nil || t.completion().order < w.completion().order) {
				w = t
			}
		}
		return w
	}
	if err := ctx.x.park(until(func() bool { return first() != nil })); err != nil {
		return nil
	}
	return first()
}

// StartEach starts one task for each item, in order.
func StartEach[T, Out any](ctx *Context, items []T, start func(T) *Task[Out]) []*Task[Out] {
	tasks := make([]*Task[Out], len(items))
	for i, item := range items {
		tasks[i] = start(item)
	}
	return tasks
}

// Timer gives a task that completes when d has passed on the orchestration's
// clock, across restarts. A d of zero or less completes in a turn of its own.
// Its result is the time at which it was due.
func (ctx *Context) Timer(d time.Duration) *Task[time.Time] { return ctx.TimerAt(ctx.Now().Add(d)) }

// TimerAt is Timer for a point in time, however far away.
func (ctx *Context) TimerAt(at time.Time) *Task[time.Time] {
	at = at.UTC().Round(0)
	c := ctx.newCompletion(label{kind: "timer"})
	if !c.done {
		c.startTimer(at, func() { c.complete(nil, nil) })
	}
	return &Task[time.Time]{c, func(history.Payload) (time.Time, error) { return at, nil }}
}

// Sleep waits until d has passed.
func (ctx *Context) Sleep(d time.Duration) error {
	_, err := ctx.Timer(d).Await()
	return err
}

// FailedTask gives a task that has failed already, for functions that find out
// before they start anything that they cannot.
func FailedTask[T any](ctx *Context, err error) *Task[T] {
	c := &completion{x: ctx.x}
	c.complete(nil, err)
	return &Task[T]{c, nil}
}
