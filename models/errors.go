package models

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrorKind says what kind of failure an [Error] is.
type ErrorKind string

// Kinds of failures. Those marked with a plus are worth another attempt.
const (
	KindUnknown        ErrorKind = "unknown"
	KindRateLimit      ErrorKind = "rate_limit"      // + too many requests; RetryAfter may say when
	KindQuota          ErrorKind = "quota"           // the account has no credit left
	KindAuth           ErrorKind = "auth"            // the key is missing, wrong, or may not do this
	KindNotFound       ErrorKind = "not_found"       // no such model, or no such path
	KindInvalidRequest ErrorKind = "invalid_request" // the provider refuses the request as it is
	KindContextLength  ErrorKind = "context_length"  // the conversation is longer than the model can read
	KindContentFilter  ErrorKind = "content_filter"  // the provider refuses to answer this
	KindTimeout        ErrorKind = "timeout"         // + no answer in time
	KindUnavailable    ErrorKind = "unavailable"     // + overloaded or broken on the provider's side
	KindIncomplete     ErrorKind = "incomplete"      // + the stream ended before the answer did
	KindMalformed      ErrorKind = "malformed"       // + an answer that cannot be used
	KindTooLarge       ErrorKind = "too_large"       // an answer above MaxAnswerBytes
	KindUnreachable    ErrorKind = "unreachable"     // + no connection to the provider
	KindNoAnswer       ErrorKind = "no_answer"       // a script or a recording has no answer to this
	KindNoUsage        ErrorKind = "no_usage"        // an answer that does not say what it took, where that is needed
	KindCanceled       ErrorKind = "canceled"        // the caller gave up
)

// Error is how every model fails. It never contains a key.
type Error struct {
	Kind ErrorKind `json:"kind"`
	// Provider names who failed: "openai", "scripted".
	Provider string `json:"provider,omitempty"`
	// Status is the HTTP status, 0 when there was none.
	Status int `json:"status,omitempty"`
	// Code is the provider's own word for it, such as "insufficient_quota".
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	// RetryAfter is how long the provider asked to wait, 0 when it did not say.
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
	// Permanent marks a failure that another attempt cannot change although its
	// Kind is one of those that often pass, such as a host name that does not exist.
	Permanent bool `json:"permanent,omitempty"`
	// Err is the cause, where it says more than Message (context.Canceled, say).
	Err error `json:"-"`
}

// Error returns one line: provider, kind, status and code, message.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Provider != "" {
		b.WriteString(e.Provider + ": ")
	}
	kind := e.Kind
	if kind == "" {
		kind = KindUnknown
	}
	b.WriteString(string(kind))
	var detail []string
	if e.Status != 0 {
		detail = append(detail, fmt.Sprintf("status %d", e.Status))
	}
	if e.Code != "" && e.Code != string(kind) {
		detail = append(detail, e.Code)
	}
	if len(detail) > 0 {
		b.WriteString(" (" + strings.Join(detail, ", ") + ")")
	}
	if e.Message != "" {
		b.WriteString(": " + OneLine(e.Message, 1000))
	}
	if e.RetryAfter > 0 {
		fmt.Fprintf(&b, "; retry after %s", e.RetryAfter)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Retryable reports whether the same request may succeed later.
func (e *Error) Retryable() bool {
	if e.Permanent {
		return false
	}
	switch e.Kind {
	case KindRateLimit, KindTimeout, KindUnavailable, KindIncomplete, KindMalformed, KindUnreachable:
		return true
	}
	return false
}

// KindOf returns the kind of err: that of the [*Error] in it, KindCanceled or
// KindTimeout for the errors of a context, KindUnknown otherwise, and "" for nil.
func KindOf(err error) ErrorKind {
	var e *Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e) && e.Kind != "":
		return e.Kind
	case errors.Is(err, context.Canceled):
		return KindCanceled
	case errors.Is(err, context.DeadlineExceeded):
		return KindTimeout
	}
	return KindUnknown
}

// ContextError returns the error of a call that ended because its context did, or
// nil when ctx is not done. The result unwraps to the context's cause.
func ContextError(ctx context.Context, provider string) *Error {
	err := ctx.Err()
	if err == nil {
		return nil
	}
	e := &Error{Kind: KindCanceled, Provider: provider, Message: "the caller cancelled the request", Err: err}
	if errors.Is(err, context.DeadlineExceeded) {
		e.Kind, e.Message = KindTimeout, "the caller's deadline passed before the answer was complete"
	}
	if cause := context.Cause(ctx); cause != err {
		e.Message += ": " + cause.Error()
		e.Err = errors.Join(err, cause)
	}
	return e
}

// OneLine returns s on one line and at most limit bytes long, for use in messages:
// white space becomes single blanks and what is cut is replaced by "…".
func OneLine(s string, limit int) string {
	if len(s) > 4*limit { // do not copy megabytes to show a line
		s = s[:4*limit]
	}
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "\uFFFD")), " ")
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
