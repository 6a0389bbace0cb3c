package models

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slow says a word after each of the waits, and then answers, unless its context ends.
func slow(waits ...time.Duration) modelFunc {
	return func(ctx context.Context, y func(Event, error) bool) {
		for _, d := range waits {
			if sleep(ctx, d) != nil {
				y(Event{}, ContextError(ctx, "test"))
				return
			}
			if !y(Event{Delta: "word "}, nil) {
				return
			}
		}
		y(Event{Response: say("done")}, nil)
	}
}

func TestTimeouts(t *testing.T) {
	s := time.Second
	tests := []struct {
		name  string
		t     Timeouts
		m     Model
		after time.Duration
		says  string // "" for an answer
	}{
		{"none", Timeouts{}, slow(time.Hour, time.Hour), 2 * time.Hour, ""},
		{"in time", Timeouts{FirstToken: 2 * s, Total: 10 * s}, slow(s, 5*s), 6 * s, ""},
		{"first token", Timeouts{FirstToken: 2 * s, Total: 10 * s}, slow(5*s, s), 2 * s, "test: timeout: the model said nothing within 2s"},
		{"the first token only", Timeouts{FirstToken: 2 * s}, slow(s, time.Hour), time.Hour + s, ""},
		{"total", Timeouts{FirstToken: 2 * s, Total: 10 * s}, slow(s, s, time.Hour), 10 * s, "test: timeout: the answer was not complete within 10s"},
		{"no error of the context", Timeouts{Total: s}, modelFunc(func(ctx context.Context, y func(Event, error) bool) {
			<-ctx.Done()
			y(Event{}, errors.New("network error"))
		}), s, "timeout: the answer was not complete within 1s"},
		{"no error at all", Timeouts{Total: s}, modelFunc(func(ctx context.Context, _ func(Event, error) bool) { <-ctx.Done() }), s, "timeout: the answer was not complete within 1s"},
		{"the server answered just then", Timeouts{Total: s}, modelFunc(func(ctx context.Context, y func(Event, error) bool) {
			<-ctx.Done()
			y(Event{}, &Error{Kind: KindAuth, Status: 401})
		}), s, "auth (status 401)"},
		{"outer bound", Timeouts{Total: s}, WithTimeouts(slow(time.Hour), Timeouts{FirstToken: time.Minute}), s, "test: timeout: the answer was not complete within 1s"},
		{"each attempt", Timeouts{Total: time.Minute}, WithRetry(WithTimeouts(slow(time.Hour), Timeouts{FirstToken: s}),
			RetryOptions{MaxAttempts: 3, FirstInterval: s, Rand: func() float64 { return 0 }}), 6 * s, "attempt 3: test: timeout: the model said nothing within 1s"},
		{"all attempts", Timeouts{Total: 2 * s}, WithRetry(fails(busy(30*s)), RetryOptions{}), 2 * s, "timeout: the answer was not complete within 2s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				_, err := Collect(WithTimeouts(tt.m, tt.t).Generate(t.Context(), &Request{}))
				if d := time.Since(began); d != tt.after {
					t.Errorf("ended after %s, not %s", d, tt.after)
				}
				if err == nil && tt.says == "" {
					return
				}
				if err == nil || tt.says == "" || !strings.HasPrefix(err.Error(), tt.says) {
					t.Fatalf("error %v; want %q", err, tt.says)
				}
				e, ok := errors.AsType[*Error](err)
				if tt.name == "all attempts" && len(TriedOf(err)) != 1 {
					t.Errorf("tried %+v", TriedOf(err))
				}
				if timeout := strings.Contains(tt.says, "timeout"); !ok || timeout && (e.Kind != KindTimeout || !e.Retryable() || errors.Is(err, context.Canceled)) {
					t.Errorf("error %#v", e)
				}
			})
		})
	}
}

// TestTimeoutOfCaller shows that the caller's own end stays what it is.
func TestTimeoutOfCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := Collect(WithTimeouts(slow(time.Hour), Timeouts{FirstToken: time.Minute, Total: time.Minute}).Generate(ctx, &Request{}))
		if KindOf(err) != KindCanceled || !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

// TestTimeoutLeavesNothing shows that a reader that leaves stops the timers and the model.
func TestTimeoutLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails if a goroutine stays behind
		var inner context.Context
		m := modelFunc(func(ctx context.Context, y func(Event, error) bool) {
			inner = ctx
			y(Event{Delta: "a"}, nil)
		})
		for range WithTimeouts(m, Timeouts{FirstToken: time.Hour, Total: time.Hour}).Generate(t.Context(), &Request{}) {
			break
		}
		if inner.Err() == nil {
			t.Error("the model's context goes on")
		}
	})
}
