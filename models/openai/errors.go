package openai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
)

// failed classifies the error of a request that gave no stream, or of one that ended
// by the clock. The library's text is not used: it may hold whole URLs and bodies.
func (c *Client) failed(ctx context.Context, x *exchange, err error) error {
	if e := models.ContextError(ctx, providerName); e != nil {
		return e
	}
	if x.timedOut() {
		return &models.Error{Kind: models.KindTimeout, Provider: providerName,
			Message: fmt.Sprintf("%s sent nothing for %s", c.host, x.idle)}
	}
	if !x.sent {
		// Refused by the library itself, which knows rules of some models.
		return &models.Error{Kind: models.KindInvalidRequest, Provider: providerName, Message: c.redact(err.Error())}
	}
	if x.status == 0 {
		return c.unreachable(err)
	}
	var w wireError
	var apiErr *api.APIError
	var reqErr *api.RequestError
	switch {
	case errors.As(err, &reqErr): // first: it may wrap half an APIError
		w = parseWireError(reqErr.Body)
	case errors.As(err, &apiErr):
		w = wireError{code: word(apiErr.Code), kind: apiErr.Type, message: apiErr.Message}
	}
	return c.wire(x.status, x.header, w)
}

// wire makes the error of what a server said.
func (c *Client) wire(status int, header http.Header, w wireError) error {
	e := &models.Error{
		Kind:     classify(status, w),
		Provider: providerName,
		Status:   status,
		Code:     c.redact(models.OneLine(w.code, 100)),
		Message:  c.redact(models.OneLine(w.message, 800)),
	}
	if e.Code == "" {
		e.Code = c.redact(models.OneLine(w.kind, 100))
	}
	if e.Message == "" {
		e.Message = strings.TrimSpace(c.host + " gave no reason: " + http.StatusText(status))
	}
	if e.Retryable() {
		e.RetryAfter = retryAfter(header, time.Now())
	}
	switch e.Kind {
	case models.KindAuth:
		e.Message += "; check the API key for " + c.host
	case models.KindQuota:
		e.Message += "; check the account's credit at " + c.host
	case models.KindNotFound:
		e.Message += "; check the model's name, and that the base URL of " + c.host + " ends in the API's version, such as /v1"
	}
	return e
}

// unreachable is for a request without any response.
func (c *Client) unreachable(err error) error {
	e := &models.Error{Kind: models.KindUnreachable, Provider: providerName}
	var urlErr *url.Error
	if errors.As(err, &urlErr) {
		err = urlErr.Err // its text without the URL
	}
	e.Err = err
	advice := "check the base URL and that the server runs"
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		e.Permanent, advice = true, "check the base URL: there is no such host"
	case errors.As(err, &cert), errors.As(err, &unknown):
		e.Permanent, advice = true, "check the server's certificate, or the base URL"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		e.Permanent, advice = true, "check the base URL: it says https and the server speaks http"
	}
	text := c.redact(err.Error())
	if text != err.Error() {
		e.Err = nil
	}
	e.Message = fmt.Sprintf("cannot reach %s: %s; %s", c.host, models.OneLine(text, 300), advice)
	return e
}

// redirected is for an answer that only names another place.
func (c *Client) redirected(x *exchange) error {
	to := "elsewhere"
	if u, err := url.Parse(x.header.Get("Location")); err == nil && u.Host != "" {
		to = "to " + u.Scheme + "://" + u.Host
	}
	return &models.Error{Kind: models.KindInvalidRequest, Provider: providerName, Status: x.status,
		Message: fmt.Sprintf("%s redirects %s, which is not followed since it would take the key there; set the base URL to the final address", c.host, to)}
}

// ended is for a stream that is over before a finish_reason was seen.
func (c *Client) ended(x *exchange, a *answer, err error) error {
	e := &models.Error{Kind: models.KindIncomplete, Provider: providerName, Status: x.status}
	switch {
	case errors.Is(err, errTooLong):
		e.Kind, e.Message = models.KindTooLarge, errTooLong.Error()
	case errors.Is(err, api.ErrTooManyEmptyStreamMessages):
		e.Kind, e.Message = models.KindMalformed, c.host+" sends lines without data and no answer"
	case a.chunks == 0 && !x.stream():
		if hasError(x.body) { // an error with a status of success
			return c.wire(0, x.header, parseWireError(x.body))
		}
		e.Kind, e.Permanent = models.KindMalformed, true
		e.Message = fmt.Sprintf("%s answered with %q instead of an event stream; check that the base URL ends in the API's version, such as /v1", c.host, x.media())
	case errors.Is(err, io.EOF):
		done := "without [DONE]"
		if x.done {
			done = "with [DONE]"
		}
		e.Message = fmt.Sprintf("%s ended the stream %s and without finish_reason after %d chunks", c.host, done, a.chunks)
	default:
		e.Message = fmt.Sprintf("the stream of %s broke after %d chunks: %s", c.host, a.chunks, c.redact(models.OneLine(err.Error(), 200)))
	}
	return e
}

// eventError is a chunk with an error in it that does not begin like one.
type eventError struct{ raw []byte }

func (e *eventError) Error() string { return "the stream has an error in it" }

// badChunk is for data that makes no answer.
func (c *Client) badChunk(err error) error {
	var ev *eventError
	var typed *models.Error
	switch {
	case errors.As(err, &ev):
		return c.streamError(ev.raw)
	case errors.As(err, &typed):
		typed.Provider = providerName
		return typed
	case errors.Is(err, errFinishedInError):
		return &models.Error{Kind: models.KindUnavailable, Provider: providerName, Message: c.host + ": " + err.Error()}
	}
	return &models.Error{Kind: models.KindMalformed, Provider: providerName, Message: c.host + ": " + c.redact(err.Error())}
}

// streamError is for an error that comes in mid-stream: the status was 200 by then.
func (c *Client) streamError(event []byte) error {
	return c.wire(0, nil, parseWireError(event))
}

// wireError is what servers say about a failure.
type wireError struct{ code, kind, message string }

// parseWireError reads an error's body: OpenAI's envelope, those of its imitators, or
// any text.
func parseWireError(body []byte) wireError {
	var outer struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
		Detail  json.RawMessage `json:"detail"` // FastAPI
	}
	if json.Unmarshal(body, &outer) != nil {
		if looksLikeHTML(body) {
			return wireError{message: "an HTML page instead of an answer"}
		}
		return wireError{message: string(body)}
	}
	var inner struct {
		Code    any    `json:"code"`
		Type    string `json:"type"`
		Message string `json:"message"`
	}
	var text string
	switch {
	case json.Unmarshal(outer.Error, &text) == nil && text != "": // Ollama and others
		return wireError{message: text}
	case len(outer.Error) > 0 && json.Unmarshal(outer.Error, &inner) == nil:
		if f, ok := inner.Code.(float64); ok {
			inner.Code = int(f)
		}
		return wireError{code: word(inner.Code), kind: inner.Type, message: inner.Message}
	case outer.Message != "":
		return wireError{message: outer.Message}
	case len(outer.Detail) > 0:
		return wireError{message: string(outer.Detail)}
	}
	return wireError{message: string(body)}
}

// hasError reports whether a body is JSON with an error in it.
func hasError(body []byte) bool {
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	return json.Unmarshal(body, &outer) == nil && len(outer.Error) > 0 && string(outer.Error) != "null"
}

func looksLikeHTML(body []byte) bool {
	start := strings.ToLower(models.OneLine(string(body), 32))
	return strings.HasPrefix(start, "<!doctype") || strings.HasPrefix(start, "<html")
}

// word returns a code that may be text, a number or nothing.
func word(code any) string {
	if code == nil {
		return ""
	}
	return fmt.Sprint(code)
}

// byWord are codes and types that say more than the status that they come with.
var byWord = map[string]models.ErrorKind{
	"insufficient_quota":         models.KindQuota,
	"billing_hard_limit_reached": models.KindQuota,
	"billing_not_active":         models.KindQuota,
	"context_length_exceeded":    models.KindContextLength,
	"exceed_context_size_error":  models.KindContextLength, // llama.cpp
	"content_filter":             models.KindContentFilter, // Azure
	"content_policy_violation":   models.KindContentFilter,
	"model_not_found":            models.KindNotFound,
	"not_found_error":            models.KindNotFound,
	"invalid_api_key":            models.KindAuth,
	"authentication_error":       models.KindAuth,
	"permission_error":           models.KindAuth,
	"rate_limit_exceeded":        models.KindRateLimit,
	"rate_limit_error":           models.KindRateLimit,
	"server_error":               models.KindUnavailable,
	"overloaded_error":           models.KindUnavailable,
	"service_unavailable":        models.KindUnavailable,
	"engine_overloaded":          models.KindUnavailable,
	"timeout":                    models.KindTimeout,
	"invalid_prompt":             models.KindInvalidRequest,
	"unsupported_parameter":      models.KindInvalidRequest,
	"unsupported_value":          models.KindInvalidRequest,
}

// classify gives the kind of a failure. The code decides, then the type, then the
// status; the text only where a server has nothing else to say.
func classify(status int, w wireError) models.ErrorKind {
	if n, err := strconv.Atoi(w.code); err == nil && status == 0 && n >= 400 && n < 600 {
		status = n // OpenRouter sends the status as code in mid-stream
	}
	for _, name := range []string{w.code, w.kind} {
		if kind, ok := byWord[strings.ToLower(name)]; ok {
			return kind
		}
	}
	text := strings.ToLower(w.message)
	if status == 400 || status == 413 || status == 0 {
		for _, phrase := range []string{"maximum context length", "context length exceeded", "exceeds the available context size"} {
			if strings.Contains(text, phrase) {
				return models.KindContextLength
			}
		}
	}
	switch {
	case w.kind == "invalid_request_error" && status == 0:
		return models.KindInvalidRequest
	case status == 0:
		return models.KindUnavailable
	case status == 401, status == 403, status == 407:
		return models.KindAuth
	case status == 402:
		return models.KindQuota
	case status == 404:
		return models.KindNotFound
	case status == 408, status == 504:
		return models.KindTimeout
	case status == 429:
		return models.KindRateLimit
	case status == 409, status == 425, status >= 500 && status != 501:
		return models.KindUnavailable
	}
	return models.KindInvalidRequest
}

// retryAfter returns how long the server asks to wait, 0 if it does not say:
// Retry-After in seconds or as a date, retry-after-ms, or the later one of OpenAI's
// x-ratelimit-reset headers whose limit is used up.
func retryAfter(h http.Header, now time.Time) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil {
		return seconds(ms / 1000)
	}
	if text := h.Get("Retry-After"); text != "" {
		if s, err := strconv.ParseFloat(text, 64); err == nil {
			return seconds(s)
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(0, at.Sub(now))
		}
	}
	var wait time.Duration
	for _, what := range []string{"Requests", "Tokens"} {
		if h.Get("X-Ratelimit-Remaining-"+what) != "0" {
			continue
		}
		reset := h.Get("X-Ratelimit-Reset-" + what)
		if d, err := time.ParseDuration(reset); err == nil { // OpenAI: "1s", "6m0s"
			wait = max(wait, d)
		} else if s, err := strconv.ParseFloat(reset, 64); err == nil && s < 1e6 { // not a date
			wait = max(wait, seconds(s))
		}
	}
	return wait
}

// seconds is a duration of s seconds, at most a year, so that a wrong header cannot
// overflow it.
func seconds(s float64) time.Duration {
	if !(s > 0) { // NaN too
		return 0
	}
	return time.Duration(min(s, 365*24*3600) * float64(time.Second))
}
