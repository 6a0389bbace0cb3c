package taskhub

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Limits of what crosses the socket.
const (
	maxReceive   = 64 << 20 // bytes of one message: inputs of activities and agents can be large
	maxChunk     = 1 << 20  // bytes of one part of a stream, but for an event that alone is larger
	maxPageBytes = 3 << 20  // bytes of a page: every SDK refuses a message above 4 MiB
	maxPageItems = 1000     // instances or entities in a page
)

// closeGrace is how long Close waits for calls under way.
const closeGrace = 5 * time.Second

// Server serves task hubs on a listener.
type Server struct {
	directory Directory
	info      Info
	grpc      *grpc.Server
	grace     time.Duration
	ending    context.Context // done when Close begins
	end       context.CancelFunc

	served   chan struct{} // closed when the listener is no longer served
	serveErr error

	closing sync.Once
}

// Serve serves hub on lis, which it owns from then on, until Close. info tells clients who serves.
func Serve(lis net.Listener, hub Hub, info Info) *Server {
	return serve(lis, alone{&Service{Hub: hub}}, info)
}

// serve serves the hubs of a directory.
func serve(lis net.Listener, d Directory, info Info) *Server {
	if info.PID == 0 {
		info.PID = os.Getpid()
	}
	if info.Since.IsZero() {
		info.Since = time.Now()
	}
	s := &Server{directory: d, info: info, grace: closeGrace, served: make(chan struct{})}
	s.ending, s.end = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(grpc.MaxRecvMsgSize(maxReceive))
	protocol.RegisterTaskHubSidecarServiceServer(s.grpc, &sidecar{s: s})
	protocol.RegisterLocalServer(s.grpc, &local{s: s})
	go func() {
		defer close(s.served)
		s.serveErr = s.grpc.Serve(lis)
	}()
	return s
}

// Close takes no more calls, tells those who wait for an instance that the program is ending, lets
// the others finish for up to five seconds and then cancels them. It returns when all its
// goroutines have ended, and the socket is gone. The error is why serving had ended before, if it
// had. It is safe to call more than once.
//
// Close the server before the engine, and both before the store's lease is given back.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.end()
		stopped := make(chan struct{})
		go func() {
			s.grpc.GracefulStop() // which waits for the handlers, also after Stop
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-time.After(s.grace):
			s.grpc.Stop()
			<-stopped
		}
	})
	<-s.served
	if errors.Is(s.serveErr, grpc.ErrServerStopped) {
		return nil // closed before it began
	}
	return s.serveErr
}

// whileServing gives the context of a call that may take as long as it likes: it is done also when
// the server closes, with errEnding as its cause.
func (s *Server) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ending, func() { cancel(errEnding) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
