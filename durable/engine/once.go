package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/crashpoint"
)

// UnknownOutcome is the failure type of an at-most-once call of which nobody
// knows whether it happened: its process ended between the intent and the
// receipt, and no Reconcile could tell. It is never started again.
const UnknownOutcome = "UnknownOutcome"

// Canceled is the failure type of what was cancelled before it took effect.
const Canceled = "Canceled"

// KeyProperty is the property of such a failure that holds the call's idempotency
// key, by which people can look for the effect.
const KeyProperty = "key"

// effectState is what is known of an AtMostOnce call. The cells are:
//
//	no intent                  start: commit the intent, then run the function
//	no intent, given up        it never starts, and says so
//	intent of this process     the function runs, or ran: its receipt goes with the result
//	intent of an earlier one   unknown: reconcile; run only if it certainly did not happen
//	                           and was not given up. After a rewind that may be an intent of this
//	                           process too, whose function still runs: it has Options.Grace to
//	                           return, and "did not happen" tells nothing until it has
//
// Times that are over (terms.go) make these:
//
//	no intent                  it certainly did not happen: a timeout. Also while the intent is
//	                           being written: its receipt then tells of the timeout
//	the function runs          it is cancelled, and whatever it still returns is not looked at. Without
//	                           Reconcile the outcome is unknown, at once. With it, Reconcile is asked
//	                           when the function has returned. One that has not after Options.Grace is
//	                           not waited for, but then "did not happen" tells nothing, since it may
//	                           happen yet: the outcome is unknown
//	  happened                 Reconcile's result
//	  did not happen           a timeout, which a policy may try again: a new intent
//	  cannot tell              the outcome is unknown
//	intent of an earlier one   reconcile; if it certainly did not happen it is a timeout, and not run
//
// So a timeout is the answer only where the function certainly has had no effect.
type effectState struct {
	intent time.Time // zero: none
	old    bool      // found in the store: its process is gone
}

// performOnce runs an AtMostOnce activity by these cells.
func (e *Engine) performOnce(ctx context.Context, c *call, ac *Call) (Outcome, bool) {
	if c.effect.old {
		o, found := Outcome{}, CannotTell
		why := "the process ended while " + c.ev.Name + " was running"
		if c.act.Reconcile != nil {
			returned := e.effects.wait(e.ctx, c.idempotencyKey(), e.opts.Grace)
			o, found = c.act.Reconcile(e.ctx, ac) // also of a call that was given up
			if found == DidNotHappen && !returned {
				found, why = CannotTell, c.ev.Name+" still runs since before the rewind"
			}
		}
		switch {
		case found == Happened:
			return o, true
		case found == CannotTell && e.ctx.Err() != nil:
			return Outcome{}, false // not asked to the end
		case found == CannotTell:
			return Outcome{Failure: c.unknown(why, o.Failure)}, true
		}
	}
	switch {
	case e.ctx.Err() != nil:
		return Outcome{}, false // an intent now would only be an unknown outcome later
	case c.aborted():
		return c.neverStarted(), true
	}
	if c.terms != nil {
		if over := e.overdue(c); over != "" {
			return Outcome{Failure: c.timeout(over)}, true
		}
	}
	c.effect.intent = e.now()
	err := e.commits.write(&changeSet{intent: c, effects: []store.EffectWrite{{Effect: c.record()}}})
	if errors.Is(err, errAborted) { // given up in the meantime: there is no intent
		c.effect.intent = time.Time{}
		return c.neverStarted(), true
	}
	if err != nil {
		return Outcome{}, false
	}
	crashpoint.Hit("intent")
	if e.opts.OnIntent != nil {
		e.opts.OnIntent(ac)
	}
	if over := e.enter(c, ac); over != "" {
		return Outcome{Failure: c.timeout(over)}, true
	}
	o := e.effect(ctx, c, ac)
	crashpoint.Hit("effect")
	if c.terms != nil {
		return e.settleReturned(c, ac, o)
	}
	return o, true
}

// effect runs the function.
func (e *Engine) effect(ctx context.Context, c *call, ac *Call) Outcome {
	defer e.effects.begin(c.idempotencyKey())()
	return c.act.Run(withDeadline(ctx, ac), ac)
}

// runningEffects knows the AtMostOnce functions that run, by the keys of their
// calls: one may still do so when its execution has failed and was rewound, and
// what Reconcile finds means less then.
type runningEffects struct {
	mu sync.Mutex
	m  map[string]chan struct{} // closed when it has returned
}

// begin notes that a function runs, until it calls what it is given.
func (r *runningEffects) begin(key string) (ended func()) {
	done := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[string]chan struct{}{}
	}
	r.m[key] = done
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.m[key] == done {
			delete(r.m, key)
		}
		close(done)
	}
}

// wait reports whether the function of a call has returned, if it ran at all; it
// gives it so long.
func (r *runningEffects) wait(ctx context.Context, key string, grace time.Duration) bool {
	r.mu.Lock()
	done := r.m[key]
	r.mu.Unlock()
	if done == nil {
		return true
	}
	select {
	case <-done:
		return true
	case <-time.After(grace):
	case <-ctx.Done():
	}
	return false
}

// neverStarted is the answer of a call that was given up before its intent.
func (c *call) neverStarted() Outcome {
	return Outcome{Failure: &history.Failure{Type: Canceled, NonRetriable: true,
		Message: "the call of " + c.ev.Name + " was canceled before it started"}}
}

// overdue tells whether a call's time is over before it has begun.
func (e *Engine) overdue(c *call) Timeout {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.terms
	if t.expired == "" && !t.deadline.IsZero() && !e.now().Before(t.deadline) {
		t.expired = ScheduleToClose
	}
	return t.expired
}

// settleReturned gives the outcome of a function that has returned o, perhaps
// because its time was over.
func (e *Engine) settleReturned(c *call, ac *Call, o Outcome) (Outcome, bool) {
	if o.Failure != nil {
		e.late(c)
	}
	c.mu.Lock()
	over := c.terms.expired
	mine := over == "" || !c.answered && !c.terms.settling
	c.terms.settling = c.terms.settling || over != ""
	c.mu.Unlock()
	switch {
	case !mine:
		return Outcome{}, false
	case over == "":
		return o, true
	}
	r := e.settle(c, over, true)
	ac.pieces = r.pieces
	return r.Outcome, r.done
}

// settleLate settles a call whose function does not return.
func (e *Engine) settleLate(c *call) {
	r := callResult{Outcome: Outcome{Failure: c.unknown("the time of "+c.ev.Name+" was over, and it went on", nil)}, done: true}
	defer func() { // also if Reconcile ends its goroutine
		c.mu.Lock()
		first := r.done && !c.answered
		c.answered = c.answered || r.done
		c.mu.Unlock()
		if !first || !e.calls.land() {
			return
		}
		defer e.calls.landed()
		e.payloads.pin(r.pieces)
		e.deliver(c.in.id, e.answer(c, r))
	}()
	r = e.settle(c, c.terms.expired, false)
}

// settle finds out what became of a call of this process that was cut off.
func (e *Engine) settle(c *call, over Timeout, returned bool) callResult {
	why := "the time of " + c.ev.Name + " was over while it ran"
	if c.act.Reconcile == nil {
		return callResult{Outcome: Outcome{Failure: c.unknown(why, nil)}, done: true}
	}
	ac := e.callOf(c)
	o, found := c.act.Reconcile(e.ctx, ac) // also of a call that was given up
	switch {
	case found == Happened:
		return callResult{Outcome: o, pieces: ac.pieces, done: true}
	case found == CannotTell && e.ctx.Err() != nil:
		return callResult{} // not asked to the end: it stays an intent without a receipt
	case found == DidNotHappen && returned:
		return callResult{Outcome: Outcome{Failure: c.timeout(over)}, done: true}
	}
	return callResult{Outcome: Outcome{Failure: c.unknown(why, o.Failure)}, done: true}
}

// unknown is the failure of a call of which nobody knows whether it took effect; met is
// what kept Reconcile from telling, nil if it was not asked or did not say.
func (c *call) unknown(why string, met *history.Failure) *history.Failure {
	why += ": whether it took effect is unknown, and it is not repeated"
	if met != nil {
		why += "; its Reconcile could not tell: " + met.Message
	}
	return &history.Failure{
		Type:         UnknownOutcome,
		Message:      why,
		NonRetriable: true,
		Properties:   map[string]json.RawMessage{KeyProperty: json.RawMessage(strconv.Quote(c.idempotencyKey()))},
	}
}

// record is the call's row in the store, without a receipt.
func (c *call) record() store.Effect {
	return store.Effect{
		EffectKey: store.EffectKey{Num: c.num, Execution: c.exec, ID: c.ev.ID},
		Activity:  c.ev.Name, IdempotencyKey: c.idempotencyKey(), Intent: c.effect.intent,
	}
}

// receipt completes the record, in the commit that holds the result.
func (c *call) receipt(ev *history.Event) store.EffectWrite {
	r := c.record()
	r.Receipt, r.Failed = ev.Time, ev.Kind == history.TaskFailed
	return store.EffectWrite{Effect: r}
}

// unknownOutcome reports whether an answer says that nobody knows: there is no
// receipt for that.
func unknownOutcome(ev *history.Event) bool {
	return ev.Failure != nil && ev.Failure.Type == UnknownOutcome
}

// recall finds out what is known of the effects of an instance's open calls, when
// it is read from the store or was rewound.
func (e *Engine) recall(in *instance) error {
	calls := slices.DeleteFunc(in.open(), func(c *call) bool { return c.act == nil || c.act.Effect != AtMostOnce })
	if len(calls) == 0 {
		return nil
	}
	effects, err := e.store.Effects(context.Background(), in.row.Num)
	if err != nil {
		return err
	}
	for _, c := range calls {
		c.recall(effects)
	}
	return nil
}

// recallRewound does the same for a call that is scheduled after a rewind, perhaps
// in place of one that failed.
func (e *Engine) recallRewound(in *instance, c *call) {
	if in.rewinds == 0 || c.act == nil || c.act.Effect != AtMostOnce {
		return
	}
	effects, err := e.store.Effects(context.Background(), in.row.Num)
	if err != nil {
		// Nothing is known, so it must not run.
		c.effect = effectState{intent: in.row.Created, old: true}
		return
	}
	c.recall(effects)
}

// recall finds the call among the records of effects. An answer that is not in the
// history is unknown, even if there is a receipt. A rewind gives the call another
// execution, but not another key; only a receipt of a failure says that the call
// may be made again.
func (c *call) recall(effects []store.Effect) {
	for _, f := range effects {
		same := f.ID == c.ev.ID && f.Execution == c.exec
		before := f.Execution != c.exec && f.IdempotencyKey == c.idempotencyKey() && (f.Receipt.IsZero() || !f.Failed)
		if same || before {
			c.effect = effectState{intent: f.Intent, old: true}
		}
	}
}
