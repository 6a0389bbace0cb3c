package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Activity is a function that orchestrations call and that may do anything: read
// a clock, ask a server, write a file. Its result is recorded, so that it is not
// asked again once it has answered.
type Activity[In, Out any] struct {
	def *activity
}

// activity is the untyped definition.
type activity struct {
	name      string
	effect    engine.Effect
	costly    bool
	run       func(context.Context, history.Payload) (history.Payload, error)
	reconcile func(context.Context, history.Payload) (history.Payload, bool, error)

	startToClose, scheduleToClose, heartbeat time.Duration // 0: none
	concurrent                               int           // 0: any number
	rate                                     *engine.Rate  // nil: any
}

// ActivityOption says at its definition how an activity may be run.
type ActivityOption func(*activity)

// Pure declares that an activity changes nothing in the world: it reads,
// computes, or asks a model. It may start before the step that calls it is on
// disk, which saves a write for each step of a chain; a crash then repeats it,
// as it may repeat any activity that had not answered.
func Pure() ActivityOption { return func(a *activity) { a.effect = engine.Pure } }

// Costly makes an activity Pure whose repetition costs money: of the calls of one
// orchestration, at most one runs ahead of the disk, so that a crash makes no more
// than that one be paid again.
func Costly() ActivityOption {
	return func(a *activity) { a.effect, a.costly = engine.Pure, true }
}

// AtMostOnce declares that an activity must never run twice for one call. An
// intent is recorded before it starts and a receipt together with its result.
// If the process ends in between, nobody knows whether it took effect: then the
// call fails with an error for which UnknownOutcome is true, unless Reconcile
// settles it.
//
// An error that the function returns is an answer, too: it says that nothing took
// effect, so a RetryPolicy tries the call again. Where that is not sure, as after a
// connection that broke, return [Unknown] of it: that is never tried again.
func AtMostOnce() ActivityOption { return func(a *activity) { a.effect = engine.AtMostOnce } }

// Reconcile makes an activity AtMostOnce and names the function that finds out
// what became of a call whose outcome is unknown, by its idempotency key (see
// [Info]). It gives the result and true if the call took effect, false and a nil
// error if it certainly did not and never will, so that it is safe to start, and
// an error if it cannot tell.
func Reconcile[In, Out any](find func(ctx context.Context, in In) (out Out, happened bool, err error)) ActivityOption {
	return func(a *activity) {
		a.effect = engine.AtMostOnce
		name := a.name
		a.reconcile = func(ctx context.Context, p history.Payload) (history.Payload, bool, error) {
			in, err := decode[In](p, "input of activity ", name)
			if err != nil {
				return nil, false, err
			}
			out, happened, err := find(ctx, in)
			if err != nil || !happened {
				return nil, false, err
			}
			result, err := encode(out)
			return result, true, err
		}
	}
}

// NewActivity defines an activity. Its name is how histories refer to it: keep it
// when the function is renamed. Without an option it runs at least once: after
// its step is on disk, and again if the process ends before its answer is.
func NewActivity[In, Out any](name string, fn func(ctx context.Context, in In) (Out, error), opts ...ActivityOption) *Activity[In, Out] {
	a := &activity{name: name}
	a.run = func(ctx context.Context, p history.Payload) (history.Payload, error) {
		in, err := decode[In](p, "input of activity ", name)
		if err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}
	for _, o := range opts {
		o(a)
	}
	return &Activity[In, Out]{a}
}

func (a *Activity[In, Out]) define(r *registry) error { return r.addActivity(a.def) }

// Name is the activity's name.
func (a *Activity[In, Out]) Name() string { return a.def.name }

// Call runs the activity and waits for its result.
func (a *Activity[In, Out]) Call(ctx *Context, in In, opts ...CallOption) (Out, error) {
	return a.Start(ctx, in, opts...).Await()
}

// Start runs the activity beside what follows. When the orchestration ends first,
// the activity is cancelled: its context ends, and its result is dropped. One that
// is started in the orchestration's very last turn never runs, so await what has
// to happen.
func (a *Activity[In, Out]) Start(ctx *Context, in In, opts ...CallOption) *Task[Out] {
	return startActivity[Out](ctx, a.def.name, a.def, in, opts)
}

// CallActivity calls an activity by its name, for those that are defined
// elsewhere, perhaps in another language.
func CallActivity[Out any](ctx *Context, name string, in any, opts ...CallOption) (Out, error) {
	return StartActivity[Out](ctx, name, in, opts...).Await()
}

// StartActivity starts an activity by its name.
func StartActivity[Out any](ctx *Context, name string, in any, opts ...CallOption) *Task[Out] {
	return startActivity[Out](ctx, name, ctx.x.rt.activities[name], in, opts)
}

func startActivity[Out any](ctx *Context, name string, def *activity, in any, opts []CallOption) *Task[Out] {
	label := label{kind: "activity", name: name}
	c := ctx.newCompletion(label)
	t := &Task[Out]{c, func(p history.Payload) (Out, error) { return decode[Out](p, "result of activity ", name) }}
	if c.done {
		return t
	}
	o, err := optionsOf(ofActivity, opts)
	if err != nil {
		c.complete(nil, fmt.Errorf("%s: %w", label, err))
		return t
	}
	input, err := encode(in)
	if err != nil {
		c.complete(nil, fmt.Errorf("input of %s: %w", label, err))
		return t
	}
	terms, err := ctx.x.terms(def, o.terms)
	if err != nil {
		c.complete(nil, fmt.Errorf("%s: %w", label, err))
		return t
	}
	o.tags = ctx.x.rt.outgoing(ctx, name, false, o.tags)
	ctx.x.calls++
	call, version, tags := ctx.x.calls, o.version, o.tags
	from := fromActivity
	if def != nil && def.effect == engine.AtMostOnce {
		from = fromUnsafe
	}
	a := &attempts{c: c, from: from, policy: o.retry, start: func(attempt int, before *history.Event) *history.Event {
		own := terms
		if before != nil {
			own = before.Terms // what the first was scheduled with, be it by older code
		}
		return ctx.x.emit(&history.Event{
			Kind: history.TaskScheduled, Name: name, Version: version, Data: input, Tags: tags,
			Call: call, Attempt: int32(attempt), Terms: own,
		})
	}}
	a.try()
	return t
}

// attempts is something that is answered by an event and started again while it
// fails and the policy says so. The waits between are durable timers; everything
// happens in the order of the events, so a replay does the same.
type attempts struct {
	c      *completion
	from   source
	policy *RetryPolicy
	start  func(attempt int, before *history.Event) *history.Event // given the attempt before

	n           int            // attempts so far
	last        *history.Event // the action of the last one
	firstFailed time.Time
}

// try makes the next attempt.
func (a *attempts) try() {
	a.n++
	a.last = a.start(a.n, a.last)
	if a.policy == nil {
		a.start = nil // it is not needed again, and holds the input
	}
	a.c.source, a.c.action, a.c.target, a.c.call = a.from, a.last.ID, a.last.Target, a.last.Call
	a.c.x.expect(a.last.ID, a.answered)
}

// answered takes the answer to the last attempt.
func (a *attempts) answered(ans *history.Event) {
	c, p, x := a.c, a.policy, a.c.x
	err := x.rt.errors.taskError(c.label, ans)
	if a.n == 1 {
		a.firstFailed = x.now
	}
	again := err != nil && p != nil && a.n < p.MaxAttempts && !ans.Failure.NonRetriable && !c.canceled
	if again && p.Retry != nil {
		again, err = p.retry(err)
	}
	if !again {
		x.failed(a.last, err)
		c.complete(ans.Data, err)
		return
	}
	due, terms := x.now.Add(p.interval(a.n)), a.last.Terms
	late := terms != nil && !terms.Deadline.IsZero() && !due.Before(terms.Deadline)
	if late || p.Timeout > 0 && due.Sub(a.firstFailed) >= p.Timeout {
		x.failed(a.last, err)
		c.complete(nil, err)
		return
	}
	c.startTimer(due, a.try)
}

// failed tells the engine that a call of an activity is not tried again.
func (x *executor) failed(ev *history.Event, err error) {
	if err != nil && ev.Kind == history.TaskScheduled && !x.replaying {
		x.over = append(x.over, ev.Call)
	}
}

// retry asks the predicate. One that panics fails the call: it does not run in
// the body, so nothing else would stop the panic.
func (p *RetryPolicy) retry(failed error) (again bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			again, err = false, errors.Join(panicError(r), failed)
		}
	}()
	return p.Retry(failed), failed
}

// ActivityInfo is what an activity's function may know of its call.
type ActivityInfo struct {
	Name      string
	Instance  string // the calling orchestration
	Execution string
	Task      int32 // number of the step that called it
	Attempt   int   // from 1; more only through a retry policy
	// Key is the call's idempotency key: 32 hex digits, the same for each attempt
	// and after each crash, and of no other call.
	Key  string
	Tags map[string]string
	// Deadline is when this attempt is cut off (see [StartToClose] and
	// [ScheduleToClose]), as the context's; zero: never. HeartbeatTimeout is how long
	// it may go without a [Heartbeat]; 0: for ever.
	Deadline         time.Time
	HeartbeatTimeout time.Duration
}

type callKey struct{}

// Info tells an activity's function about its call; false outside of one.
func Info(ctx context.Context) (ActivityInfo, bool) {
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return ActivityInfo{}, false
	}
	return ActivityInfo{
		Name: c.Name, Instance: c.Instance.ID, Execution: c.Instance.Execution, Task: c.ID,
		Attempt: int(c.Attempt), Key: c.Key(), Tags: c.Tags, Deadline: c.Deadline, HeartbeatTimeout: c.HeartbeatTimeout,
	}, true
}

// invoke runs the definition for the engine.
func (a *activity) invoke(ctx context.Context, rt *registry, c *engine.Call) (o engine.Outcome) {
	ctx, span := startActivitySpan(context.WithValue(ctx, callKey{}, c), a, c)
	defer func() {
		if r := recover(); r != nil {
			o = engine.Outcome{Failure: rt.errors.failure(panicError(r))}
		}
		endActivitySpan(span, o)
	}()
	result, err := rt.runActivity(ctx, a, c.Input)
	if err != nil {
		o.Failure = rt.errors.failure(err)
		if o.Failure.Type == engine.UnknownOutcome && len(o.Failure.Properties) == 0 { // as where the engine finds it
			o.Failure.Properties = map[string]json.RawMessage{engine.KeyProperty: json.RawMessage(strconv.Quote(c.Key()))}
		}
		return o
	}
	return engine.Outcome{Result: result}
}

// settle asks the definition's Reconcile for the engine. What kept it from telling
// goes with the answer, for people.
func (a *activity) settle(log *slog.Logger, table *errorTable) func(ctx context.Context, c *engine.Call) (engine.Outcome, engine.Finding) {
	if a.reconcile == nil {
		return nil
	}
	return func(ctx context.Context, c *engine.Call) (o engine.Outcome, found engine.Finding) {
		log := log.With("activity", a.name, "instance", c.Instance.ID, "key", c.Key())
		defer func() {
			if r := recover(); r != nil {
				log.Error("Reconcile panicked", "panic", r)
				o, found = engine.Outcome{Failure: table.failure(panicError(r))}, engine.CannotTell
			}
		}()
		result, happened, err := a.reconcile(context.WithValue(ctx, callKey{}, c), c.Input)
		switch {
		case err != nil:
			log.Error("Reconcile could not tell what became of a call", "err", err)
			return engine.Outcome{Failure: table.failure(err)}, engine.CannotTell
		case !happened:
			return engine.Outcome{}, engine.DidNotHappen
		}
		return engine.Outcome{Result: result}, engine.Happened
	}
}
