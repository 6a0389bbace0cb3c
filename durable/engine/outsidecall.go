package engine

import (
	"context"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// CallWork is an activity that waits to be run.
type CallWork struct {
	e    *Engine
	c    *call
	info WorkInfo
}

// About tells what it is.
func (w *CallWork) About() WorkInfo { return w.info }

// Begin gives the call. ErrStale: its orchestration gave it up.
func (w *CallWork) Begin() (*Call, error) {
	c := w.c
	ctx, ok := c.begin(w.e.ctx)
	if !ok {
		return nil, ErrStale
	}
	ac := w.e.callOf(c)
	c.mu.Lock()
	c.given++
	ac.given = c.given
	c.mu.Unlock()
	if over := w.e.enter(c, ac); over != "" {
		_ = w.Complete(context.Background(), ac, Outcome{Failure: c.timeout(over)})
		return nil, ErrStale
	}
	ac.ctx = withDeadline(ctx, ac)
	return ac, nil
}

// Complete ends the call and returns when its outcome is on disk.
func (w *CallWork) Complete(ctx context.Context, ac *Call, o Outcome) error {
	e, c := w.e, w.c
	if !e.calls.land() {
		return e.stopError()
	}
	released, ok := c.settleGiven(ac.given)
	if !ok {
		e.calls.landed()
		return ErrStale
	}
	if released {
		e.opts.Workers.Withdraw(w)
	}
	done := make(chan error, 1)
	m := e.answer(c, callResult{Outcome: o, done: true, pieces: ac.pieces})
	e.payloads.pin(m.pieces)
	m.ack = func(err error) { done <- err }
	e.commits.await()
	e.awaitRoom(c.in)
	if in := e.post(c.in.id, []*message{m}); in != nil {
		e.own(in)
	}
	e.commits.drive(false)
	e.calls.landed()
	return e.answered(ctx, done)
}

// Release gives the call back. It is offered again; until somebody begins it, ac may
// still be completed. False: it was over, and nobody gets it.
func (w *CallWork) Release(ac *Call) bool {
	c := w.c
	c.mu.Lock()
	mine := c.given == ac.given && c.cancel != nil && !c.answered
	if mine {
		c.cancel(nil)
		c.cancel, c.begun, c.entered = nil, false, false
		if c.terms != nil {
			w.e.cuts.clear(&c.terms.cut)
		}
	}
	mine = mine && !c.cancelled
	c.mu.Unlock()
	if mine {
		w.e.opts.Workers.Offer(w)
		if c.over() { // in between: whoever ended it has withdrawn what was not offered yet
			w.e.opts.Workers.Withdraw(w)
		}
	}
	return mine
}

// settleGiven ends the call for the worker that it was given to, as the number says.
// released tells that it was given back since.
func (c *call) settleGiven(number uint64) (released, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.given != number || c.answered || c.cancelled {
		return false, false
	}
	c.answered = true
	if c.terms != nil {
		c.terms.end()
	}
	if c.cancel == nil {
		return true, true
	}
	c.cancel(nil)
	c.cancel = nil
	return false, true
}

// offered makes what workers are offered of a call; nil if its function is here, or
// nobody else may run it.
func (e *Engine) offered(in *instance, c *call) *CallWork {
	if c.act != nil || e.opts.Workers == nil {
		return nil
	}
	version := c.ev.Version
	if version == "" {
		version = in.row.Version
	}
	return &CallWork{e: e, c: c, info: WorkInfo{Name: c.ev.Name, Version: version, Instance: in.id, Priority: c.priority()}}
}

// leavesReceipt reports whether the answer of a call is to be kept as the receipt of its
// effect.
func (c *call) leavesReceipt(ev *history.Event) bool {
	return c.act != nil && c.act.Effect == AtMostOnce && !c.effect.intent.IsZero() && !unknownOutcome(ev)
}
