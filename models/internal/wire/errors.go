package wire

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// voice makes errors of a provider at a host, without secrets. The texts of libraries
// are not used where the network said something: they hold whole URLs and bodies, or
// nothing of use.
type voice struct {
	provider, host string
	redact         func(string) string
}

func (v *voice) err(kind models.ErrorKind, format string, args ...any) *models.Error {
	return &models.Error{Kind: kind, Provider: v.provider, Message: fmt.Sprintf(format, args...)}
}

// Checked is [models.Checked] for a provider, which its errors name.
func Checked(provider string, seq iter.Seq2[models.Event, error]) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) {
		for ev, err := range models.Checked(seq) {
			if e, ok := err.(*models.Error); ok && e.Provider == "" {
				named := *e // it may be somebody else's
				named.Provider, err = provider, &named
			}
			if !yield(ev, err) {
				return
			}
		}
	}
}

// idle is for a server that let its caller wait.
func (v *voice) idle(d time.Duration) error {
	return v.err(models.KindTimeout, "%s sent nothing for %s", v.host, d)
}

// notSent is for what a library refuses by itself: it knows rules of some models.
func (v *voice) notSent(err error) error {
	if err == nil {
		return v.err(models.KindUnknown, "the library sent no request to %s", v.host)
	}
	return v.err(models.KindInvalidRequest, "%s", v.redact(err.Error()))
}

// said makes the error of what a server said.
func (v *voice) said(status int, header http.Header, w words) *models.Error {
	// Secrets are taken out first: half of one, which a cut leaves, is none that is known.
	e := v.err(classify(status, w), "%s", models.OneLine(v.redact(w.message), 800))
	e.Status = status
	e.Permanent = e.Kind == models.KindRateLimit && neverFits(w.message)
	e.Code = models.OneLine(v.redact(w.code), 100)
	if e.Code == "" {
		e.Code = models.OneLine(v.redact(w.kind), 100)
	}
	if e.Message == "" {
		e.Message = strings.TrimSpace(v.host + " gave no reason: " + http.StatusText(status))
	}
	if e.Retryable() {
		e.RetryAfter = retryAfter(header, time.Now())
	}
	switch e.Kind {
	case models.KindAuth:
		e.Message += "; check the API key for " + v.host
	case models.KindQuota:
		e.Message += "; check the account's credit at " + v.host
	case models.KindNotFound:
		e.Message += "; check the model's name, and that the base URL of " + v.host + " ends in the API's version, such as /v1"
	}
	return e
}

// unreachable is for a request without any response.
func (v *voice) unreachable(err error) *models.Error {
	e := &models.Error{Kind: models.KindUnreachable, Provider: v.provider, Err: err}
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
	text := v.redact(err.Error())
	if text != err.Error() {
		e.Err = nil
	}
	e.Message = fmt.Sprintf("cannot reach %s: %s; %s", v.host, models.OneLine(text, 300), advice)
	return e
}

// redirected is for an answer that only names another place.
func (v *voice) redirected(status int, header http.Header) *models.Error {
	to := "elsewhere"
	if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
		to = "to " + u.Scheme + "://" + u.Host
	}
	e := v.err(models.KindInvalidRequest, "%s redirects %s, which is not followed since it would take the key there; set the base URL to the final address", v.host, to)
	e.Status = status
	return e
}

// eventError is an event that says what went wrong: the status was 200 by then.
type eventError struct{ raw []byte }

func (e *eventError) Error() string { return "the stream has an error in it" }

// badStream is for data that makes no answer.
func (v *voice) badStream(err error) error {
	var ev *eventError
	var typed *models.Error
	switch {
	case errors.As(err, &ev):
		return v.said(0, nil, parseWords(ev.raw))
	case errors.As(err, &typed):
		typed.Provider = v.provider
		return typed
	case errors.Is(err, errTooLong):
		return v.err(models.KindTooLarge, "%s", errTooLong.Error())
	case errors.Is(err, errFinishedInError):
		return v.err(models.KindUnavailable, "%s: %s", v.host, err.Error())
	}
	return v.err(models.KindMalformed, "%s: %s", v.host, v.redact(err.Error()))
}

// ended is for a stream that is over before a finish_reason was seen.
func (x *Exchange) ended() error {
	v, chunks := &x.voice, x.answer.chunks
	e := v.err(models.KindIncomplete, "")
	e.Status = x.status
	switch {
	case chunks == 0 && !x.stream():
		if hasError(x.body) { // an error with a status of success
			return v.said(0, x.header, parseWords(x.body))
		}
		e.Kind, e.Permanent = models.KindMalformed, true
		e.Message = fmt.Sprintf("%s answered with %q instead of an event stream; check that the base URL ends in the API's version, such as /v1", v.host, x.media())
	case x.readErr != nil && x.readErr != io.EOF:
		e.Message = fmt.Sprintf("the stream of %s broke after %d chunks: %s", v.host, chunks, models.OneLine(v.redact(x.readErr.Error()), 200))
	default:
		done := "without [DONE]"
		if x.done {
			done = "with [DONE]"
		}
		e.Message = fmt.Sprintf("%s ended the stream %s and without finish_reason after %d chunks", v.host, done, chunks)
	}
	return e
}
