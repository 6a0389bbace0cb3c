package durable

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// The times that bound an activity have Temporal's names. Each is an option of
// the definition, and one of a call (With…), which wins; a call's stays with it
// across restarts, a definition's is that of the program that runs. A time of zero
// or less is no bound; at a call it takes the definition's away.
//
// When such a time is over, the context of the function ends and the call fails
// at once with an error for which IsTimeout is true. Nobody waits for a function
// that ignores its context, and its result is dropped; but until it returns it
// counts among the activities that run. Of an AtMostOnce activity that was
// running nobody knows then whether it took effect: its call fails like one
// that was cut off by a crash, with an error for which UnknownOutcome is true,
// unless Reconcile knows. (It is asked when the function has returned, or does not within 10 s;
// if it says "did not happen" of one that has returned, that is a timeout.)

// StartToClose bounds one attempt of an activity, from when its function is
// called. A RetryPolicy tries a call again after it.
func StartToClose(d time.Duration) ActivityOption {
	return func(a *activity) { a.startToClose = max(d, 0) }
}

// ScheduleToClose bounds a call of an activity with all its attempts and the
// waits before and between them, from when the first attempt is scheduled. No
// attempt begins after it, one that runs is cut off, and one that waits for its
// start fails without having run. It counts on while no program runs. Beside it,
// a RetryPolicy's own Timeout applies, which counts from the first failure.
//
// Unlike the other times of a definition it is that of the program that
// scheduled the call.
func ScheduleToClose(d time.Duration) ActivityOption {
	return func(a *activity) { a.scheduleToClose = max(d, 0) }
}

// HeartbeatTimeout bounds the time between two calls of [Heartbeat], and before the
// first, so that a stuck attempt is noticed long before its StartToClose. A
// RetryPolicy tries a call again after it.
func HeartbeatTimeout(d time.Duration) ActivityOption {
	return func(a *activity) { a.heartbeat = max(d, 0) }
}

// WithStartToClose is [StartToClose] for one call.
func WithStartToClose(d time.Duration) CallOption {
	return func(o *callOptions) { o.own().startToClose = bound(d) }
}

// WithScheduleToClose is [ScheduleToClose] for one call.
func WithScheduleToClose(d time.Duration) CallOption {
	return func(o *callOptions) { o.own().scheduleToClose = bound(d) }
}

// WithHeartbeatTimeout is [HeartbeatTimeout] for one call.
func WithHeartbeatTimeout(d time.Duration) CallOption {
	return func(o *callOptions) { o.own().heartbeat = bound(d) }
}

// WithPriority says how urgent a call of an activity is: from 1, which is served
// first, to 5; 3 without it. It counts where calls wait for their start, for a
// free place among Options.Activities or a limit of their own: higher priorities
// go first, and within one the instances take turns. A lower priority that has
// been passed over 16 times has one call started, so nothing waits for ever.
func WithPriority(p int) CallOption { return func(o *callOptions) { o.own().priority = &p } }

// callTerms is what a call asks of the times and order in which it is served; 0 is
// as defined, and below 0 no bound.
type callTerms struct {
	startToClose, scheduleToClose, heartbeat time.Duration
	priority                                 *int
}

func (o *callOptions) own() *callTerms {
	if o.terms == nil {
		o.terms = &callTerms{}
	}
	return o.terms
}

func bound(d time.Duration) time.Duration {
	if d <= 0 {
		return -1
	}
	return d
}

// terms makes what is recorded of a call that is scheduled now; nil for most.
func (x *executor) terms(def *activity, own *callTerms) (*history.Terms, error) {
	within := time.Duration(0)
	if def != nil {
		within = def.scheduleToClose
	}
	if own == nil && within <= 0 {
		return nil, nil
	}
	t := &history.Terms{}
	if own != nil {
		t.StartToClose, t.Heartbeat = own.startToClose, own.heartbeat
		if own.scheduleToClose != 0 {
			within = own.scheduleToClose
		}
		if p := own.priority; p != nil {
			if *p < 1 || *p > 5 {
				return nil, fmt.Errorf("its priority is %d: it must be from 1, the highest, to 5", *p)
			}
			t.Priority = int32(*p)
		}
	}
	if within > 0 {
		t.Deadline = x.now.Add(within)
	}
	return t, nil
}

// Timeout is one of the times that bound an activity.
type Timeout = engine.Timeout

// The timeouts, as TimeoutOf gives them; "" is none.
const (
	TimeoutStartToClose    = engine.StartToClose
	TimeoutScheduleToClose = engine.ScheduleToClose
	TimeoutHeartbeat       = engine.HeartbeatTimeout
)

// IsTimeout reports whether err is of an activity whose time was over; see
// [TimeoutOf].
func IsTimeout(err error) bool { return TimeoutOf(err) != "" }

// TimeoutOf tells which time of an activity was over; "" if err is something
// else. It understands the error of a call, and the cause (context.Cause) with
// which the context of the activity's function ended. A call of an activity that is
// [AtMostOnce] and was cut off has an unknown outcome instead, see [UnknownOutcome].
func TimeoutOf(err error) Timeout {
	var f *history.Failure
	if errors.As(err, &f) {
		if which, ok := timeout(f.Type); ok {
			return which
		}
	}
	var t *TaskFailedError
	for errors.As(err, &t) {
		if which, ok := timeout(t.Type); ok {
			return which
		}
		err = t.Cause
	}
	return ""
}

func timeout(failure string) (Timeout, bool) {
	switch which := Timeout(failure); which {
	case TimeoutStartToClose, TimeoutScheduleToClose, TimeoutHeartbeat:
		return which, true
	}
	return "", false
}

// Causes with which the context of an activity's function ends, beside that its
// time is over (see [TimeoutOf]). context.Cause tells which.
var (
	// ErrCanceled: the orchestration gave the call up, mostly because it has ended
	// itself. The function's result is dropped.
	ErrCanceled = engine.ErrCanceled
	// ErrClosed: the runtime is being closed. The call goes on with the next
	// program that opens the hub.
	ErrClosed = engine.ErrClosed
)

// errNoCall is what needs an activity gets elsewhere.
var errNoCall = errors.New("the context is not that of an activity's function")

// Heartbeat tells that an activity's function is alive and how far it is: any
// JSON value, for [Progress]; nil leaves the progress as it is. It is cheap, so
// it may be called with each item of a long work. Progress is written to the
// store at most once a second for each call, and with the failure of an attempt; a
// crash may take the last second with it.
//
// An error says that the function should end, and why: it is the cause with which
// its context ended.
func Heartbeat(ctx context.Context, progress any) error {
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return fmt.Errorf("heartbeat: %w", errNoCall)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	p, err := encode(progress)
	if err != nil {
		return fmt.Errorf("progress of activity %s: %w", c.Name, err)
	}
	return c.Heartbeat(p)
}

// Progress gives what an activity's function has told last by [Heartbeat], in this
// attempt of the call or an earlier one, perhaps before a crash; false if nothing.
// An error of its form counts as nothing: a function that cannot read what an
// older one wrote begins anew.
func Progress[T any](ctx context.Context) (T, bool) {
	var zero T
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return zero, false
	}
	p, ok := c.Progress()
	if !ok || p == nil {
		return zero, false
	}
	v, err := decode[T](p, "progress of activity ", c.Name)
	if err != nil {
		return zero, false
	}
	return v, true
}

// PendingActivity is a call of an activity that was scheduled and not answered.
type PendingActivity = engine.PendingActivity

// Activities lists what an instance waits for, with its progress, in the order in
// which it was scheduled. It is for this process only: the protocol by which
// others reach the hub has no such question.
func (rt *Runtime) Activities(ctx context.Context, id string) ([]PendingActivity, error) {
	return rt.engine.Activities(ctx, id)
}
