package mcpserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// sessionAge is how long a session over HTTP is kept of which nothing is heard, and in which nobody waits.
const sessionAge = time.Hour

// Options say how a server presents itself and what it does. The zero value works.
type Options struct {
	// Name and Version are what clients are told of the server. "": agentrun, and 1.
	Name, Version string
	// Instructions tell clients' models what the server is for.
	Instructions string
	// LeaveRunning leaves a run going when its client cancels the request.
	LeaveRunning bool
	// CancelOnDisconnect takes the end of an HTTP request for its cancellation, where the client speaks the protocol
	// without sessions (of 28 July 2026), which has no other.
	CancelOnDisconnect bool
	// Caller says from the headers of an HTTP request who calls; nil: everybody is the same. The runs of two callers
	// are never one.
	Caller func(http.Header) string
	// Tags are put on the runs that the server starts, see durable.WithTags.
	Tags map[string]string
	// Logger is told what goes wrong between server and clients; nil: nobody is.
	Logger *slog.Logger
}

// Server serves tools to MCP clients. It is an http.Handler for streamable HTTP, and serves pipes by [Server.Serve],
// any number of clients at the same time.
type Server struct {
	rt     *agents.Runtime
	opts   Options
	server *sdk.Server
	http   http.Handler
	posts  inFlight // HTTP requests

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	waiting map[string]int // calls by the run that they wait for
}

// New makes a server of runs in a runtime, whose definitions must include what the tools start. An error means that
// two tools have the same name.
func New(rt *agents.Runtime, o Options, list ...Tool) (*Server, error) {
	var shapes []tools.Tool
	for _, t := range list {
		shapes = append(shapes, t.shape)
	}
	if _, err := tools.Index(shapes); err != nil {
		return nil, fmt.Errorf("serve tools: %w", err)
	}
	if o.Name == "" {
		o.Name = "agentrun"
	}
	if o.Version == "" {
		o.Version = "1"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{rt: rt, opts: o, waiting: map[string]int{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.server = sdk.NewServer(&sdk.Implementation{Name: o.Name, Version: o.Version}, &sdk.ServerOptions{
		Instructions: o.Instructions, Logger: o.Logger,
		Capabilities: &sdk.ServerCapabilities{Tools: &sdk.ToolCapabilities{}}, // which stay as they are
	})
	for _, t := range list {
		tool := &sdk.Tool{Name: t.Name(), Description: t.shape.Description(), InputSchema: t.shape.Schema()}
		if t.output != nil {
			tool.OutputSchema = t.output
		}
		s.server.AddTool(tool, func(ctx context.Context, r *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
			return s.call(ctx, t, r)
		})
	}
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return s.server }, &sdk.StreamableHTTPOptions{
		Logger: o.Logger, SessionTimeout: sessionAge, PropagateRequestCancellation: o.CancelOnDisconnect,
	})
	s.http = http.NewCrossOriginProtection().Handler(counted(s.ctx, &s.posts, numbered(h)))
	return s, nil
}

// ServeHTTP serves streamable HTTP at whatever path it is put.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.http.ServeHTTP(w, r) }

// Close ends what clients wait for, with an answer that says that the run goes on, and then their sessions; what
// Serve serves ends likewise. The runs are the runtime's. Close the server before its http.Server is shut down, which
// would wait for them.
func (s *Server) Close() error {
	s.cancel()
	s.posts.wait(goodbye)
	var errs []error
	for session := range s.server.Sessions() {
		errs = append(errs, session.Close())
	}
	return errors.Join(errs...)
}

type connectionKey struct{}

// Serve serves one client that writes to in and reads from out, such as the process's standard input and output,
// until in or ctx ends. Runs under way go on. When ctx ends first and in cannot be closed, a read of it is left
// behind.
func (s *Server) Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	r, ok := in.(io.ReadCloser)
	if !ok {
		r = io.NopCloser(in)
	}
	calls := &inFlight{}
	session, err := s.server.Connect(context.WithValue(ctx, connectionKey{}, ctx),
		countedTransport{&sdk.IOTransport{Reader: r, Writer: keepOpen{out}}, calls}, nil)
	if err != nil {
		return fmt.Errorf("serve MCP: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- session.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		calls.wait(goodbye)
		_ = session.Close()
		<-ended
	}
	if err != nil {
		return fmt.Errorf("serve MCP: %w", err)
	}
	return nil
}

// keepOpen leaves the output to its owner.
type keepOpen struct{ io.Writer }

// Close does nothing.
func (keepOpen) Close() error { return nil }
