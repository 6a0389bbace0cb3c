package wire

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

const (
	// maxLine bounds one line of a stream. Arguments are JSON inside JSON, which at
	// worst doubles them, so that every answer within models.MaxAnswerBytes fits.
	maxLine = 2*models.MaxAnswerBytes + 1<<20
	// maxStray bounds the lines of a stream that are neither data nor comments.
	maxStray = 1 << 20
	// maxHead is how much is kept of a body that is no stream.
	maxHead = 16 << 10
	// maxErrorBody bounds what is read of an error's body.
	maxErrorBody = 1 << 20
)

// errTooLong ends a body that would not fit into memory.
var errTooLong = fmt.Errorf("the answer has a line longer than %d MiB, or too much that is no answer", maxLine>>20)

// Transport notes what the library above it does not tell. Requests whose context
// carries no [Exchange] pass through it as they are.
type Transport struct{ next http.RoundTripper }

// NewTransport returns a transport over next; nil means [http.DefaultTransport].
func NewTransport(next http.RoundTripper) *Transport { return &Transport{next} }

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	x, _ := req.Context().Value(exchangeKey{}).(*Exchange)
	if x == nil {
		return next.RoundTrip(req)
	}
	req, err := x.prepare(req)
	if err != nil {
		return nil, err
	}
	resp, err := next.RoundTrip(req)
	if err == nil && resp.StatusCode >= 300 {
		// Read here, since libraries read as much of it as they please.
		var body []byte
		body, _ = io.ReadAll(io.LimitReader(resp.Body, maxErrorBody)) // what came of it tells more than why it broke
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		x.responded(resp, nil, body)
		return resp, nil
	}
	x.responded(resp, err, nil)
	switch {
	case err != nil:
		return nil, err
	case x.watch:
		// A library keeps a whole body, while of a stream it keeps the text, which is
		// counted where it is taken.
		if media := x.media(); media != "text/event-stream" && media != "application/x-ndjson" {
			resp.Body = &limited{ReadCloser: resp.Body, exchange: x, left: maxLine}
		}
	default:
		resp.Body = &eventBody{body: resp.Body, exchange: x}
	}
	return resp, nil
}

// prepare returns the request as it goes out.
func (x *Exchange) prepare(req *http.Request) (*http.Request, error) {
	req = req.Clone(req.Context()) // a RoundTripper must not change its request
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.watch {
		x.voice.host, x.voice.redact = req.URL.Host, redactor(credentials(req))
		x.sendErr, x.status, x.header, x.body = nil, 0, nil, nil // of a request before this one
		return req, nil
	}
	if x.call.Edit != nil {
		if err := edit(req, x.call.Edit); err != nil {
			return nil, fmt.Errorf("edit the request: %w", err)
		}
	}
	req.URL = x.endpoint.chatURL(x.call.Model)
	req.Host = ""
	req.Header.Set("Accept", "text/event-stream")
	x.endpoint.headers(req.Header)
	x.sent = true
	return req, nil
}

// responded notes what came back.
func (x *Exchange) responded(resp *http.Response, err error, body []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.timer != nil {
		x.timer.Stop() // eventBody starts it again while it waits
	}
	x.sendErr = err
	if resp != nil {
		x.status, x.header, x.body = resp.StatusCode, resp.Header, body
	}
}

// credentials returns what may authenticate a request of any library.
func credentials(req *http.Request) []string {
	var secrets []string
	for name, values := range req.Header {
		name = strings.ToLower(name)
		if strings.Contains(name, "auth") || strings.Contains(name, "key") || strings.Contains(name, "token") {
			secrets = append(secrets, values...)
		}
	}
	for _, values := range req.URL.Query() { // Google's key
		secrets = append(secrets, values...)
	}
	slices.Sort(secrets) // a map's order must not decide which one is replaced first
	return secrets
}

// limited ends a body that is longer than any answer.
type limited struct {
	io.ReadCloser
	exchange *Exchange
	left     int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		l.exchange.mu.Lock()
		l.exchange.readErr = errTooLong
		l.exchange.mu.Unlock()
		return 0, errTooLong
	}
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}
