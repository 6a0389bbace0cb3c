package mcp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// tries is how often a call is made where making it again is harmless.
const tries = 3

// remote is a tool as the server has it.
type remote struct {
	server *Server
	name   string // the server's
	local  string // the model's
	effect tools.Effect
}

// call makes a call of the tool.
func (r *remote) call(ctx context.Context, arguments json.RawMessage) (tools.Result, error) {
	s := r.server
	for n := 1; ; n++ {
		c, err := s.connected(ctx)
		if err != nil {
			return tools.Result{}, err // nothing has left
		}
		var d delivery
		out, err := r.once(withDelivery(ctx, &d), c, arguments)
		if err == nil {
			c.useful.Store(true)
			return out, nil
		}
		if ctx.Err() != nil {
			return tools.Result{}, s.failed("call "+r.name, ctx.Err()) // what it means, package tools knows
		}
		if answer, ok := errors.AsType[*jsonrpc.Error](err); ok && d.answered() && !errors.Is(err, sdk.ErrConnectionClosed) {
			return tools.Result{}, s.failed("tool "+r.name, errors.New(s.clean(answer.Message, 4<<10)))
		}
		failure := s.failed("call "+r.name, err)
		// Turned away it was by a proxy, or for want of a key; unreadable is what is not in the protocol.
		final := d.harmless() && !d.kept() && !d.forgotten() || d.unreadable()
		if !final {
			s.drop(c)
		}
		mayRepeat := d.harmless() || r.effect.Repeatable()
		switch {
		case s.ctx.Err() != nil:
			failure = s.failed("call "+r.name, errClosed)
		case mayRepeat && !final && n < tries:
			continue
		}
		if mayRepeat {
			return tools.Result{}, failure
		}
		return tools.Result{}, &tools.UnknownOutcomeError{Err: failure}
	}
}

// once makes the call in one session.
func (r *remote) once(ctx context.Context, c *session, arguments json.RawMessage) (tools.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a stream that goes on after its answer
	defer context.AfterFunc(r.server.ctx, cancel)()
	c.calls.Add(1)
	defer c.calls.Add(-1)
	p := &sdk.CallToolParams{Name: r.name, Arguments: arguments, Meta: sdk.Meta{}}
	if key := tools.Key(ctx); key != "" {
		p.Meta[KeyMeta] = key
	}
	token, stop := c.follow(func(v Progress) {
		v.Tool = r.local
		tools.Progress(ctx, v.String())
		if tell := r.server.opts.OnProgress; tell != nil {
			tell(ctx, v)
		}
	})
	defer stop()
	p.SetProgressToken(token)
	res, err := c.CallTool(ctx, p)
	if err != nil {
		return tools.Result{}, err
	}
	if res.NeedsInput() {
		return tools.Result{}, &jsonrpc.Error{Message: "the server asks the client for more input, which it cannot give"}
	}
	return result(res), nil
}

// follow has the reports of a call told, one after the other, until stop has returned. What comes while one is told
// is left out but for the last, so that who listens slowly holds up nothing.
func (c *session) follow(tell func(Progress)) (token string, stop func()) {
	reports, done, idle := make(chan Progress, 1), make(chan struct{}), make(chan struct{})
	c.mu.Lock()
	c.tokens++
	token = fmt.Sprintf("call-%d", c.tokens)
	c.progress[token] = func(p *sdk.ProgressNotificationParams) {
		v := Progress{Done: p.Progress, Total: p.Total, Message: clip(p.Message, 4<<10)}
		select { // only the session's reader sends: when one is taken out there is room
		case <-reports:
		default:
		}
		reports <- v
	}
	c.mu.Unlock()
	go func() {
		defer close(idle)
		for {
			select {
			case v := <-reports:
				tell(v)
			case <-done:
				select { // the last one counts
				case v := <-reports:
					tell(v)
				default:
				}
				return
			}
		}
	}()
	return token, func() {
		c.mu.Lock()
		delete(c.progress, token)
		c.mu.Unlock()
		close(done)
		<-idle
	}
}

// report takes a notification of the server.
func (c *session) report(p *sdk.ProgressNotificationParams) {
	token, _ := p.ProgressToken.(string)
	c.mu.Lock()
	defer c.mu.Unlock()
	if tell := c.progress[token]; tell != nil {
		tell(p)
	}
}
