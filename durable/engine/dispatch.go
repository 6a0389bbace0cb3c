package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// call is one activity that was scheduled and not yet answered.
type call struct {
	in         *instance // for the lane and the mailbox only: the instance's state is its owner's
	act        *Activity // nil: not defined here, so it waits
	exec       string
	num        int64
	ev         *history.Event // its TaskScheduled
	hub        string         // with origin and generation, what the idempotency key is made from
	origin     string
	generation int32
	effect     effectState // what is known of an AtMostOnce call
	terms      *terms      // nil for most
	work       *CallWork   // what workers are offered of it; nil if its function is here

	mu        sync.Mutex
	cancelled bool                    // its orchestration gave it up
	muted     bool                    // what it still tells of its progress is nobody's concern
	begun     bool                    // somebody took it out of the queue
	entered   bool                    // its function runs, or ran; only where it has terms
	answered  bool                    // what became of it is on its way to the instance
	cancel    context.CancelCauseFunc // while it runs
	given     uint64                  // how often a worker got it
}

// ErrCanceled is the cause with which the context of an activity ends when its
// orchestration gave the call up: mostly because it has ended itself.
var ErrCanceled = errors.New("the orchestration no longer waits for the activity")

// abort cancels the call: it does not start any more, or its context ends.
func (c *call) abort() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancelled = true
	if c.cancel != nil {
		c.cancel(ErrCanceled)
	}
	if c.terms != nil && c.forsaken() {
		c.terms.abort()
	}
}

// excuse answers a call that was given up, whose answer is waited for, and which
// has certainly not begun: it need not wait for a place only to say so.
func (e *Engine) excuse(c *call) {
	c.mu.Lock()
	excused := c.cancelled && !c.forsaken() && !c.begun && !c.answered && !c.effect.old
	if excused {
		c.answered = true
		if c.terms != nil {
			c.terms.abort()
		}
	}
	c.mu.Unlock()
	if excused {
		e.deliver(c.in.id, e.answer(c, callResult{Outcome: c.neverStarted(), done: true}))
	}
}

// forsaken reports whether the call was given up and nobody waits for its answer.
// c.mu is held.
func (c *call) forsaken() bool { return c.cancelled && (c.muted || !c.mustAnswer()) }

// over reports whether the call need not start any more.
func (c *call) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.answered || c.cancelled && !c.mustAnswer()
}

// begin gives the context to run under; false if the call was aborted before and
// nobody waits for its answer.
func (c *call) begin(parent context.Context) (context.Context, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.answered || c.cancelled && !c.mustAnswer() {
		return nil, false
	}
	c.begun = true
	ctx, cancel := context.WithCancelCause(parent)
	if c.cancelled {
		cancel(ErrCanceled)
	}
	c.cancel = cancel
	return ctx, true
}

// mute makes the call tell no more of its progress.
func (c *call) mute() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.muted = true
}

// aborted reports whether the orchestration gave the call up.
func (c *call) aborted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cancelled
}

// mustAnswer reports whether the orchestration waits for the answer even if it gave
// the call up, because nobody else knows whether it took effect.
func (c *call) mustAnswer() bool { return c.act != nil && c.act.Effect == AtMostOnce }

// end lets go of the call's context. If its outcome is to be recorded, the first
// to say so has the answer: then end reports true.
func (c *call) end(record bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel(nil)
	c.cancel = nil
	if c.terms != nil {
		c.terms.end()
	}
	first := record && !c.answered
	c.answered = c.answered || record
	return first
}

// idempotencyKey names a logical call for ever: it is the same for each retry
// and after each crash, continue-as-new and rewind, and no other call has it. It
// is made when it is asked for, which most calls never are.
func (c *call) idempotencyKey() string {
	return Keys{Seed: seed(c.hub, c.in.id, c.origin, c.generation)}.Of(c.ev)
}

// dispatcher starts calls, at most max at once, in the order of a queue. Calls
// with limits come there through their limiters. Its goroutines are started on demand.
type dispatcher struct {
	mu      sync.Mutex
	ready   queue
	running int
	max     int
	stopped bool
	late    bool           // stop has given up waiting
	landing sync.WaitGroup // results that are being handed on
	idle    chan struct{}  // closed when stopped and nothing runs
	work    func(*call)
}

func (d *dispatcher) init(max int, work func(*call)) {
	d.max, d.work, d.idle = max, work, make(chan struct{})
	d.ready.holds = (*instance).crowded
}

// put queues calls. own says that the caller is one of the dispatcher's own
// goroutines and will take a call itself next.
func (d *dispatcher) put(own bool, calls ...*call) {
	if len(calls) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	before := d.ready.n
	for _, c := range calls {
		if c.work != nil {
			c.work.e.opts.Workers.Offer(c.work)
			continue
		}
		if c.terms != nil && c.terms.limiter != nil {
			c.terms.limiter.arrive(c)
			d.pass(c.terms.limiter)
			continue
		}
		d.ready.push(c)
	}
	n := d.ready.n - before
	if own {
		n--
	}
	d.spawn(n)
}

// resume starts calls again that an instance held back.
func (d *dispatcher) resume() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.stopped {
		d.spawn(d.ready.n)
	}
}

// spawn sees to it that n calls more are taken, as far as there is room.
func (d *dispatcher) spawn(n int) {
	for ; n > 0 && d.running < d.max; n-- {
		d.running++
		go d.loop()
	}
}

// pass lets through a limiter what there is room for.
func (d *dispatcher) pass(m *limiter) {
	for c := m.pass(); c != nil; c = m.pass() {
		d.ready.pushThrough(m, c)
	}
}

// leave makes room for others when the function of a call with limits has ended.
func (d *dispatcher) leave(m *limiter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.inside--
	d.opened(m)
}

// refilled is a limiter's word that a bucket of it has a token again.
func (d *dispatcher) refilled(b *bucket) {
	d.mu.Lock()
	defer d.mu.Unlock()
	b.place()
	d.opened(b.m)
}

func (d *dispatcher) opened(m *limiter) {
	if d.stopped {
		return
	}
	d.pass(m)
	d.spawn(d.ready.n)
}

func (d *dispatcher) loop() {
	ended := false
	defer func() {
		if !ended { // an activity ended its goroutine, this one: another one goes on
			go d.loop()
		}
	}()
	for {
		c := d.next()
		if c == nil {
			ended = true
			return
		}
		d.work(c)
	}
}

// land lets a result in, until landed is called; false if stop no longer waits.
func (d *dispatcher) land() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.late {
		return false
	}
	d.landing.Add(1)
	return true
}

func (d *dispatcher) landed() { d.landing.Done() }

// next takes the next call, or ends the caller's term.
func (d *dispatcher) next() *call {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.stopped {
		c := d.ready.pop()
		if c == nil {
			break
		}
		if c.terms == nil || c.terms.limiter == nil {
			return c
		}
		starts := c.terms.limiter.start(c)
		d.pass(c.terms.limiter)
		if starts {
			d.spawn(d.ready.n)
			return c
		}
	}
	d.running--
	if d.stopped && d.running == 0 {
		close(d.idle)
	}
	return nil
}

// stop starts nothing more and waits for what runs, up to grace. Results that
// come later are dropped.
func (d *dispatcher) stop(grace time.Duration) {
	d.mu.Lock()
	d.stopped = true
	running := d.running > 0
	d.mu.Unlock()
	if running {
		select {
		case <-d.idle:
		case <-time.After(grace):
		}
	}
	d.mu.Lock()
	d.late = true // for workers too, who are not waited for
	d.mu.Unlock()
	d.landing.Wait()
}

// work runs one call and hands its result to the instance, on whose turn the
// same goroutine then goes on, and with the commit after it: a chain of steps
// runs on one goroutine, without a hand-over between its parts.
func (e *Engine) work(c *call) {
	ctx, ok := c.begin(e.ctx)
	if !ok {
		e.leave(c)
		return
	}
	// What is left when the function never returns: it called runtime.Goexit (as
	// t.FailNow does), so the rest runs deferred.
	r := callResult{done: true, Outcome: Outcome{Failure: &history.Failure{
		Type: "Goexit", Message: "the activity " + c.ev.Name + " ended its goroutine (runtime.Goexit)"}}}
	defer func() { e.finishCall(ctx, c, r) }()
	r = e.perform(ctx, c)
}

// callResult is what became of a call. done=false: it was not run, or its outcome
// must not be recorded.
type callResult struct {
	Outcome
	pieces []Piece
	done   bool
}

// finishCall hands a call's result to its instance.
func (e *Engine) finishCall(ctx context.Context, c *call, o callResult) {
	// What was cut off by Close is done again by the next engine, or reconciled.
	record := o.done && (ctx.Err() == nil || o.Failure == nil || !e.closing.Load())
	first := c.end(record)
	e.leave(c)
	if !first || !e.calls.land() {
		return
	}
	defer e.calls.landed()
	m := e.answer(c, o)
	e.payloads.pin(o.pieces)
	e.commits.await()
	e.awaitRoom(c.in)
	if in := e.post(c.in.id, []*message{m}); in != nil {
		e.own(in)
	}
	e.commits.drive(true)
}

// awaitRoom holds back a result while so many wait for the same instance that its
// turns cannot keep up: of a fan-out of 100,000, their memory.
func (e *Engine) awaitRoom(in *instance) {
	for full := in.full(); full != nil; full = in.full() {
		select {
		case <-full:
		case <-e.halted:
			return
		}
	}
}

// answer is the message that tells an instance what became of a call.
func (e *Engine) answer(c *call, o callResult) *message {
	ev := &history.Event{Kind: history.TaskCompleted, ID: history.FromOutside, Time: e.now(), Answers: c.ev.ID, Data: o.Result}
	if o.Failure != nil {
		ev.Kind, ev.Data, ev.Failure = history.TaskFailed, nil, o.Failure
	}
	return &message{to: c.in.id, exec: c.exec, ev: ev, call: c, pieces: o.pieces}
}

// perform runs the activity's function.
func (e *Engine) perform(ctx context.Context, c *call) callResult {
	ac := e.callOf(c)
	r := callResult{done: true}
	switch {
	case c.act.Effect == AtMostOnce:
		r.Outcome, r.done = e.performOnce(ctx, c, ac)
	case c.terms != nil:
		r.Outcome = e.performTimed(ctx, c, ac)
	default:
		r.Outcome = c.act.Run(ctx, ac)
	}
	r.pieces = ac.pieces
	return r
}

// callOf is what an activity's function gets to see of its call.
func (e *Engine) callOf(c *call) *Call {
	return &Call{
		Name: c.ev.Name, Version: c.ev.Version,
		Instance: history.Instance{ID: c.in.id, Execution: c.exec},
		ID:       c.ev.ID, Attempt: max(c.ev.Attempt, 1),
		Input: c.ev.Data, Tags: c.ev.Tags, Trace: c.ev.Trace,
		Payloads: &e.payloads, Scheduled: c.ev.Time, engine: e, call: c,
	}
}

// Store keeps data as a payload, which is committed with the call's result and
// only then. It may be called once per payload, from the activity's goroutine.
func (c *Call) Store(data []byte) history.Hash {
	h := history.HashOf(data)
	c.pieces = append(c.pieces, Piece{Hash: h, Data: data})
	return h
}
