package taskhub

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Limits of what crosses the socket.
const (
	maxReceive   = 64 << 20 // bytes of one message: inputs of activities and agents can be large
	maxChunk     = 1 << 20  // bytes of one part of a stream, but for an event that alone is larger
	maxPageBytes = 3 << 20  // bytes of a page: every SDK refuses a message above 4 MiB
	maxPageItems = 1000     // instances or entities in a page
	maxHeaders   = 64 << 10 // bytes of a call's metadata
	spareStreams = 1000     // calls at a time on one connection, beside the waits
)

// closeGrace is how long Close waits for calls under way.
const closeGrace = 5 * time.Second

// Clients on a network are asked after lookAfter without a word whether they are there, and given
// up after answerIn: what a worker held is needed elsewhere. They may ask likewise, as often as
// pingEvery, calls or not.
const (
	lookAfter = time.Minute
	answerIn  = 20 * time.Second
	pingEvery = 5 * time.Second
)

// Server serves task hubs on a listener.
type Server struct {
	directory Directory
	options   ServerOptions
	info      Info
	grpc      *grpc.Server
	health    *health.Server
	grace     time.Duration
	ending    context.Context // done when Close begins
	end       context.CancelFunc
	watcher   sync.WaitGroup

	served   chan struct{} // closed when the listener is no longer served
	serveErr error

	closing sync.Once
}

// Serve serves one hub on lis, which it owns from then on, until Close. info tells clients who
// serves.
func Serve(lis net.Listener, hub Hub, info Info) *Server {
	return ServeAll(lis, alone{&Service{Hub: hub}}, ServerOptions{Info: info})
}

// ServeAll serves the hubs of a directory on lis, which it owns from then on, until Close: a Unix
// socket (see [Listen]), or an address of a network, where options should name TLS and Access unless
// only this machine reaches it. Beside the protocol there are gRPC's health service, for "" and for
// each service, and reflection.
func ServeAll(lis net.Listener, d Directory, o ServerOptions) *Server {
	o = o.withDefaults()
	if o.Info.PID == 0 {
		o.Info.PID = os.Getpid()
	}
	if o.Info.Since.IsZero() {
		o.Info.Since = time.Now()
	}
	s := &Server{directory: d, options: o, info: o.Info, grace: o.Grace, health: health.NewServer(), served: make(chan struct{})}
	s.ending, s.end = context.WithCancel(context.Background())
	s.grpc = grpc.NewServer(s.settings(strings.HasPrefix(lis.Addr().Network(), "tcp"))...)
	protocol.RegisterTaskHubSidecarServiceServer(s.grpc, &sidecar{s: s})
	protocol.RegisterLocalServer(s.grpc, &local{s: s})
	for name := range s.grpc.GetServiceInfo() {
		s.health.SetServingStatus(name, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	go func() {
		defer close(s.served)
		s.serveErr = s.grpc.Serve(lis)
	}()
	return s
}

// settings are those of gRPC. The order of the interceptors is that in which they see a call.
func (s *Server) settings(network bool) []grpc.ServerOption {
	b := &bounds{Limits: s.options.Limits, waits: map[string]int{}}
	unary := []grpc.UnaryServerInterceptor{s.recoverUnary}
	stream := []grpc.StreamServerInterceptor{s.recoverStream}
	if s.options.Access != nil {
		g := &guard{access: s.options.Access, log: s.options.Logger, long: map[*guarded]struct{}{}}
		s.watcher.Go(func() { g.watch(s.ending) })
		unary, stream = append(unary, g.unary), append(stream, g.stream)
	}
	settings := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(append(unary, b.unary)...),
		grpc.ChainStreamInterceptor(stream...),
		grpc.MaxRecvMsgSize(min(b.Message, math.MaxInt/roomFor) * roomFor),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.MaxConcurrentStreams(uint32(min(b.Waits, math.MaxUint32-spareStreams) + spareStreams)),
	}
	if s.options.TLS != nil {
		settings = append(settings, grpc.Creds(credentials.NewTLS(s.options.TLS)))
	}
	if network {
		settings = append(settings,
			grpc.KeepaliveParams(keepalive.ServerParameters{Time: lookAfter, Timeout: answerIn}),
			grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingEvery, PermitWithoutStream: true}))
	}
	return settings
}

func stack() string { return string(debug.Stack()) }

// Close takes no more calls, tells those who wait for an instance that the program is ending, lets
// the others finish for the grace of the options and then cancels them. It returns when all its
// goroutines have ended, and the socket is gone. The error is why serving had ended before, if it
// had. It is safe to call more than once.
//
// Close the server before the engine, and both before the store's lease is given back.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.grace)
	defer cancel()
	return s.Shutdown(ctx)
}

// Drain says that the server is ending, in its health and to those who wait or come to wait, and ends
// the connections on which workers get work. All other calls are still taken, until Close.
func (s *Server) Drain() {
	s.health.Shutdown()
	s.end()
}

// Shutdown is Close with a grace of the caller's: it lasts until ctx is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.closing.Do(func() {
		s.Drain()
		stopped := make(chan struct{})
		go func() {
			s.grpc.GracefulStop() // which waits for the handlers, also after Stop
			close(stopped)
		}()
		select {
		case <-stopped:
		case <-ctx.Done():
			s.grpc.Stop()
			<-stopped
		}
		s.watcher.Wait()
	})
	<-s.served
	if errors.Is(s.serveErr, grpc.ErrServerStopped) {
		return nil // closed before it began
	}
	return s.serveErr
}

// Done is closed when the listener is no longer served: because of Close, or by an error that Close
// then gives.
func (s *Server) Done() <-chan struct{} { return s.served }

// whileServing gives the context of a call that may take as long as it likes: it is done also when
// the server closes, with ErrEnding as its cause.
func (s *Server) whileServing(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ending, func() { cancel(ErrEnding) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}
