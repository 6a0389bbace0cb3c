package models

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestErrorText(t *testing.T) {
	tests := []struct {
		err  Error
		want string
	}{
		{Error{}, "unknown"},
		{Error{Kind: KindQuota, Provider: "openai", Status: 429, Code: "insufficient_quota", Message: "pay"}, "openai: quota (status 429, insufficient_quota): pay"},
		{Error{Kind: KindRateLimit, Message: "two\r\n lines", RetryAfter: 3 * time.Second}, "rate_limit: two lines; retry after 3s"},
		{Error{Kind: KindQuota, Code: "quota"}, "quota"},
	}
	for _, tt := range tests {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got  %q\nwant %q", got, tt.want)
		}
	}
}

func TestRetryable(t *testing.T) {
	want := map[ErrorKind]bool{
		KindRateLimit: true, KindTimeout: true, KindUnavailable: true, KindIncomplete: true, KindMalformed: true, KindUnreachable: true,
		KindUnknown: false, KindQuota: false, KindAuth: false, KindNotFound: false, KindInvalidRequest: false, KindContextLength: false,
		KindContentFilter: false, KindTooLarge: false, KindNoAnswer: false, KindNoUsage: false, KindCanceled: false, "": false,
	}
	for kind, retry := range want {
		if got := (&Error{Kind: kind}).Retryable(); got != retry {
			t.Errorf("%s: retryable %t", kind, got)
		}
		if (&Error{Kind: kind, Permanent: true}).Retryable() {
			t.Errorf("%s: retryable although permanent", kind)
		}
	}
}

func TestKindOf(t *testing.T) {
	for want, err := range map[ErrorKind]error{
		"":           nil,
		KindUnknown:  errors.New("x"),
		KindQuota:    fmt.Errorf("x: %w", &Error{Kind: KindQuota}),
		KindCanceled: fmt.Errorf("x: %w", context.Canceled),
		KindTimeout:  context.DeadlineExceeded,
	} {
		if got := KindOf(err); got != want {
			t.Errorf("KindOf(%v) = %q; want %q", err, got, want)
		}
	}
}

func TestContextError(t *testing.T) {
	if e := ContextError(t.Context(), "p"); e != nil {
		t.Errorf("error %v of a live context", e)
	}
	why := errors.New("the budget is spent")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	e := ContextError(ctx, "p")
	if e.Kind != KindCanceled || !errors.Is(e, context.Canceled) || !errors.Is(e, why) || !strings.Contains(e.Error(), why.Error()) {
		t.Errorf("error is %v", e)
	}
}

// TestErrorJSON pins the stored form.
func TestErrorJSON(t *testing.T) {
	got, err := json.Marshal(&Error{Kind: KindRateLimit, Provider: "openai", Status: 429, Code: "c", Message: "m", RetryAfter: time.Second, Permanent: true, Err: errors.New("x")})
	const want = `{"kind":"rate_limit","provider":"openai","status":429,"code":"c","message":"m","retryAfter":1000000000,"permanent":true}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestOneLine(t *testing.T) {
	if got := OneLine(" a\n\tb\x00 \xff", 100); got != "a b\x00 \uFFFD" {
		t.Errorf("got %q", got)
	}
	for limit := range 12 {
		got := OneLine(strings.Repeat("世", 1000), limit)
		if !utf8.ValidString(got) || len(got) > limit+len("…") {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
}
