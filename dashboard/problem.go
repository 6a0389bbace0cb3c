package dashboard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// problem is an error as a caller sees it (RFC 9457). Its type is that of no document of its own;
// Code is what programs tell problems apart by.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

func (p *problem) Error() string { return p.Detail }

// invalid makes the problem of a request that cannot be right.
func invalid(format string, args ...any) error {
	return &problem{Status: http.StatusBadRequest, Code: "invalid", Detail: fmt.Sprintf(format, args...)}
}

// missing makes the problem of a request for what there is not.
func missing(format string, args ...any) error {
	return &problem{Status: http.StatusNotFound, Code: "not_found", Detail: fmt.Sprintf(format, args...)}
}

// problems pairs errors with the problems that they are. Of several that could match, the first
// counts.
var problems = []struct {
	err    error
	status int
	code   string
}{
	{ErrUnauthenticated, http.StatusUnauthorized, "unauthenticated"},
	{ErrForbidden, http.StatusForbidden, "forbidden"},
	{agents.ErrNotCounted, http.StatusConflict, "not_counted"},
	{durable.ErrExists, http.StatusConflict, "exists"},
	{durable.ErrNotEnded, http.StatusConflict, "not_ended"},
	{durable.ErrCannotRewind, http.StatusConflict, "cannot_rewind"},
	{durable.ErrSetAside, http.StatusInternalServerError, "set_aside"},
	{durable.ErrInvalid, http.StatusBadRequest, "invalid"},
	{durable.ErrClosed, http.StatusServiceUnavailable, "unavailable"},
	{taskhub.ErrUnavailable, http.StatusServiceUnavailable, "unavailable"},
	{taskhub.ErrNoAnswer, http.StatusServiceUnavailable, "unavailable"},
}

// advice is what to do about a problem, where the error does not know.
var advice = map[string]string{
	"not_found":   "look whether its id and the hub are right; it may have been purged",
	"not_ended":   "terminate it first, or wait for its end",
	"exists":      "choose another id",
	"set_aside":   "its data has to be repaired, and the server started again; everything else goes on",
	"unavailable": "the server is starting or ending; try again in a moment, and look whether the change was made",
}

// problemOf says what an error is to the caller.
func problemOf(err error) *problem {
	var p *problem
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		done := *p
		p = &done
	case errors.As(err, &large):
		p = &problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: fmt.Sprintf("the request has more than %d bytes; send less", large.Limit)}
	case errors.Is(err, context.DeadlineExceeded):
		p = &problem{Status: http.StatusServiceUnavailable, Code: "timeout", Detail: "the task hub did not answer in time; a change may still be made, so look before you try again"}
	default:
		p = &problem{Status: http.StatusInternalServerError, Code: "internal", Detail: err.Error()}
		if durable.IsNotFound(err) {
			p.Status, p.Code = http.StatusNotFound, "not_found"
		}
		for _, known := range problems {
			if errors.Is(err, known.err) {
				p.Status, p.Code = known.status, known.code
				break
			}
		}
		if a := advice[p.Code]; a != "" {
			p.Detail += "; " + a
		}
	}
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	p.Detail = visible(p.Detail)
	return p
}

// fail answers with an error: a problem for programs, a page for people.
func (c *call) fail(err error) {
	if c.r.Context().Err() == context.Canceled {
		return // nobody is there any more
	}
	p := problemOf(err)
	if p.Status >= http.StatusInternalServerError {
		c.Logger.Error("http request failed", "method", c.r.Method, "path", c.r.URL.Path, "status", p.Status, "error", err)
	}
	api := strings.HasPrefix(c.r.URL.Path, "/api/")
	switch p.Status {
	case http.StatusUnauthorized:
		challenge := "Basic realm=\"agentrun\", charset=\"UTF-8\""
		if api {
			challenge = "Bearer realm=\"agentrun\""
		}
		c.w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		c.w.Header().Set("Retry-After", "1")
	}
	if api {
		c.w.Header().Set("Content-Type", "application/problem+json")
		c.send(p.Status, p)
		return
	}
	c.render(p.Status, "error", view{Title: p.Title, Body: p})
}

// send answers with JSON, of the type application/json unless another is set.
func (c *call) send(status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		c.Logger.Error("http answer has no JSON form", "path", c.r.URL.Path, "error", err)
		status = http.StatusInternalServerError
		b.Reset()
	}
	if c.w.Header().Get("Content-Type") == "" {
		c.w.Header().Set("Content-Type", "application/json")
	}
	c.w.WriteHeader(status)
	_, _ = c.w.Write(b.Bytes()) // the caller may have gone
}
