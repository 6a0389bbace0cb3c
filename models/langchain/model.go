package langchain

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/tmc/langchaingo/llms"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/internal/wire"
)

// Options configure a [Model]. The zero value works for a library's model that has its
// own name set.
type Options struct {
	// Provider names the service in errors; "" means "langchain".
	Provider string
	// Model, if set, is passed to the library. Request.Model never is: it is the
	// program's name for this model, while the library's model was made for one.
	Model string
	// JSONMode answers requests with an output schema by the library's JSON mode and an
	// instruction that quotes the schema. Nothing enforces the schema then; without
	// JSONMode such requests are refused.
	JSONMode bool
	// OnePartPerMessage sends an assistant's text and calls as messages of one part
	// each, as llms/anthropic needs: it drops all but the first.
	OnePartPerMessage bool
	// CallOptions are given to each call after what the request asks for.
	CallOptions []llms.CallOption
}

// Model is a [models.Model] over a model of the library.
type Model struct {
	llm  llms.Model
	opts Options
}

// New returns a model that asks llm, which must be safe for concurrent use and heed the
// context of its calls, as the library's own are and do.
func New(llm llms.Model, opts Options) *Model {
	if opts.Provider == "" {
		opts.Provider = "langchain"
	}
	return &Model{llm, opts}
}

// HTTPClient returns the client to give to a library's model, by its WithHTTPClient, so
// that failures are known by status and Retry-After. next sends the requests; nil means
// [http.DefaultTransport]. The client follows no redirects, as they would carry the key
// to another host.
func HTTPClient(next http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: wire.NewTransport(next),
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}
}

// Generate implements [models.Model]. It returns only when the library has.
func (m *Model) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return wire.Checked(m.opts.Provider, func(yield func(models.Event, error) bool) {
		if err := m.generate(ctx, req, yield); err != nil {
			yield(models.Event{}, err)
		}
	})
}

// generate makes one call of the library. It returns nil when the consumer left.
func (m *Model) generate(ctx context.Context, req *models.Request, yield func(models.Event, error) bool) error {
	messages, options, err := m.request(req)
	if err != nil {
		return refuse(m.opts.Provider, err)
	}
	if e := models.ContextError(ctx, m.opts.Provider); e != nil {
		return e // not every model of the library looks before it works
	}
	x, callCtx := wire.Watch(ctx, m.opts.Provider)
	c := m.call(callCtx, messages, options, len(req.Tools) == 0)
	defer c.end()
	streamed := 0
	var text strings.Builder
	for chunk := range c.chunks {
		streamed++
		text.WriteString(chunk)
		if !yield(models.Event{Delta: chunk}, nil) {
			return nil
		}
	}
	if e := models.ContextError(ctx, m.opts.Provider); e != nil {
		return e // the library returns a cancelled answer as a whole one
	}
	if c.err != nil {
		return m.failed(x, c.err)
	}
	resp, reasoning, err := m.answer(c.resp, models.AssistantTurns(req.Messages)+1)
	if err != nil {
		if e := x.Failure(); e != nil { // the library made an answer of it
			return e
		}
		return err
	}
	if reasoning != "" && !yield(models.Event{Reasoning: reasoning}, nil) {
		return nil
	}
	rest, ok := strings.CutPrefix(resp.Message.Content, text.String())
	if !ok {
		return &models.Error{Kind: models.KindMalformed, Provider: m.opts.Provider, Message: "the library streamed another text than the one it returned"}
	}
	return m.show(resp, rest, yield)
}

// show passes on what was not streamed, and the answer.
func (m *Model) show(resp *models.Response, rest string, yield func(models.Event, error) bool) error {
	if err := resp.Validate(); err != nil {
		return err
	}
	unseen := *resp
	unseen.Message.Content = rest
	for ev := range models.Stream(&unseen) {
		if ev.Response != nil {
			ev.Response = resp
		}
		if !yield(ev, nil) {
			return nil
		}
	}
	return nil
}

// call is a call of the library under way. resp and err are set once chunks is closed.
type call struct {
	chunks chan string
	resp   *llms.ContentResponse
	err    error
	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// call starts one. Models of the library call back on goroutines of their own choice,
// so the call has one of its own too, and end waits for it.
func (m *Model) call(ctx context.Context, messages []llms.MessageContent, options []llms.CallOption, stream bool) *call {
	c := &call{chunks: make(chan string)}
	ctx, c.cancel = context.WithCancel(ctx)
	if stream {
		options = append(options, llms.WithStreamingFunc(func(_ context.Context, chunk []byte) error {
			if len(chunk) == 0 { // most begin and end with nothing
				return nil
			}
			select {
			case c.chunks <- string(chunk):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
	}
	c.wg.Go(func() {
		defer close(c.chunks)
		defer func() {
			if p := recover(); p != nil {
				c.err = fmt.Errorf("the library panicked: %v", p) // here, nobody else could
			}
		}()
		c.resp, c.err = m.llm.GenerateContent(ctx, messages, options...)
	})
	return c
}

func (c *call) end() {
	c.cancel()
	c.wg.Wait()
}

// failed classifies the error of a call: by what the network showed, if it was watched.
// The library's own codes are guesses from its texts, and not used.
func (m *Model) failed(x *wire.Exchange, err error) error {
	if e := x.Failure(); e != nil {
		return e
	}
	if e, ok := errors.AsType[*models.Error](err); ok {
		return e
	}
	e := &models.Error{Kind: models.KindOf(err), Provider: m.opts.Provider, Message: x.Redact(err.Error())}
	var netErr net.Error
	if errors.As(err, &netErr) {
		e.Kind = models.KindUnreachable
		if netErr.Timeout() {
			e.Kind = models.KindTimeout
		}
		var urlErr *url.Error
		if errors.As(err, &urlErr) {
			e.Message = x.Redact(urlErr.Err.Error()) // the URL may have a key in it
		}
	}
	return e
}
