package durable

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"runtime/debug"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// routine is one coroutine of an execution: the orchestration's function, or one
// that was given to Go. One of them runs at a time, until it waits.
type routine struct {
	x     *executor
	next  func() (struct{}, bool)
	stop  func()
	yield func(struct{}) bool
	ready wait // what it waits for; nil: it has not run yet
	ended bool
}

// spawn makes a coroutine of run. It does not run before the next resume, or
// before the one that makes it waits.
func (x *executor) spawn(run func()) {
	r := &routine{x: x}
	r.next, r.stop = iter.Pull(func(yield func(struct{}) bool) {
		r.yield = yield
		returned := false
		defer func() {
			p := recover()
			if x.unwinding {
				return // whatever its deferred functions made of it
			}
			if p != nil {
				x.err, x.finished = panicError(p), true
			} else if !returned {
				// The function called runtime.Goexit (as t.FailNow does). It would
				// take the goroutine of whoever resumed it with it, so it is parked
				// here, on its way out, until it is unwound.
				x.err, x.finished = errors.New("the orchestration ended its goroutine (runtime.Goexit)"), true
				yield(struct{}{})
				return
			}
			r.ended = true
		}()
		run()
		returned = true
	})
	x.routines = append(x.routines, r)
}

// begin makes the coroutine of the orchestration's function. While that waits, only
// what it made of its input stays in memory.
func (x *executor) begin() {
	x.spawn(func() {
		input := x.input
		x.input = nil
		x.output, x.err = x.rt.runBody(x.def, x.ctx, input)
		x.finished = true
	})
}

func panicError(r any) error {
	err, ok := r.(error)
	if !ok {
		err = fmt.Errorf("%v", r)
	}
	return &panicked{err, string(debug.Stack())}
}

// panicked is the error of a body or function that panicked.
type panicked struct {
	err   error
	stack string
}

func (p *panicked) Error() string { return "panic: " + p.err.Error() }
func (p *panicked) Unwrap() error { return p.err }

// resume lets every coroutine go on whose wait is over, in the order in which they
// were made, until all of them wait again. So what they do has one order, which
// depends on nothing but the events.
func (x *executor) resume() {
	for again := true; again; {
		again = false
		for i := 0; i < len(x.routines); i++ { // it may grow meanwhile
			if x.finished || x.fault != nil || x.suspended {
				return
			}
			r := x.routines[i]
			if r.ended || r.ready != nil && !r.ready.over() {
				continue
			}
			x.current = r
			r.next()
			x.current = nil
			again = len(x.routines) > 1 // it may have made another one ready
		}
		x.forgetEnded()
	}
}

// forgetEnded drops the coroutines that have ended.
func (x *executor) forgetEnded() {
	n := 0
	for _, r := range x.routines {
		if !r.ended {
			x.routines[n] = r
			n++
		}
	}
	clear(x.routines[n:])
	x.routines = x.routines[:n]
}

// wait is what a coroutine may wait for.
type wait interface{ over() bool }

// until is a wait for a condition.
type until func() bool

func (u until) over() bool { return u() }

// park is called by a coroutine: it waits until the wait is over.
func (x *executor) park(w wait) error {
	if x.unwinding {
		return errUnwinding
	}
	r := x.current
	for !w.over() {
		r.ready = w
		r.leave()
	}
	return nil
}

// leave switches back to whoever resumed the coroutine. When the executor is
// closed meanwhile it does not come back: the coroutine's goroutine ends, which no
// recover in the user's code can stop, and its deferred functions run.
func (r *routine) leave() {
	if !r.yield(struct{}{}) {
		runtime.Goexit()
	}
}

// stall ends the current coroutine's turn for good: it diverged.
func (x *executor) stall() {
	x.current.ready = until(func() bool { return false })
	x.current.leave()
}

// fail fails the orchestration from within its code.
func (x *executor) fail(err error) {
	if x.unwinding || x.finished {
		return
	}
	x.err, x.finished = err, true
	x.current.leave()
}

// Close implements engine.Executor. The coroutines are unwound one after the other,
// the last one first, so that their deferred functions never run side by side.
func (x *executor) Close() {
	x.unwinding = true
	for i := len(x.routines) - 1; i >= 0; i-- {
		done := make(chan struct{})
		go func() { // Goexit in the coroutine passes through stop
			defer close(done)
			x.routines[i].stop()
		}()
		<-done
	}
	x.span.drop()
}

// errUnwinding is what waits give while deferred functions run because the
// orchestration is being put away; nobody sees what they make of it.
var errUnwinding = errors.New("the orchestration is being put away")

// Go runs a function beside the one that calls it, as a coroutine of the same
// orchestration, and gives a task that completes with what it returns. Coroutines
// take turns: one runs at a time, until it waits, and they go on in the order in
// which they were made. So they may share variables without locks, and do the same
// in each replay.
//
// The function must use the Context that it is given, which has a scope of its own:
// Cancel on the task cancels what the function has started. A panic in it fails
// the orchestration. When the orchestration's own function returns, its coroutines
// are given up where they are.
func Go[T any](ctx *Context, fn func(ctx *Context) (T, error)) *Task[T] {
	var result T
	c := ctx.newCompletion(label{kind: "coroutine"})
	t := &Task[T]{c, func(history.Payload) (T, error) { return result, nil }}
	if !c.done && !ctx.x.unwinding {
		inner := ctx.child()
		c.source, c.inner = fromRoutine, inner.scope
		ctx.x.spawn(func() {
			v, err := fn(inner)
			inner.scope.dissolve()
			result = v
			c.complete(nil, err)
		})
	}
	return t
}

// Go is the function [Go] for one that has nothing to give but an error.
func (ctx *Context) Go(fn func(ctx *Context) error) *Task[struct{}] {
	return Go(ctx, func(ctx *Context) (struct{}, error) { return struct{}{}, fn(ctx) })
}
