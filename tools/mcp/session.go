package mcp

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// lasting is how long a session lives that counts as a good one, though it was of no use.
const lasting = 10 * time.Second

// attempts is how often a connection is tried before whoever needs it is told.
const attempts = 5

// olderProtocol is asked for where the newest way to greet a server fails: there are servers that end when the first
// thing they hear is not what they know.
const olderProtocol = "2025-11-25"

// session is one connection, from its greeting to its end.
type session struct {
	*sdk.ClientSession
	gone  chan struct{} // closed when the connection has ended
	close func()        // ends it, once
	began time.Time

	stale    atomic.Bool  // the list of tools has changed
	calls    atomic.Int32 // under way
	useful   atomic.Bool  // a call was answered
	announce bool         // the server says when it does

	mu       sync.Mutex
	tokens   int
	progress map[string]func(*sdk.ProgressNotificationParams)
}

// alive reports whether the connection is there, as far as is known.
func (c *session) alive() bool {
	select {
	case <-c.gone:
		return false
	default:
		return true
	}
}

// connected gives the session, and makes one if there is none. Who comes while one is made waits for it.
func (s *Server) connected(ctx context.Context) (*session, error) {
	if c, err := s.current(); c != nil || err != nil {
		return c, err
	}
	select {
	case s.dialing <- struct{}{}:
		defer func() { <-s.dialing }()
	case <-ctx.Done():
		return nil, s.failed("connect", ctx.Err())
	case <-s.ctx.Done():
		return nil, s.failed("connect", errClosed)
	}
	if c, err := s.current(); c != nil || err != nil {
		return c, err
	}
	return s.connect(ctx)
}

// current gives the session that there is; nil if one must be made.
func (s *Server) current() (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, s.failed("connect", errClosed)
	case s.session != nil && s.session.alive():
		return s.session, nil
	}
	return nil, nil
}

// connect tries to make a session, in the time that there is for it.
func (s *Server) connect(ctx context.Context) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, s.opts.ConnectTimeout)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	var last error
	for n := range attempts {
		if err := s.rest(ctx); err != nil {
			if last == nil {
				last = err
			}
			break
		}
		legacy := s.oldFashioned(n)
		c, err := s.greet(ctx, n, legacy)
		if err == nil {
			return s.adopt(c, legacy)
		}
		last = err
		s.ended(false)
		if ctx.Err() != nil {
			break
		}
	}
	if s.ctx.Err() != nil {
		last = errClosed
	}
	if line := s.stderr.lastLine(); line != "" {
		last = fmt.Errorf("%w (the last line of its standard error: %s)", last, s.clean(line, 300))
	}
	return nil, s.failed("connect", last)
}

// oldFashioned reports whether attempt n greets the server as older ones expect it.
func (s *Server) oldFashioned(n int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.legacy != (n%2 == 1)
}

// rest waits until the server may be started again.
func (s *Server) rest(ctx context.Context) error {
	s.mu.Lock()
	wait := time.Until(s.retryAt)
	s.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// backoff is how long to wait after so many sessions in a row that did not last.
func backoff(quick int) time.Duration {
	if quick <= 0 {
		return 0
	}
	return min(50*time.Millisecond<<min(quick-1, 10), 15*time.Second)
}

// ended takes note of a session's end. After a good one the next may begin at once.
func (s *Server) ended(good bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.quick++; good {
		s.quick = 0
	}
	s.retryAt = time.Now().Add(backoff(s.quick))
}

// greet makes a connection and begins the protocol. The first attempt must leave time for another.
func (s *Server) greet(ctx context.Context, n int, legacy bool) (*session, error) {
	if n == 0 {
		deadline, _ := ctx.Deadline()
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, time.Now().Add(time.Until(deadline)/2))
		defer cancel()
	}
	t, end, err := s.via.dial(s)
	if err != nil {
		return nil, err
	}
	c := &session{gone: make(chan struct{}), began: time.Now(), progress: map[string]func(*sdk.ProgressNotificationParams){}}
	client := sdk.NewClient(&sdk.Implementation{Name: "agentrun", Version: "1"}, &sdk.ClientOptions{
		Capabilities:                &sdk.ClientCapabilities{}, // it offers nothing
		MultiRoundTrip:              &sdk.MultiRoundTripOptions{Disabled: true},
		ToolListChangedHandler:      func(context.Context, *sdk.ToolListChangedRequest) { c.stale.Store(true) },
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { c.report(r.Params) },
	})
	o := &sdk.ClientSessionOptions{}
	if legacy {
		o.ProtocolVersion = olderProtocol
	}
	cs, err := client.Connect(ctx, t, o)
	if err != nil {
		end()
		return nil, err
	}
	c.ClientSession = cs
	c.close = sync.OnceFunc(func() {
		end() // first: it makes whatever hangs on the pipes return
		_ = cs.Close()
		end()
	})
	if r := cs.InitializeResult(); r != nil && r.Capabilities != nil && r.Capabilities.Tools != nil {
		c.announce = r.Capabilities.Tools.ListChanged
	}
	return c, nil
}

// adopt makes c the session, and looks after its end.
func (s *Server) adopt(c *session, legacy bool) (*session, error) {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		c.close()
		return nil, s.failed("connect", errClosed)
	}
	s.session, s.legacy = c, legacy
	s.wg.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.wg.Done()
		err := c.Wait()
		close(c.gone)
		if s.ctx.Err() == nil {
			s.ended(c.useful.Load() || time.Since(c.began) >= lasting)
			if err != nil {
				s.log.Warn("connection lost", "error", scrub(err.Error(), s.via.secrets()))
			} else {
				s.log.Warn("connection ended by the server")
			}
		}
		c.close()
	}()
	return c, nil
}

// drop ends a session that is of no use any more, though the connection may not know it. It does not wait: over HTTP
// other calls may still be answered, and the session ends after them.
func (s *Server) drop(c *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return // Close ends it
	}
	if s.session == c {
		s.session = nil
	}
	s.wg.Go(c.close)
}
