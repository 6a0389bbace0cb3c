package durable

import (
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// CallOption changes one call of an activity or orchestration.
type CallOption func(*callOptions)

type callOptions struct {
	retry    *RetryPolicy
	instance string
	version  string
	tags     map[string]string
	// byDefinition: the version is the definition's own, and nobody asked for it.
	byDefinition bool
	startAt      time.Time
	reuse        []history.Status
	terms        *callTerms

	dropEvents bool
}

// use is where options are given.
type use string

const (
	ofActivity use = "the call of an activity"
	ofChild    use = "the call of an orchestration by another"
	ofStart    use = "the start of an instance by a client"
	ofEntity   use = "the start of an instance by an entity"
	ofContinue use = "ContinueAsNew"
)

// optionsOf gives what options come to, or ErrInvalid for one that means nothing
// where it is given: who gave it thinks that it does.
func optionsOf(u use, opts []CallOption) (callOptions, error) {
	if len(opts) == 0 {
		return callOptions{}, nil // most calls have none, and pay nothing for them
	}
	o := new(callOptions)
	for _, f := range opts {
		f(o)
	}
	for _, x := range []struct {
		name  string
		given bool
		fits  []use
	}{
		{"WithRetry", o.retry != nil, []use{ofActivity, ofChild}},
		{"WithInstanceID", o.instance != "", []use{ofChild, ofStart, ofEntity}},
		{"WithTags", o.tags != nil, []use{ofActivity, ofChild, ofStart, ofEntity}},
		{"WithStartAt", !o.startAt.IsZero(), []use{ofStart}},
		{"WithReuse", len(o.reuse) > 0, []use{ofStart}},
		{"a timeout or WithPriority", o.terms != nil, []use{ofActivity}},
		{"DropEvents", o.dropEvents, []use{ofContinue}},
	} {
		if x.given && !slices.Contains(x.fits, u) {
			return callOptions{}, NonRetriable(fmt.Errorf("%w: %s means nothing for %s", ErrInvalid, x.name, u))
		}
	}
	return *o, nil
}

// WithRetry tries a failed call again, by durable timers between the attempts. It is
// for calls from an orchestration.
func WithRetry(p RetryPolicy) CallOption { return func(o *callOptions) { o.retry = &p } }

// WithInstanceID gives an orchestration that is started the id of its instance,
// at most 100 characters, not beginning with "@". Without it a client gets 32 hex
// digits, and a child an id made from its parent's execution.
func WithInstanceID(id string) CallOption { return func(o *callOptions) { o.instance = id } }

// WithVersion names the version of the definition that is called, in place of the
// definition's own.
func WithVersion(v string) CallOption {
	return func(o *callOptions) { o.version, o.byDefinition = v, false }
}

// WithTags puts tags on an instance, where they stay through ContinueAsNew and go
// over to its children, or on an activity. Later tags win over earlier ones of the
// same name, and a child's own over its parent's.
func WithTags(tags map[string]string) CallOption {
	return func(o *callOptions) {
		if o.tags == nil {
			o.tags = make(map[string]string, len(tags))
		}
		for k, v := range tags {
			o.tags[k] = v
		}
	}
}

// DropEvents makes ContinueAsNew forget the external events that nobody has taken.
func DropEvents() CallOption { return func(o *callOptions) { o.dropEvents = true } }

// WithStartAt lets an instance that a client starts wait until t: it is Pending
// until then, costs nothing, and what is sent to it comes after its start. A time
// that is past is now. It is for clients: a child that is to start later is called
// after a timer, and one that is called with this option fails at once.
func WithStartAt(t time.Time) CallOption { return func(o *callOptions) { o.startAt = t } }

// WithReuse lets an instance that a client starts replace another one of its id
// whose status is among these: everything of the other goes, and one that has not
// ended is terminated first, all in one step. Without it, and for other statuses,
// an id that is taken gives ErrExists. Statuses that have not ended are allowed
// only together with history.Terminated. It is for clients: a child is refused
// its id only while the other one lives.
func WithReuse(statuses ...history.Status) CallOption {
	return func(o *callOptions) { o.reuse = append(o.reuse, statuses...) }
}

// RetryPolicy says how often and when a failed call is tried again.
type RetryPolicy struct {
	MaxAttempts   int           // in all, the first included; 0 or less: 1
	FirstInterval time.Duration // before the second attempt; 0: at once
	Backoff       float64       // factor from one interval to the next; 0: 1
	MaxInterval   time.Duration // 0: no limit
	Timeout       time.Duration // no attempt begins so long after the first one failed; 0: no limit
	// Retry decides for errors that are not marked NonRetriable; nil: all. It must
	// depend on its argument only, since it runs again in each replay.
	Retry func(error) bool
}

// interval gives the wait after a failed attempt, counted from 1.
func (p *RetryPolicy) interval(attempt int) time.Duration {
	limit := float64(1<<63 - 1024) // what fits into a Duration
	if p.MaxInterval > 0 {
		limit = float64(p.MaxInterval)
	}
	d := float64(p.FirstInterval)
	for n := 1; n < attempt && p.Backoff > 0 && d < limit; n++ {
		d *= p.Backoff
	}
	return time.Duration(min(d, limit))
}
