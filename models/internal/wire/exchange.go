package wire

import (
	"context"
	"errors"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// Call is what one request has that its endpoint has not.
type Call struct {
	Model string
	// Turn numbers the answer in its conversation, for ids of calls that have none.
	Turn int
	// Edit changes the fields of the body that the library cannot express; nil leaves
	// it as it is.
	Edit func(Body)
}

// Exchange is one request and its answer. A library may read on a goroutine of its
// own while the answer is taken on another.
type Exchange struct {
	endpoint *Endpoint
	call     Call
	watch    bool // of another protocol: only failures are noted
	ctx      context.Context
	idle     time.Duration

	mu      sync.Mutex
	over    bool // stop was called
	timer   *time.Timer
	voice   voice
	sent    bool
	status  int
	header  http.Header
	sendErr error  // no response came
	readErr error  // the body broke, or was given up
	body    []byte // of a failure, or the beginning of what is no stream
	done    bool   // [DONE] was seen
	fail    error  // what makes the stream no answer
	answer  answer
	events  []models.Event // not taken yet
}

type exchangeKey struct{}

var (
	// errIdle is the cause of an exchange that the server let lie.
	errIdle = errors.New("idle")
	// errStopped is what a library reads once its stream is of no more use.
	errStopped = errors.New("the stream was given up")
)

// lingering is how long a server may take after a finish_reason to send the usage. The
// answer is whole by then, so a server that never closes its stream costs no more.
const lingering = 20 * time.Second

// Begin returns an exchange and the context that carries it. stop ends both; it must
// be called.
func (e *Endpoint) Begin(ctx context.Context, call Call) (x *Exchange, callCtx context.Context, stop func()) {
	callCtx, cancel := context.WithCancelCause(ctx)
	x = &Exchange{endpoint: e, call: call, voice: e.voice, ctx: callCtx, idle: e.idle, answer: answer{turn: call.Turn}}
	x.timer = time.AfterFunc(e.idle, func() { cancel(errIdle) })
	return x, context.WithValue(callCtx, exchangeKey{}, x), func() {
		x.mu.Lock()
		x.over = true
		x.timer.Stop()
		x.mu.Unlock()
		cancel(context.Canceled)
	}
}

// Watch returns an exchange that only notes how requests fail, for a library with a
// protocol of its own. provider is named in errors.
func Watch(ctx context.Context, provider string) (*Exchange, context.Context) {
	x := &Exchange{watch: true, ctx: ctx, voice: voice{provider: provider, redact: redactor(nil)}}
	return x, context.WithValue(ctx, exchangeKey{}, x)
}

// Take returns the events that came since it was last called.
func (x *Exchange) Take() []models.Event {
	x.mu.Lock()
	defer x.mu.Unlock()
	events := x.events
	x.events = nil
	return events
}

// End returns the answer, or why there is none: ctx is the caller's, and libraryErr
// what the library ended with, which counts only if it sent nothing. Everything was
// taken before.
func (x *Exchange) End(ctx context.Context, libraryErr error) (*models.Response, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := models.ContextError(ctx, x.voice.provider); e != nil {
		return nil, e // before anything else: a cancelled stream may end in many ways
	}
	late := context.Cause(x.ctx) == errIdle
	switch {
	case late && x.answer.finish == "":
		return nil, x.voice.idle(x.idle)
	case !x.sent:
		return nil, x.voice.notSent(libraryErr)
	case x.sendErr != nil:
		return nil, x.voice.unreachable(x.sendErr)
	case x.status >= 300 && x.status < 400:
		return nil, x.voice.redirected(x.status, x.header)
	case x.status >= 400:
		return nil, x.voice.said(x.status, x.header, parseWords(x.body))
	case x.fail != nil:
		return nil, x.voice.badStream(x.fail)
	case x.answer.finish == "":
		return nil, x.ended()
	}
	resp, err := x.answer.response()
	if err != nil {
		return nil, x.voice.badStream(err)
	}
	return resp, nil
}

// Failure returns the error of a watched exchange, as far as the network knows it: a
// status of failure, or no response at all. It is nil when the last request was
// answered, and when none went through a [Transport].
func (x *Exchange) Failure() *models.Error {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.sendErr != nil:
		return x.voice.unreachable(x.sendErr)
	case x.status >= 300 && x.status < 400:
		return x.voice.redirected(x.status, x.header)
	case x.status >= 400:
		return x.voice.said(x.status, x.header, parseWords(x.body))
	case errors.Is(x.readErr, errTooLong):
		return &models.Error{Kind: models.KindTooLarge, Provider: x.voice.provider, Message: errTooLong.Error()}
	}
	return nil
}

// Redact removes from text the secrets of the exchange's requests.
func (x *Exchange) Redact(text string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.voice.redact(text)
}

// stream reports whether the response says that it is a stream of events.
func (x *Exchange) stream() bool { return x.media() == "text/event-stream" }

func (x *Exchange) media() string {
	media, _, _ := mime.ParseMediaType(x.header.Get("Content-Type"))
	return media
}

// waiting starts the clock on the server; it reports whether anybody still waits.
func (x *Exchange) waiting() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return false
	}
	idle := x.idle
	if x.answer.finish != "" {
		idle = min(idle, lingering)
	}
	x.timer.Reset(idle)
	return true
}

// data takes the data of one event.
func (x *Exchange) data(raw []byte, isError bool) {
	switch {
	case string(raw) == "[DONE]":
		x.done = true
		return
	case isError:
		x.fail = &eventError{raw}
		return
	}
	events, err := x.answer.add(raw)
	if err != nil {
		x.fail = err
	}
	x.events = append(x.events, events...)
}
