package models

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"time"
)

// RetryOptions says how [WithRetry] repeats. The zero value is four attempts within
// some seconds, or as long as the provider asks for, up to a minute.
type RetryOptions struct {
	// MaxAttempts counts the first one too; 0 means 4, 1 means no retry.
	MaxAttempts int
	// FirstInterval is the wait before the second attempt, doubled for each further
	// one up to MaxInterval; 0 means 500 ms and 30 s. A random half of each wait is
	// taken off, so that callers who failed together do not come back together.
	FirstInterval time.Duration
	MaxInterval   time.Duration
	// MaxRetryAfter is the longest wait that a provider may ask for; 0 means one
	// minute. A longer one ends the call at once: the error says how long, and the
	// caller may have better things to do, such as asking another model.
	MaxRetryAfter time.Duration
	// OnRetry, if set, is told of each failed attempt that is about to be repeated
	// after wait. attempt counts from 1.
	OnRetry func(attempt int, err error, wait time.Duration)

	// Sleep waits for d or until ctx is done, and Rand returns a number in [0,1).
	// They are for tests; nil means the real ones.
	Sleep func(ctx context.Context, d time.Duration) error
	Rand  func() float64
}

// WithRetry returns a model that repeats failed attempts of m.
//
// It repeats an attempt only if its error is [Error.Retryable] and if no event of it
// was passed on: text that was shown cannot be taken back here. An attempt that
// fails later ends the sequence with its error, and whoever holds the turn asks
// again. Quota, a wrong key, a request that is refused or too long: what cannot
// succeed is not repeated. A Retry-After is waited for, never cut short.
//
// Attempts are counted: those before an answer are in its Tried, those before a
// failure in what [TriedOf] gives. The last error is returned as it was, with the
// number of attempts before it; [errors.As] finds the [*Error].
func WithRetry(m Model, opts RetryOptions) Model {
	if opts.MaxAttempts == 0 {
		opts.MaxAttempts = 4
	}
	if opts.FirstInterval == 0 {
		opts.FirstInterval = 500 * time.Millisecond
	}
	if opts.MaxInterval == 0 {
		opts.MaxInterval = 30 * time.Second
	}
	if opts.MaxRetryAfter == 0 {
		opts.MaxRetryAfter = time.Minute
	}
	if opts.Sleep == nil {
		opts.Sleep = sleep
	}
	if opts.Rand == nil {
		opts.Rand = rand.Float64
	}
	return &retrier{m, opts}
}

type retrier struct {
	model Model
	opts  RetryOptions
}

func (r *retrier) Generate(ctx context.Context, req *Request) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		var tried []Tried
		for attempt := 1; ; attempt++ {
			err := r.attempt(ctx, req, tried, yield)
			if err == nil {
				return
			}
			tried = appendTried(tried, req.Model, err)
			wait, again := r.next(ctx, attempt, err)
			if !again {
				if attempt > 1 {
					err = &triedError{fmt.Errorf("attempt %d: %w", attempt, err), tried}
				}
				yield(Event{}, err)
				return
			}
			if r.opts.OnRetry != nil {
				r.opts.OnRetry(attempt, err, wait)
			}
			if r.opts.Sleep(ctx, wait) != nil {
				if e := ContextError(ctx, ""); e != nil {
					// What failed before matters more to a reader than that the wait was cut.
					e.Message += "; before that: " + err.Error()
					err = e
				}
				yield(Event{}, &triedError{err, tried})
				return
			}
		}
	}
}

// attempt passes one attempt on. It returns an error only while nothing was yielded;
// one that comes later goes to the consumer here.
func (r *retrier) attempt(ctx context.Context, req *Request, tried []Tried, yield func(Event, error) bool) error {
	shown := false
	for ev, err := range Checked(r.model.Generate(ctx, req)) {
		if err != nil && !shown {
			return err
		}
		shown = true
		if err != nil && len(tried) > 0 {
			err = &triedError{err, appendTried(tried, req.Model, err)}
		}
		ev.Response = ev.Response.after(tried)
		if !yield(ev, err) {
			return nil
		}
	}
	return nil
}

// next decides whether to try again after err, and after how long.
func (r *retrier) next(ctx context.Context, attempt int, err error) (time.Duration, bool) {
	var e *Error
	if attempt >= r.opts.MaxAttempts || ctx.Err() != nil || !errors.As(err, &e) || !e.Retryable() {
		return 0, false
	}
	if e.RetryAfter > r.opts.MaxRetryAfter {
		return 0, false
	}
	wait := r.opts.FirstInterval
	for range attempt - 1 {
		if wait >= r.opts.MaxInterval { // also what keeps the doubling from overflowing
			break
		}
		wait *= 2
	}
	wait = min(wait, r.opts.MaxInterval)
	wait -= time.Duration(r.opts.Rand() * float64(wait) / 2)
	if e.RetryAfter > 0 {
		// Never before the time that was asked for, and not all at that instant.
		wait = e.RetryAfter + time.Duration(r.opts.Rand()*float64(r.opts.FirstInterval))
	}
	return wait, true
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
