package taskhub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Remote is a hub that another process serves: one connection to one program. When that program
// ends, every call fails with [ErrUnavailable]; a new Dial finds its successor. While a call is
// under way the Remote asks every second whether the program still lives; if it keeps silent, all
// calls fail with [ErrNoAnswer], and so do later ones.
type Remote struct {
	store   string // what messages call it
	info    Info
	conn    *grpc.ClientConn
	pending chan net.Conn // the connection, until gRPC takes it
	hub     protocol.TaskHubSidecarServiceClient
	local   protocol.LocalClient

	timeout, lookEvery, callWithin time.Duration

	ctx     context.Context // of all calls; its cause is why there can be none any more
	end     context.CancelCauseFunc
	watcher sync.WaitGroup
	calls   atomic.Int64 // under way
}

// Info says which program serves the hub.
func (r *Remote) Info() Info { return r.info }

// Close ends the connection. Calls under way fail with [ErrClosed]. It is safe to call more than
// once.
func (r *Remote) Close() error {
	r.end(ErrClosed)
	r.watcher.Wait()
	return nil
}

// hangUp closes whatever there is of a connection.
func (r *Remote) hangUp() {
	if r.conn != nil {
		_ = r.conn.Close() // it can only fail by being closed
	}
	select {
	case c := <-r.pending:
		_ = c.Close()
	default:
	}
}

// watch makes sure that the holder lives while somebody waits for it, and hangs up when it does not
// or the Remote is closed.
func (r *Remote) watch() {
	defer r.hangUp()
	tick := time.NewTicker(r.lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-tick.C:
		}
		if r.calls.Load() == 0 {
			continue
		}
		ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
		_, err := r.local.Handshake(ctx, &protocol.HandshakeRequest{ProtocolVersion: protocolVersion})
		cancel()
		if status.Code(err) == codes.DeadlineExceeded {
			r.end(r.silent())
		}
		// Any other error is the connection's end, which every call hears of by itself.
	}
}

// begin gives the context for one call: it ends with the caller's, with the Remote, and, if within
// is not 0, after that time.
func (r *Remote) begin(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.ctx, func() { cancel(context.Cause(r.ctx)) })
	// No deadline of ours is set: gRPC would tell it to the holder, whose clock could answer first,
	// and then it would look like the caller's.
	var timer *time.Timer
	if within != 0 {
		timer = time.AfterFunc(within, func() { cancel(r.late(within)) })
	}
	r.calls.Add(1)
	return ctx, func() {
		r.calls.Add(-1)
		if timer != nil {
			timer.Stop()
		}
		stop()
		cancel(nil)
	}
}

// late is the error about a call that a living holder does not answer.
func (r *Remote) late(within time.Duration) error {
	return &callError{fmt.Sprintf("%s, which holds %s, lives but has not done this for %v; its messages may say why (a disk that is full or slow?)",
		r.info, r.store, within), ErrNoAnswer}
}

// explain makes of a failed call the error that the hub would give in this process. ctx is the
// caller's, call the one of begin.
func (r *Remote) explain(ctx, call context.Context, req proto.Message, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if cause := context.Cause(r.ctx); cause != nil {
		return cause // call may not have heard of it yet
	}
	if cause := context.Cause(call); cause != nil {
		return cause
	}
	switch code := status.Code(err); code {
	case codes.Unavailable:
		return r.gone(err)
	case codes.Internal, codes.ResourceExhausted:
		if n := proto.Size(req); n > maxReceive {
			return fmt.Errorf("%w: it has %d bytes, and a request can have %d", engine.ErrInvalid, n, maxReceive)
		}
		if _, bad := proto.Marshal(req); bad != nil {
			return fmt.Errorf("%w: it holds text that is not UTF-8", engine.ErrInvalid)
		}
	}
	return fromStatus(err)
}

// A method is one of a generated client.
type method[Req, Resp any] func(context.Context, Req, ...grpc.CallOption) (Resp, error)

// unary makes a call that the holder answers as soon as it can, or if within is 0, when it likes.
func unary[Req proto.Message, Resp any](ctx context.Context, r *Remote, within time.Duration, m method[Req, Resp], req Req) (resp Resp, err error) {
	call, end := r.begin(ctx, within)
	defer end()
	resp, err = m(call, req)
	if err != nil {
		return resp, r.explain(ctx, call, req, err)
	}
	return resp, nil
}

// stream makes a call that is answered by parts. It takes as long as there are some.
func stream[Req proto.Message, Part any](ctx context.Context, r *Remote, m method[Req, grpc.ServerStreamingClient[Part]], req Req) iter.Seq2[*Part, error] {
	return func(yield func(*Part, error) bool) {
		call, end := r.begin(ctx, 0)
		defer end() // also frees the stream of who has heard enough
		parts, err := m(call, req)
		for err == nil {
			var part *Part
			if part, err = parts.Recv(); err == nil && !yield(part, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, r.explain(ctx, call, req, err))
		}
	}
}
