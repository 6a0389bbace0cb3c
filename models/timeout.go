package models

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// Timeouts bound how long an answer may take. Zero is no bound.
type Timeouts struct {
	// FirstToken is the time until the model says anything at all: text, reasoning or
	// a tool call.
	FirstToken time.Duration
	// Total is the time until the answer is complete, that which the reader takes for
	// its events included.
	Total time.Duration
}

// WithTimeouts returns a model that gives up answers of m that take too long, with an
// [*Error] of KindTimeout that says which bound it was. That is worth another attempt.
//
// Inside [WithRetry] or [Fallback] the bounds are for each attempt, outside for all
// attempts and the waits between them. The model is stopped by its context, as
// [Model] promises that it can be.
func WithTimeouts(m Model, t Timeouts) Model { return &timed{m, t} }

type timed struct {
	model Model
	t     Timeouts
}

// outOfTime is why a context ended. It is the cause of no other context.
type outOfTime struct{ what string }

func (e *outOfTime) Error() string { return e.what }
func (e *outOfTime) Unwrap() error { return context.DeadlineExceeded }

func (m *timed) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		first := &outOfTime{fmt.Sprintf("the model said nothing within %s", m.t.FirstToken)}
		total := &outOfTime{fmt.Sprintf("the answer was not complete within %s", m.t.Total)}
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		stopFirst := after(m.t.FirstToken, func() { cancel(first) })
		defer stopFirst()
		defer after(m.t.Total, func() { cancel(total) })()
		for ev, err := range Checked(m.model.Generate(ctx, req)) {
			if err != nil {
				yield(Event{}, late(ctx, err, first, total))
				return
			}
			if ev.size() > 0 || ev.Response != nil {
				stopFirst()
			}
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// late returns the error of the bound that ended the answer, or err if none did.
func late(ctx context.Context, err error, bounds ...*outOfTime) error {
	cause, ok := errors.AsType[*outOfTime](context.Cause(ctx))
	e, isError := errors.AsType[*Error](err)
	if isError && e.Status != 0 { // the server did answer, at that very moment
		return err
	}
	for _, b := range bounds {
		if ok && b == cause {
			out := &Error{Kind: KindTimeout, Message: b.what, Err: b}
			if isError {
				out.Provider = e.Provider
			}
			if tried := TriedOf(err); tried != nil {
				return &triedError{out, tried}
			}
			return out
		}
	}
	return err
}

// after calls f once d has passed, unless it is stopped before.
func after(d time.Duration, f func()) (stop func()) {
	if d <= 0 {
		return func() {}
	}
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}
