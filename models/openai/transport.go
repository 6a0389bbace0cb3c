package openai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

const (
	// maxLine bounds one line of a stream. Arguments are JSON inside JSON, which at
	// worst doubles them, so that every answer within models.MaxAnswerBytes fits.
	maxLine = 2*models.MaxAnswerBytes + 1<<20
	// maxStray bounds the lines of a stream that are neither data nor comments. The
	// library keeps them all, in case they turn out to be an error.
	maxStray = 1 << 20
	// maxErrorBody bounds what is read of an error's body.
	maxErrorBody = 1 << 20
	// maxEmptyLines is the library's limit for lines without data in a row. Comments
	// never reach it, so this is only for blank lines; maxStray bounds the rest.
	maxEmptyLines = 1 << 20
)

var (
	// errIdle is the cause of an exchange that the server let lie.
	errIdle = errors.New("idle")
	// errTooLong ends a stream that would not fit into memory.
	errTooLong = fmt.Errorf("the stream has a line longer than %d MiB, or as much that is not data", maxLine>>20)
)

// exchange is what the transport notes about one request, for the code above the
// library. All of it happens on the goroutine that ranges over the answer, apart
// from the idle timer.
type exchange struct {
	sent       bool
	status     int
	header     http.Header
	done       bool   // [DONE] was seen
	errorEvent []byte // the JSON of an error event, cut at maxHead
	body       []byte // the beginning of the body, up to maxHead, if it is no stream
	ctx        context.Context
	timer      *time.Timer
	idle       time.Duration
}

type exchangeKey struct{}

// newExchange returns an exchange and the context that carries it. stop ends both.
func newExchange(ctx context.Context, idle time.Duration) (x *exchange, callCtx context.Context, stop func()) {
	callCtx, cancel := context.WithCancelCause(ctx)
	x = &exchange{ctx: callCtx, idle: idle}
	x.timer = time.AfterFunc(idle, func() { cancel(errIdle) })
	return x, context.WithValue(callCtx, exchangeKey{}, x), func() {
		x.timer.Stop()
		cancel(context.Canceled)
	}
}

// stream reports whether the response says that it is a stream of events.
func (x *exchange) stream() bool { return x.media() == "text/event-stream" }

func (x *exchange) media() string {
	media, _, _ := mime.ParseMediaType(x.header.Get("Content-Type"))
	return media
}

// noteBody keeps the beginning of a body that is no stream: it may be an error.
func (x *exchange) noteBody(p []byte) {
	if room := maxHead - len(x.body); room > 0 && !x.stream() {
		x.body = append(x.body, p[:min(room, len(p))]...)
	}
}

func (x *exchange) timedOut() bool { return context.Cause(x.ctx) == errIdle }

// transport sits below the library: it sets the secrets, and notes what the library
// does not tell.
type transport struct {
	next    http.RoundTripper
	headers func(http.Header)
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context()) // a RoundTripper must not change its request
	t.headers(req.Header)
	next := t.next
	if next == nil {
		next = http.DefaultTransport
	}
	x, _ := req.Context().Value(exchangeKey{}).(*exchange)
	if x == nil {
		return next.RoundTrip(req)
	}
	x.sent = true
	resp, err := next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	x.timer.Stop() // eventBody starts it again while it waits
	x.status, x.header = resp.StatusCode, resp.Header
	if resp.StatusCode >= 400 {
		resp.Body = readCloser{io.LimitReader(resp.Body, maxErrorBody), resp.Body}
	} else {
		resp.Body = &eventBody{body: resp.Body, exchange: x}
	}
	return resp, nil
}

type readCloser struct {
	io.Reader
	io.Closer
}

// maxHead is how much of a line is looked at: all of an error event that is shown.
const maxHead = 16 << 10

// eventBody passes a stream on and watches its lines. It leaves out those that have
// no data (comments sent as keep-alive, event names, ids): the library would collect
// them for as long as the answer takes.
type eventBody struct {
	body     io.ReadCloser
	exchange *exchange
	head     []byte // the line being read, up to maxHead
	line     int    // bytes of it so far
	stray    int    // bytes of lines that were passed on and are not data
}

func (b *eventBody) Close() error { return b.body.Close() }

func (b *eventBody) Read(p []byte) (int, error) {
	for {
		// The timer runs only while the server is waited for, not while the consumer
		// of the answer takes its time.
		b.exchange.timer.Reset(b.exchange.idle)
		n, err := b.body.Read(p)
		b.exchange.timer.Stop()
		b.exchange.noteBody(p[:n])
		kept, scanErr := b.scan(p[:n])
		if scanErr != nil {
			return kept, scanErr
		}
		if err == io.EOF {
			b.endLine()
		}
		// An empty read without error would be allowed, but readers give up after many.
		if kept > 0 || err != nil || len(p) == 0 {
			return kept, err
		}
	}
}

// scan notes the lines in p and removes those without data in place. It returns how
// many bytes are left.
func (b *eventBody) scan(p []byte) (int, error) {
	kept := 0
	for kept < len(p) {
		piece := p[kept:]
		end := bytes.IndexByte(piece, '\n') + 1
		if end > 0 {
			piece = piece[:end]
		}
		keep := b.note(piece)
		if b.line > maxLine || b.stray > maxStray {
			return kept, errTooLong
		}
		if end > 0 {
			b.endLine()
		}
		if keep {
			kept += len(piece)
		} else {
			p = append(p[:kept], p[kept+len(piece):]...)
		}
	}
	return kept, nil
}

// note takes a piece of a line and reports whether the line is to be passed on. Its
// first byte decides, since the rest may not be there yet: besides data, lines of a
// JSON body are kept, and none of those begins like a comment or another field.
func (b *eventBody) note(piece []byte) bool {
	if room := maxHead - len(b.head); room > 0 {
		b.head = append(b.head, piece[:min(room, len(piece))]...)
	}
	switch b.head[0] {
	case ':', 'e', 'i', 'r': // a comment, event, id, retry
		return false
	case 'd', '\r', '\n':
	default:
		b.stray += len(piece)
	}
	b.line += len(piece)
	return true
}

// endLine is called at the end of each line.
func (b *eventBody) endLine() {
	if data, ok := bytes.CutPrefix(b.head, []byte("data:")); ok {
		data = bytes.TrimSpace(data)
		switch {
		case string(data) == "[DONE]":
			b.exchange.done = true
		case bytes.HasPrefix(data, []byte(`{"error":`)):
			// The library takes these lines for itself, and loses those whose error is
			// not an object of OpenAI's shape, a plain string for instance.
			b.exchange.errorEvent = bytes.Clone(data)
		}
	}
	b.head, b.line = b.head[:0], 0
}
