package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Timeout is one of the times that bound a call, as the type of the failure with
// which the call ends when that time is over.
type Timeout string

// The timeouts. After a ScheduleToClose there are no more attempts.
const (
	StartToClose     Timeout = "StartToCloseTimeout"
	ScheduleToClose  Timeout = "ScheduleToCloseTimeout"
	HeartbeatTimeout Timeout = "HeartbeatTimeout"
)

// terms is what only calls with limits have. What may be in it before the call
// starts is set then and stays; the rest is guarded by call.mu.
type terms struct {
	e                       *Engine
	startToClose, heartbeat time.Duration // 0: none
	deadline                time.Time     // zero: none
	limiter                 *limiter      // nil: none
	key                     string        // of its bucket
	bucket                  *bucket       // guarded by the dispatcher

	overdue, cut  expiry
	started, beat time.Time // when the function was called, and gave its last sign of life
	// expired is the time that was over first. From then on the function's outcome is
	// not looked at any more: the call is answered, or Reconcile settles it.
	expired  Timeout
	settling bool // somebody asks Reconcile
}

// limited reports whether each call of the activity has terms.
func (a *Activity) limited() bool {
	return a.StartToClose > 0 || a.Heartbeat > 0 || a.MaxConcurrent > 0 || a.Rate != nil
}

// limit makes the limiter of an activity that needs one.
func (e *Engine) limit(a *Activity) error {
	if a.Rate != nil && (a.Rate.N <= 0 || a.Rate.Per <= 0) {
		return fmt.Errorf("activity %q has a rate of %d in %v: both must be above zero", a.Name, a.Rate.N, a.Rate.Per)
	}
	if a.MaxConcurrent <= 0 && a.Rate == nil {
		return nil
	}
	if e.limiters == nil {
		e.limiters = map[string]*limiter{}
	}
	e.limiters[a.Name] = &limiter{max: max(a.MaxConcurrent, 0), rate: a.Rate, clock: &e.cuts, open: e.calls.refilled,
		buckets: map[string]*bucket{}, sweepBuckets: minSweep, sweepCalls: minSweep}
	return nil
}

// termsOf joins what the definition says with what the caller asked for.
func (e *Engine) termsOf(c *call) *terms {
	t := &terms{e: e}
	if c.act != nil {
		t.startToClose, t.heartbeat, t.limiter = c.act.StartToClose, c.act.Heartbeat, e.limiters[c.act.Name]
	}
	if own := c.ev.Terms; own != nil {
		if own.StartToClose != 0 {
			t.startToClose = own.StartToClose
		}
		if own.Heartbeat != 0 {
			t.heartbeat = own.Heartbeat
		}
		t.deadline = own.Deadline
	}
	t.overdue.fire = func() { e.passed(c, ScheduleToClose) }
	t.cut.fire = func() { e.cut(c) }
	return t
}

// prepare finds a call's key, on the goroutine of its instance: it is the user's
// code that makes it.
func (e *Engine) prepare(c *call) {
	m := c.terms.limiter
	if m == nil || m.rate == nil || m.rate.Key == nil {
		return
	}
	defer func() {
		if r := recover(); r != nil {
			e.log.Error("the key of a call's rate cannot be made; it is limited together with those of the key \"\"",
				"activity", c.ev.Name, "instance", c.in.id, "panic", r)
		}
	}()
	c.terms.key = m.rate.Key(c.ev.Data)
}

// leave frees the place of a call whose function has ended.
func (e *Engine) leave(c *call) {
	if c.terms != nil && c.terms.limiter != nil {
		e.calls.leave(c.terms.limiter)
	}
}

// watch waits for the deadline of a call.
func (e *Engine) watch(c *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.terms; !t.deadline.IsZero() && !c.answered && !c.forsaken() {
		e.deadlines.set(&t.overdue, t.deadline)
	}
}

// abort is call.abort's part.
func (t *terms) abort() {
	t.e.deadlines.clear(&t.overdue)
}

// end is call.end's part.
func (t *terms) end() {
	t.e.deadlines.clear(&t.overdue)
	t.e.cuts.clear(&t.cut)
}

// next is the time at which the attempt is to be looked at, and what is over then.
func (t *terms) next() (at time.Time, which Timeout) {
	if t.startToClose > 0 {
		at, which = t.started.Add(t.startToClose), StartToClose
	}
	if t.heartbeat > 0 {
		if silent := t.beat.Add(t.heartbeat); at.IsZero() || silent.Before(at) {
			at, which = silent, HeartbeatTimeout
		}
	}
	return at, which
}

// enter is called right before the function: its clock starts. If its time is
// over already, it tells which, and the function must not be called.
func (e *Engine) enter(c *call, ac *Call) Timeout {
	t := c.terms
	if t == nil {
		return ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := e.now()
	if t.expired == "" && !t.deadline.IsZero() && !now.Before(t.deadline) {
		t.expired = ScheduleToClose
	}
	if t.expired != "" {
		return t.expired
	}
	c.entered = true
	t.started = time.Now()
	t.beat = t.started
	if at, which := t.next(); which != "" {
		e.cuts.set(&t.cut, at)
	}
	ac.Deadline = t.deadline
	if at := now.Add(t.startToClose); t.startToClose > 0 && (ac.Deadline.IsZero() || at.Before(ac.Deadline)) {
		ac.Deadline = at
	}
	ac.HeartbeatTimeout = t.heartbeat
	return ""
}

// performTimed runs the function of a call with terms.
func (e *Engine) performTimed(ctx context.Context, c *call, ac *Call) Outcome {
	if over := e.enter(c, ac); over != "" {
		return Outcome{Failure: c.timeout(over)}
	}
	o := c.act.Run(withDeadline(ctx, ac), ac)
	if o.Failure != nil {
		if over := e.late(c); over != "" {
			return Outcome{Failure: c.timeout(over)}
		}
	}
	return o
}

// late tells whether the time was over when the function returned a failure, be
// it that nobody has noticed yet: what fails at its deadline fails because of it.
func (e *Engine) late(c *call) Timeout {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.terms
	if t.expired != "" {
		return t.expired
	}
	if at, which := t.next(); which != "" && !time.Now().Before(at) {
		t.expired = which
	} else if !t.deadline.IsZero() && !e.now().Before(t.deadline) {
		t.expired = ScheduleToClose
	}
	return t.expired
}

// cut looks at a running call: its time is over, or it gave a sign of life
// meanwhile, or it should have ended a while ago.
func (e *Engine) cut(c *call) {
	c.mu.Lock()
	t := c.terms
	switch {
	case c.cancel == nil: // it ended
	case t.expired != "":
		e.ignored(c)
	default:
		at, which := t.next()
		if !time.Now().Before(at) {
			c.mu.Unlock()
			e.passed(c, which)
			return
		}
		e.cuts.set(&t.cut, at)
	}
	c.mu.Unlock()
}

// passed is called when a call's time is over. One that waits is answered: it
// has certainly not run in this attempt. One that runs is cancelled, and answered at
// once too, so that nobody waits for a function that ignores its context; an
// AtMostOnce one with what is known of it (once.go).
func (e *Engine) passed(c *call, which Timeout) {
	c.mu.Lock()
	t := c.terms
	if c.answered || c.forsaken() || t.expired != "" || e.closing.Load() {
		c.mu.Unlock()
		return
	}
	t.expired = which
	f := c.timeout(which)
	once := c.act != nil && c.act.Effect == AtMostOnce
	switch {
	case c.entered:
		c.cancel(f)
		e.cuts.set(&t.cut, time.Now().Add(e.opts.Grace))
		if once && c.act.Reconcile != nil {
			c.mu.Unlock()
			return // asked when the function has returned, or ignores that it should
		}
		if once {
			f = c.unknown("the time of "+c.ev.Name+" was over while it ran", nil)
		}
	case c.cancel != nil || c.effect.old:
		c.mu.Unlock()
		return // whoever is about to call the function, or to settle it, finds out
	}
	c.answered = true
	c.mu.Unlock()
	if c.work != nil {
		e.opts.Workers.Withdraw(c.work) // if nobody has begun it
	}
	e.deliver(c.in.id, e.answer(c, callResult{Outcome: Outcome{Failure: f}, done: true}))
}

// ignored tells, once, of a function that goes on long after it was cancelled.
// c.mu is held.
func (e *Engine) ignored(c *call) {
	t := c.terms
	e.log.Warn("an activity goes on although its time is over; until it returns it occupies one of the places for activities",
		"activity", c.ev.Name, "instance", c.in.id, "key", c.idempotencyKey(), "timeout", string(t.expired))
	if c.answered || t.settling {
		return
	}
	t.settling = true
	go e.settleLate(c)
}

// timeout is the failure of a call whose time is over.
func (c *call) timeout(which Timeout) *history.Failure {
	t := c.terms
	f := &history.Failure{Type: string(which)}
	switch which {
	case StartToClose:
		f.Message = fmt.Sprintf("an attempt may take %v from start to close", t.startToClose)
	case HeartbeatTimeout:
		f.Message = fmt.Sprintf("there was no heartbeat for %v", t.heartbeat)
	case ScheduleToClose:
		f.Message, f.NonRetriable = "its time from schedule to close was over at "+t.deadline.Format(time.RFC3339Nano), true
	}
	return f
}

// withDeadline lets a context tell when its call is cut off. It ends only when
// the engine says so, which then knows that it did.
func withDeadline(ctx context.Context, ac *Call) context.Context {
	if ac.Deadline.IsZero() {
		return ctx
	}
	return &deadlined{ctx, ac.Deadline}
}

type deadlined struct {
	context.Context
	at time.Time
}

func (d *deadlined) Deadline() (time.Time, bool) { return d.at, true }
