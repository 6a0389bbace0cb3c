package mcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
)

// KeyMeta is the name in a call's _meta under which the server is told the idempotency key.
const KeyMeta = "agentrun/idempotency-key"

// Limits where Options has 0.
const (
	DefaultConnectTimeout = 30 * time.Second
	DefaultListTimeout    = 30 * time.Second
	DefaultCallTimeout    = 5 * time.Minute
	DefaultMaxTools       = 1000
	DefaultMaxMessage     = 16 << 20 // bytes
)

// Options say how a server's tools are used. The zero value works.
type Options struct {
	// Prefix is put before the name of each tool: letters, digits, "-" and "_", at most 32.
	Prefix string
	// Only, if there are any, are the tools to take, by the server's names. The others are as if they were not there.
	Only []string
	// TrustAnnotations believes what the server says its tools do: readOnlyHint is pure, idempotentHint is
	// idempotent. Set it for servers whose code you trust.
	TrustAnnotations bool
	// Effects say by the server's names what tools do, whatever it says itself. A tool cannot be compensable.
	Effects map[string]tools.Effect
	// Approvals say by the server's names which tools need a person's approval. The one under "*" is for all others:
	// with it, a name that is misspelt here leaves nothing unguarded.
	Approvals map[string]tools.Approval
	// ConnectTimeout bounds how long a connection may take to make, with all attempts; ListTimeout the listing of all
	// pages of tools; CallTimeout a call, of which less than 0 means no limit.
	ConnectTimeout, ListTimeout, CallTimeout time.Duration
	// MaxTools is how many tools a server may list. One that lists more is an error.
	MaxTools int
	// MaxMessage is the largest message from the server, in bytes. A larger one breaks the connection.
	MaxMessage int
	// MaxResult is how many bytes of a result's text a model is shown; 0: tools.DefaultMaxResult.
	MaxResult int
	// OnProgress is told what the server says of a call under way. ctx is the call's. Reports that come faster than
	// it returns are left out.
	OnProgress func(ctx context.Context, p Progress)
	// Logger is told of connections that are lost and tools that are left out; nil: nobody is.
	Logger *slog.Logger
}

// Progress is what a server reports of a call under way.
type Progress struct {
	// Tool is the tool's name as the model knows it.
	Tool string
	// Done of Total is done; 0 as Total: nobody knows of how much.
	Done, Total float64
	// Message is for people.
	Message string
}

// String says it in a line: how much is done, and the message.
func (p Progress) String() string {
	done := fmt.Sprintf("%v", p.Done)
	if p.Total > 0 {
		done = fmt.Sprintf("%v of %v", p.Done, p.Total)
	}
	if p.Message == "" {
		return done
	}
	return done + ": " + strings.Join(strings.Fields(p.Message), " ")
}

// Skipped is something of a server that could not be used.
type Skipped struct {
	// Tool is the server's name of the tool.
	Tool string
	// Reason says why, for people.
	Reason string
}

// Server is a connection to an MCP server, made when it is needed. It implements tools.Toolset and is safe for
// concurrent use.
type Server struct {
	name string
	via  Transport
	opts Options
	log  *slog.Logger

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	dialing chan struct{} // held by who makes a connection
	listing chan struct{} // held by who lists

	mu      sync.Mutex
	session *session
	closed  bool
	legacy  bool      // the server refuses the newer handshake
	quick   int       // sessions in a row that did not last
	retryAt time.Time // not to be started before
	stderr  *tail
	list    *listed
}

var (
	validName   = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)
	validPrefix = regexp.MustCompile(`^[a-zA-Z0-9_-]{0,32}$`)
)

// Open describes a server. It connects when it is first asked for tools, so that a server which is down at the time
// does not keep a program from starting. The error is about the arguments.
func Open(name string, via Transport, o Options) (*Server, error) {
	bad := func(format string, args ...any) (*Server, error) {
		return nil, fmt.Errorf("MCP server %q: %w", name, fmt.Errorf(format, args...))
	}
	if !validName.MatchString(name) {
		return bad("the name must match %s", validName)
	}
	if !validPrefix.MatchString(o.Prefix) {
		return bad("prefix %q must match %s", o.Prefix, validPrefix)
	}
	if via == nil {
		return bad("there is no transport: use mcp.Stdio or mcp.HTTP")
	}
	if err := via.check(); err != nil {
		return bad("%w", err)
	}
	for _, tool := range slices.Sorted(maps.Keys(o.Effects)) {
		switch e := o.Effects[tool]; e {
		case tools.EffectUnsafe, tools.EffectPure, tools.EffectIdempotent:
		default:
			return bad("effect %s of tool %s: use unsafe, pure or idempotent", e, tool)
		}
	}
	if o.MaxTools < 0 || o.MaxMessage < 0 || o.MaxResult < 0 || o.ConnectTimeout < 0 || o.ListTimeout < 0 {
		return bad("limits must not be negative")
	}
	o.ConnectTimeout = or(o.ConnectTimeout, DefaultConnectTimeout)
	o.ListTimeout = or(o.ListTimeout, DefaultListTimeout)
	o.CallTimeout = or(o.CallTimeout, DefaultCallTimeout)
	o.MaxTools = or(o.MaxTools, DefaultMaxTools)
	o.MaxMessage = or(o.MaxMessage, DefaultMaxMessage)
	o.MaxResult = or(o.MaxResult, tools.DefaultMaxResult)
	s := &Server{
		name: name, via: via, opts: o, log: o.Logger, stderr: newTail(64 << 10),
		dialing: make(chan struct{}, 1), listing: make(chan struct{}, 1),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.log = s.log.With("mcp", name)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// Name is the name that Open was given.
func (s *Server) Name() string { return s.name }

// errClosed is what a closed server answers.
var errClosed = errors.New("it was closed")

// Close ends the connection, the calls under way and, of a server over pipes, the process with all of its group. It
// returns when the process is gone and the group was killed. A second Close does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	sess := s.session
	s.session = nil
	s.mu.Unlock()
	s.cancel()
	if sess != nil {
		sess.close()
	}
	s.wg.Wait()
	s.dialing <- struct{}{} // a connection that was being made is given up
	<-s.dialing
	return nil
}

// Stderr gives the last 64 KiB that processes of the server have written to their standard error, secrets included
// where they have written those.
func (s *Server) Stderr() string { return s.stderr.String() }

// failed words an error of the server, without the secrets that its transport knows.
func (s *Server) failed(what string, err error) error {
	return &serverError{server: s.name, what: what, err: err, text: scrub(err.Error(), s.via.secrets())}
}

// clean cuts a text of the server for an error. Secrets are taken out first: half of one, which a cut leaves, is not
// known any more.
func (s *Server) clean(text string, limit int) string {
	return clip(scrub(text, s.via.secrets()), limit)
}

// serverError keeps what an error is, for errors.Is, but not what it says.
type serverError struct {
	server, what, text string
	err                error
}

func (e *serverError) Error() string { return "MCP server " + e.server + ": " + e.what + ": " + e.text }

// Is reports whether the cause is target: only the context's errors are of interest to callers.
func (e *serverError) Is(target error) bool {
	return (target == context.Canceled || target == context.DeadlineExceeded) && errors.Is(e.err, target)
}
