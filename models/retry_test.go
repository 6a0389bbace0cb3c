package models

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// flaky fails with each of errs in turn, then answers.
func flaky(errs ...error) (modelFunc, *int) {
	calls := new(int)
	return func(_ context.Context, y func(Event, error) bool) {
		*calls++
		if *calls <= len(errs) {
			y(Event{}, errs[*calls-1])
			return
		}
		_ = y(Event{Delta: "hi"}, nil) && y(Event{Response: say("hi")}, nil)
	}, calls
}

func busy(after time.Duration) error { return &Error{Kind: KindUnavailable, RetryAfter: after} }

func TestRetryWaits(t *testing.T) {
	limit := &Error{Kind: KindRateLimit, RetryAfter: 7 * time.Second}
	tests := []struct {
		name  string
		opts  RetryOptions
		errs  []error
		rand  float64
		waits []time.Duration
		calls int
		kind  ErrorKind // "" for success
	}{
		{"at once", RetryOptions{}, nil, 0, nil, 1, ""},
		{"doubling", RetryOptions{}, []error{busy(0), busy(0), busy(0)}, 0, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}, 4, ""},
		{"jitter takes off up to half", RetryOptions{}, []error{busy(0)}, 0.5, []time.Duration{375 * time.Millisecond}, 2, ""},
		{"four attempts", RetryOptions{}, []error{busy(0), busy(0), busy(0), busy(0), busy(0)}, 0, []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second}, 4, KindUnavailable},
		{"no retry", RetryOptions{MaxAttempts: 1}, []error{busy(0)}, 0, nil, 1, KindUnavailable},
		{"longest interval", RetryOptions{MaxAttempts: 70, FirstInterval: time.Hour, MaxInterval: 3 * time.Hour}, slices.Repeat([]error{busy(0)}, 65), 0,
			append([]time.Duration{time.Hour, 2 * time.Hour}, slices.Repeat([]time.Duration{3 * time.Hour}, 63)...), 66, ""},
		{"as the provider asks", RetryOptions{}, []error{limit, busy(0)}, 0, []time.Duration{7 * time.Second, time.Second}, 3, ""},
		{"never earlier than asked", RetryOptions{}, []error{limit}, 0.9, []time.Duration{7*time.Second + 450*time.Millisecond}, 2, ""},
		{"too long to wait", RetryOptions{}, []error{busy(time.Hour)}, 0, nil, 1, KindUnavailable},
		{"longer wait allowed", RetryOptions{MaxRetryAfter: 2 * time.Hour}, []error{busy(time.Hour)}, 0, []time.Duration{time.Hour}, 2, ""},
		{"quota", RetryOptions{}, []error{&Error{Kind: KindQuota}}, 0, nil, 1, KindQuota},
		{"wrong key after a busy moment", RetryOptions{}, []error{busy(0), &Error{Kind: KindAuth}}, 0, []time.Duration{500 * time.Millisecond}, 2, KindAuth},
		{"unknown error", RetryOptions{}, []error{errors.New("x")}, 0, nil, 1, KindUnknown},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, calls := flaky(tt.errs...)
			var waits, told []time.Duration
			tt.opts.Rand = func() float64 { return tt.rand }
			tt.opts.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
			tt.opts.OnRetry = func(attempt int, err error, wait time.Duration) {
				if attempt != len(told)+1 || err == nil {
					t.Errorf("told of attempt %d, error %v", attempt, err)
				}
				told = append(told, wait)
			}
			_, err := Collect(WithRetry(m, tt.opts).Generate(t.Context(), &Request{}))
			if KindOf(err) != tt.kind || *calls != tt.calls {
				t.Errorf("error %v after %d calls; want kind %q after %d", err, *calls, tt.kind, tt.calls)
			}
			if !slices.Equal(waits, tt.waits) || !slices.Equal(told, tt.waits) {
				t.Errorf("waits %v, told %v; want %v", waits, told, tt.waits)
			}
		})
	}
}

// TestNoRetryOnceShown is the rule that no text is shown twice.
func TestNoRetryOnceShown(t *testing.T) {
	calls := 0
	m := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		calls++
		_ = y(Event{Delta: "half an ans"}, nil) && y(Event{}, busy(0))
	})
	opts := RetryOptions{Sleep: func(context.Context, time.Duration) error { t.Error("waited"); return nil }}
	text := ""
	var failure error
	for ev, err := range WithRetry(m, opts).Generate(t.Context(), &Request{}) {
		text, failure = text+ev.Delta, err
	}
	var e *Error
	if calls != 1 || text != "half an ans" || !errors.As(failure, &e) || !e.Retryable() {
		t.Errorf("%d calls, text %q, error %v; want one call and its retryable error", calls, text, failure)
	}
}

// TestRetryUnusableAnswer shows that answers which Checked refuses are asked for again.
func TestRetryUnusableAnswer(t *testing.T) {
	calls := 0
	m := modelFunc(func(_ context.Context, y func(Event, error) bool) {
		calls++
		if calls > 1 {
			y(Event{Response: say("hi")}, nil)
		} else {
			y(Event{Response: say("")}, nil)
		}
	})
	opts := RetryOptions{Sleep: func(context.Context, time.Duration) error { return nil }}
	if resp, err := Collect(WithRetry(m, opts).Generate(t.Context(), &Request{})); err != nil || resp.Message.Content != "hi" || calls != 2 {
		t.Errorf("answer %+v, error %v, %d calls", resp, err, calls)
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, calls := flaky(busy(30 * time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := Collect(WithRetry(m, RetryOptions{}).Generate(ctx, &Request{}))
		if KindOf(err) != KindTimeout || !strings.Contains(err.Error(), "before that: unavailable") || *calls != 1 {
			t.Errorf("error %v after %d calls", err, *calls)
		}
		if d := time.Since(began); d != time.Second {
			t.Errorf("returned after %s", d)
		}
	})
}

func TestRetryReallyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, _ := flaky(busy(30 * time.Second))
		began := time.Now()
		if _, err := Collect(WithRetry(m, RetryOptions{}).Generate(t.Context(), &Request{})); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d < 30*time.Second || d > 31*time.Second {
			t.Errorf("returned after %s; want 30s and a little", d)
		}
	})
}
