package engine

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
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
//	                           and was not given up
type effectState struct {
	intent time.Time // zero: none
	old    bool      // found in the store: its process is gone
}

// performOnce runs an AtMostOnce activity by these cells.
func (e *Engine) performOnce(ctx context.Context, c *call, ac *Call) (Outcome, bool) {
	if c.effect.old {
		o, found := Outcome{}, CannotTell
		if c.act.Reconcile != nil {
			o, found = c.act.Reconcile(e.ctx, ac) // also of a call that was given up
		}
		switch {
		case found == Happened:
			return o, true
		case found == CannotTell && e.ctx.Err() != nil:
			return Outcome{}, false // not asked to the end
		case found == CannotTell:
			return Outcome{Failure: &history.Failure{
				Type:         UnknownOutcome,
				Message:      "the process ended while " + c.ev.Name + " was running: whether it took effect is unknown, and it is not repeated",
				NonRetriable: true,
				Properties:   map[string]json.RawMessage{KeyProperty: json.RawMessage(strconv.Quote(c.idempotencyKey()))},
			}}, true
		}
	}
	switch {
	case e.ctx.Err() != nil:
		return Outcome{}, false // an intent now would only be an unknown outcome later
	case c.aborted():
		return c.neverStarted(), true
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
	o := c.act.Run(ctx, ac)
	crashpoint.Hit("effect")
	return o, true
}

// neverStarted is the answer of a call that was given up before its intent.
func (c *call) neverStarted() Outcome {
	return Outcome{Failure: &history.Failure{Type: Canceled, NonRetriable: true,
		Message: "the call of " + c.ev.Name + " was canceled before it started"}}
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
