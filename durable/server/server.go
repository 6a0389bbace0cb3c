package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
)

// Server serves the hubs of a store. Its methods may be called from any goroutine.
type Server struct {
	options Options
	hubs    *hubs
	tokens  *access.File // nil: none is asked for

	lisGRPC, lisHTTP net.Listener
	grpc             *taskhub.Server
	http             *http.Server
	httpServed       chan struct{} // closed when HTTP is no longer served

	closing  sync.Once
	closeErr error
	draining chan struct{} // closed when Close or Drain begins
	done     chan struct{} // closed when the server stopped, or cannot go on
	mu       sync.Mutex
	err      error // why it cannot go on
}

// Open opens the hubs of a store and serves them. If another process has the store, the error is a
// *durable.HeldError, at once. definitions run in this process, in every hub.
func Open(ctx context.Context, o Options, definitions ...durable.Definition) (*Server, error) {
	s := &Server{options: o.withDefaults(), httpServed: make(chan struct{}), draining: make(chan struct{}), done: make(chan struct{})}
	if s.options.RequireToken {
		path, err := TokenFile(o.Store)
		if err != nil {
			return nil, err
		}
		s.tokens = access.Open(path)
	}
	if err := s.listen(ctx); err != nil {
		return nil, errors.Join(s.heldBy(ctx, err), s.unlisten())
	}
	s.hubs = s.directory(definitions)
	if err := s.openStore(ctx); err != nil {
		return nil, errors.Join(err, s.hubs.close(), s.unlisten())
	}
	s.grpc = taskhub.ServeAll(s.lisGRPC, s.hubs, s.wire())
	s.serveHTTP()
	go s.watch()
	return s, nil
}

// watch ends with the serving of gRPC. Where that is not because of Drain, the server cannot go on.
func (s *Server) watch() {
	<-s.grpc.Done()
	select {
	case <-s.draining:
	default:
		s.fail(errors.New("gRPC is no longer served: its address was lost"))
	}
}

func (s *Server) listen(ctx context.Context) (err error) {
	if s.lisGRPC, err = s.options.listen(ctx, "--grpc", s.options.GRPC); err != nil {
		return err
	}
	s.lisHTTP, err = s.options.listen(ctx, "--http", s.options.HTTP)
	return err
}

func (s *Server) unlisten() (err error) {
	for _, lis := range []net.Listener{s.lisGRPC, s.lisHTTP} {
		if lis != nil {
			err = errors.Join(err, lis.Close())
		}
	}
	return err
}

// heldBy finds out whether it is a server of the same store that has the addresses: that is the
// better error.
func (s *Server) heldBy(ctx context.Context, err error) error {
	p := placeOf(s.options.Store)
	if p.path == "" || errors.Is(err, durable.ErrInvalid) {
		return err
	}
	r, dialErr := Dial(ctx, s.options.Store, s.options.Info.Version)
	if dialErr != nil {
		return err
	}
	defer r.Close()
	i := r.Info()
	return &durable.HeldError{Store: p.path, PID: i.PID, Program: i.Program, Since: i.Since}
}

func (s *Server) directory(definitions []durable.Definition) *hubs {
	o := &s.options
	d := &hubs{
		place: placeOf(o.Store), dev: o.Dev, most: o.Limits.Hubs, limit: o.Limits.Instances, do: o.Durable, log: o.Logger, defs: definitions,
		history: o.Limits.History,
		workers: taskhub.WorkersOptions{InFlight: o.Limits.InFlight, MaxInFlight: o.Limits.MaxInFlight, Logger: o.Logger},
		open:    map[string]*hub{}, going: map[string]bool{}, failed: map[string]error{},
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	d.onHalt = s.fail
	d.serve = func(lis net.Listener) io.Closer {
		return taskhub.ServeAll(lis, d, taskhub.ServerOptions{Info: o.Info, Limits: o.Limits.Limits, Logger: o.Logger})
	}
	return d
}

// wire is how hubs are served on the network.
func (s *Server) wire() taskhub.ServerOptions {
	o := taskhub.ServerOptions{Info: s.options.Info, TLS: s.options.TLS, Limits: s.options.Limits.Limits, Grace: s.options.Grace, Logger: s.options.Logger}
	if s.tokens != nil {
		o.Access = s.tokens
	}
	return o
}

// heldPatience is how long the store may be held: short commands have it for a moment only.
const heldPatience = 300 * time.Millisecond

// openStore opens all hubs there are. Without the default one there is no server.
func (s *Server) openStore(ctx context.Context) error {
	for begun := time.Now(); ; {
		_, err := s.hubs.get(ctx, taskhub.DefaultHub, true)
		var held *durable.HeldError
		if err == nil {
			return s.hubs.openAll(ctx)
		}
		if !errors.As(err, &held) || time.Since(begun) > heldPatience {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Addresses gives the addresses of gRPC and HTTP, with the ports that they really have.
func (s *Server) Addresses() (grpc, http string) {
	return s.lisGRPC.Addr().String(), s.lisHTTP.Addr().String()
}

// ConnectionString is what the SDKs of the durable task protocol take to reach the hub default.
func (s *Server) ConnectionString() string {
	scheme := "http"
	if s.options.TLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("Endpoint=%s://%s;TaskHub=%s;Authentication=None", scheme, reachable(s.lisGRPC.Addr(), s.options.GRPC), taskhub.DefaultHub)
}

// reachable is an address as clients write it: by the name that it was given, and this machine's
// where it was given none.
func reachable(a net.Addr, given string) string {
	_, port, _ := net.SplitHostPort(a.String())
	host, _, _ := net.SplitHostPort(given)
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
		if name, err := os.Hostname(); err == nil {
			host = name
		}
	}
	return net.JoinHostPort(host, port)
}

// Names lists the hubs, sorted.
func (s *Server) Names(ctx context.Context) ([]string, error) { return s.hubs.Names(ctx) }

// Client gives the client of a hub; "" is the default one. Where there is none of that name, the
// error is [durable.ErrNotFound].
func (s *Server) Client(ctx context.Context, name string) (*durable.Client, error) {
	if name == "" {
		name = taskhub.DefaultHub
	}
	name, err := taskhub.HubName(name)
	if err != nil {
		return nil, err
	}
	h, err := s.hubs.get(ctx, name, s.hubs.dev)
	if err != nil {
		return nil, err
	}
	return h.rt.Client(), nil
}

// Health tells what keeps the server from doing its work at the moment; nil when all is well.
func (s *Server) Health() error {
	select {
	case <-s.draining:
		return fmt.Errorf("the server: %w", taskhub.ErrEnding)
	default:
		return errors.Join(s.Err(), s.hubs.health())
	}
}

// Draining is closed when Close or Drain begins: handlers of requests that last should end then.
func (s *Server) Draining() <-chan struct{} { return s.draining }

// Done is closed when the server has stopped, by Close or Drain, or cannot go on; then Err tells why,
// and it is to be closed.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err tells why the server cannot go on; nil while it can, and after Close.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// fail notes that the server cannot go on.
func (s *Server) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.done:
	default:
		s.err = err
		close(s.done)
	}
}

// Close is Drain with the grace of the options.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.options.Grace)
	defer cancel()
	return s.Drain(ctx)
}

// Drain gives workers no more work, tells those who wait that the server is ending, waits for what
// workers answer to the work that they have, and for other calls under way, all that until ctx ends,
// then takes no more calls and closes the hubs: what runs in this process is cancelled, and goes on
// with the next server, as does what workers have not answered. It is safe to call more than once,
// and returns when all is closed.
func (s *Server) Drain(ctx context.Context) error {
	s.closing.Do(func() {
		close(s.draining)
		s.hubs.beginDrain() // before the connections of workers end
		s.grpc.Drain()
		s.hubs.drain(ctx)
		err := s.grpc.Shutdown(ctx)
		if e := s.http.Shutdown(ctx); e != nil {
			err = errors.Join(err, s.http.Close()) // e says only that ctx has ended
		}
		<-s.httpServed
		s.closeErr = errors.Join(err, s.hubs.close())
		s.fail(nil)
	})
	return s.closeErr
}
