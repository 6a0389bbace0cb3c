package models

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
)

// Named is a model of a chain.
type Named struct {
	// Name is what the model is asked as ([Request.Model]), and what the record of the
	// answer calls it.
	Name  string
	Model Model
}

// FallbackOptions says when [Fallback] goes on. The zero value goes on as [Survivable]
// says, and never once something was shown.
type FallbackOptions struct {
	// GoOn says whether the next model is asked after this failure; nil: [Survivable].
	// A chain that ends in a model with a longer context may add KindContextLength.
	GoOn func(*Error) bool
	// Restart lets the chain go on also when a model fails in the middle of its
	// answer. An event with Superseded then tells whoever shows the text to begin
	// again; without Restart such a failure ends the answer.
	Restart bool
	// OnSwitch, if set, is told of each failure after which the model named next is
	// asked.
	OnSwitch func(failed Tried, next string)
}

// Survivable reports whether another model may well answer what this one did not:
// its limits, its account, its key, its servers, or what it said were the reason, and
// not the request. It is what [Fallback] goes by.
func Survivable(e *Error) bool {
	switch e.Kind {
	case KindRateLimit, KindQuota, KindAuth, KindNotFound, KindTimeout, KindUnavailable,
		KindIncomplete, KindMalformed, KindTooLarge, KindUnreachable, KindUnknown:
		return true
	}
	return false
}

// Fallback returns a model that asks the models of a chain, one after the other,
// until one answers. [Response.Answered] names it, and [Response.Tried] says what
// became of those before it.
//
// Where none answers, the error is the one that is best to act on: of those that may
// pass ([Error.Retryable]) the one to be asked again soonest, otherwise the last. Its
// message names every model, and [TriedOf] gives them. So a chain whose first model
// was busy is worth another attempt, whatever the second one said.
//
// Put [WithRetry] around each model to have it asked again before the next one is,
// and around the chain to go through it again.
func Fallback(chain []Named, opts FallbackOptions) Model {
	if opts.GoOn == nil {
		opts.GoOn = Survivable
	}
	return &fallback{append([]Named(nil), chain...), opts}
}

type fallback struct {
	chain []Named
	opts  FallbackOptions
}

func (f *fallback) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var failed []error
		var tried []Tried
		for i, m := range f.chain {
			shown, err := f.ask(ctx, m, req, tried, yield)
			if err == nil {
				return
			}
			failed, tried = append(failed, err), appendTried(tried, m.Name, err)
			last := i+1 == len(f.chain) || ctx.Err() != nil || !f.goesOn(err)
			if last || shown && !f.opts.Restart {
				break
			}
			why := tried[len(tried)-1]
			if shown && !yield(Event{Superseded: &why}, nil) {
				return
			}
			if f.opts.OnSwitch != nil {
				f.opts.OnSwitch(why, f.chain[i+1].Name)
			}
		}
		yield(Event{}, f.failure(ctx, failed, tried))
	}
}

// ask passes on what one model says. It returns the failure, and whether anything
// was shown before; nil if the sequence is over.
func (f *fallback) ask(ctx context.Context, m Named, req *Request, tried []Tried, yield func(Event, error) bool) (shown bool, err error) {
	if m.Model == nil {
		return false, &Error{Kind: KindNotFound, Message: fmt.Sprintf("the chain has no model under the name %q", m.Name)}
	}
	own := *req
	own.Model = m.Name
	for ev, err := range Checked(m.Model.Generate(ctx, &own)) {
		if err != nil {
			return shown, err
		}
		if ev.Response != nil {
			resp := *ev.Response.after(tried)
			if resp.Answered == "" { // unless it is a chain itself
				resp.Answered = m.Name
			}
			ev.Response = &resp
		}
		shown = true
		if !yield(ev, nil) {
			break
		}
	}
	return shown, nil
}

func (f *fallback) goesOn(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && f.opts.GoOn(e)
}

// failure sums up why no model answered.
func (f *fallback) failure(ctx context.Context, failed []error, tried []Tried) error {
	switch {
	case len(failed) == 0:
		return &Error{Kind: KindNotFound, Message: "the chain has no models"}
	case ctx.Err() != nil, len(failed) == 1: // the caller's reason, or nothing to sum up
		return &triedError{failed[len(failed)-1], tried}
	}
	sum := &Error{Err: errors.Join(failed...)}
	var each []string
	again := false
	for i, err := range failed {
		each = append(each, f.chain[i].Name+": "+OneLine(err.Error(), maxTriedMessage))
		e, ok := errors.AsType[*Error](err)
		if !ok || again && (!e.Retryable() || e.RetryAfter >= sum.RetryAfter) {
			continue
		}
		again = e.Retryable()
		sum.Kind, sum.RetryAfter, sum.Permanent = e.Kind, e.RetryAfter, e.Permanent
	}
	sum.Message = fmt.Sprintf("none of %d models answered: %s", len(failed), strings.Join(each, "; "))
	return &triedError{sum, tried}
}
