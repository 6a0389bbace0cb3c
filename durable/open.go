package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// Options tune a runtime; the zero value works.
type Options struct {
	// Hub is the task hub's name, a part of every idempotency key. "": default.
	Hub string
	// Activities bounds how many activities run at once. 0: 256.
	Activities int
	// Cached bounds how many idle instances stay in memory. 0: 10,000; below: none.
	Cached int
	// MaxHistory bounds the events of one execution's history: an instance that goes on
	// beyond fails. 0: not bounded.
	MaxHistory int
	// Versions says which versions of an orchestration this program's definitions
	// run, and what becomes of instances of others. Its zero value fits programs
	// that name no versions, and those that keep one definition for each.
	Versions VersionPolicy
	// Interceptors are put around what this program does, the first one outermost.
	Interceptors []Interceptor
	// Codec encodes everything of a program's data before it is stored: inputs and
	// results, events, entity states, custom statuses, payloads. Ids, names, tags and
	// times stay readable, since instances are found by them. A store that is new gets
	// the codec for good. nil: data is stored as it is, which is JSON.
	Codec Codec
	// OnHeld is called once if another process holds the store; OpenWith then
	// waits until it lets go or ctx ends. nil: OpenWith fails with a
	// *store.HeldError.
	OnHeld func(*store.HeldError)
	// Serve lets other processes in at the socket beside the database, in place of the
	// server of this hub alone, and gives what ends that. It is for a program that
	// serves more than one hub; it must not wait for the runtime, which is not there
	// yet. nil: other processes reach this hub.
	Serve func(net.Listener) io.Closer
	// Logger is where orchestrations and the engine log. nil: slog.Default().
	Logger *slog.Logger
	// Now is the clock; nil: time.Now. Timers run on the real one.
	Now func() time.Time
	// OnCommit is called after each commit with its number, for tests that
	// follow what is on disk. It must return quickly.
	OnCommit func(n uint64)
	// OnTurn is told what each turn of an orchestration added to its history, once
	// it is on disk, in the order of the commits: never twice, and nothing of what
	// a replay does. It must return quickly.
	OnTurn func(Recorded)

	// Workers run what is not among the definitions: programs that are connected to a
	// server. nil: it waits for a program that has it. A *taskhub.Workers is one.
	Workers Workers

	partial bool // definitions are missing on purpose
	split   func(engine.Definitions) (engine.Definitions, engine.Workers)
}

// Workers are whom a runtime offers what it has no definitions of.
type Workers = engine.Workers

// Recorded is consecutive events of one execution's history, now on disk.
type Recorded = engine.Recorded

// Runtime is a task hub with an engine in this process that runs the given
// definitions. While it is open, other processes of the same user reach the hub
// through a socket beside the database, see [Connect].
type Runtime struct {
	engine *engine.Engine
	client *Client
	server io.Closer // lets other processes in; nil for a store that only this one can see
}

// Open opens a task hub and goes on with everything in it that can run. url is
//
//	sqlite:PATH   a database file, made where there is none
//	memory:       nothing that lasts, for tests
//
// An instance whose definition is not among defs waits for a program that has it.
func Open(ctx context.Context, url string, defs ...Definition) (*Runtime, error) {
	return OpenWith(ctx, url, Options{}, defs...)
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, url string, o Options, defs ...Definition) (*Runtime, error) {
	scheme, path, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if scheme == "memory" {
		return OpenStore(ctx, memory.New(), o, defs...)
	}
	s, err := openSQLite(ctx, path, o)
	if err != nil {
		return nil, err
	}
	rt, err := OpenStore(ctx, s, o, defs...)
	if errors.Is(err, ErrEncoded) {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	if err != nil {
		return nil, err
	}
	if err := rt.serve(path, o.Serve); err != nil {
		return nil, errors.Join(err, rt.Close())
	}
	return rt, nil
}

func openSQLite(ctx context.Context, path string, o Options) (*sqlite.Store, error) {
	s, err := sqlite.Open(ctx, path, sqlite.Options{Logger: o.Logger})
	var held *store.HeldError
	if errors.As(err, &held) && o.OnHeld != nil {
		o.OnHeld(held)
		s, err = sqlite.Open(ctx, path, sqlite.Options{Logger: o.Logger, Wait: true})
	}
	return s, err
}

// parseURL splits a store's URL.
func parseURL(url string) (scheme, path string, err error) {
	scheme, path, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "memory" && path == "":
	case ok && scheme == "sqlite" && path != "":
		if rest, yes := strings.CutPrefix(path, "//"); yes { // sqlite://PATH, as others write it
			path = rest
		}
		if path == "" {
			return "", "", fmt.Errorf("store %q names no file: write sqlite:PATH", url)
		}
	default:
		return "", "", fmt.Errorf("store %q is neither sqlite:PATH nor memory: (which ends with its colon)", url)
	}
	return scheme, path, nil
}

// OpenStore opens a runtime on a store of the caller's making, which it owns from
// then on, also when it fails.
func OpenStore(ctx context.Context, s store.Store, o Options, defs ...Definition) (*Runtime, error) {
	r, err := o.registry(defs)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	plain := s
	if s, err = o.withCodec(ctx, s); err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	if o.split != nil {
		r.defs, o.Workers = o.split(r.defs)
	}
	e, err := engine.Open(ctx, s, r.defs, engine.Options{
		Hub: o.Hub, Workers: o.Workers, Activities: o.Activities, Cached: o.Cached, MaxHistory: o.MaxHistory, Versions: o.Versions, Logger: o.Logger, Now: o.Now, OnCommit: o.OnCommit, OnTurn: o.OnTurn, Partial: o.partial,
	})
	if err != nil {
		return nil, err
	}
	return &Runtime{engine: e, client: newClient(e, r)}, nil
}

// Client gives the client of this runtime's hub.
func (rt *Runtime) Client() *Client { return rt.client }

// Hub is the hub without the types of a program, as servers give it to other
// programs.
func (rt *Runtime) Hub() taskhub.Hub { return rt.engine }

// Done is closed when the runtime stopped: by Close, or because its store failed
// in a way that it cannot go on from; then Err tells which.
func (rt *Runtime) Done() <-chan struct{} { return rt.engine.Done() }

// Err tells why the runtime stopped; nil while it runs.
func (rt *Runtime) Err() error { return rt.engine.Err() }

// Health tells why commits fail at the moment (a full disk, for instance); they
// are tried again until they work. nil when all is well.
func (rt *Runtime) Health() error { return rt.engine.Health() }

// Effects lists the records of an instance's at-most-once activities, in the
// order of their intents.
func (rt *Runtime) Effects(ctx context.Context, id string) ([]store.Effect, error) {
	return rt.engine.Effects(ctx, id)
}

// Close stops the runtime: activities are cancelled, what is ready is committed.
// Whatever was not done is gone on with by the next Open. It is safe to call more
// than once.
func (rt *Runtime) Close() (err error) {
	if rt.server != nil {
		err = rt.server.Close()
	}
	return errors.Join(err, rt.engine.Close())
}
