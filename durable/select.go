package durable

import "errors"

// Case is one of the things that Select waits for, with what is to be done then.
type Case struct {
	ready func() (order int64, ok bool)
	run   func()
}

// On is the case that a task is complete; do is given what its Await gives.
func On[T any](t *Task[T], do func(v T, err error)) Case {
	return Case{func() (int64, bool) { return t.c.order, t.c.done }, func() { do(t.Await()) }}
}

// On is the case that an event can be received. The event is taken only if the
// case is chosen. When the reader's scope is cancelled, do is given its error.
func (r *EventReader[T]) On(do func(v T, err error)) Case {
	return Case{
		ready: func() (int64, bool) {
			if q := r.ctx.x.queue(r.name); len(q.events) > 0 {
				return q.events[0].order, true
			}
			return 1<<63 - 1, r.ctx.Err() != nil
		},
		run: func() {
			v, ok, err := r.TryReceive()
			if !ok {
				err = r.ctx.Err()
			}
			do(v, err)
		},
	}
}

// Otherwise is the case that nothing else is ready: with it, Select does not wait.
func Otherwise(do func()) Case {
	return Case{func() (int64, bool) { return 1<<63 - 1, true }, do}
}

// Select waits until one of the cases is ready and runs it: of several, the one
// that was ready first, and of those that are ready for the same reason the first
// in the list. Unlike Go's select it leaves nothing to chance, so that a replay
// chooses the same.
func Select(ctx *Context, cases ...Case) {
	if len(cases) == 0 {
		ctx.x.fail(errors.New("durable.Select without a case would wait for ever"))
		return
	}
	chosen := -1
	if err := ctx.x.park(until(func() bool {
		first := int64(0)
		for i, c := range cases {
			if order, ok := c.ready(); ok && (chosen < 0 || order < first) {
				chosen, first = i, order
			}
		}
		return chosen >= 0
	})); err != nil {
		return
	}
	cases[chosen].run()
}
