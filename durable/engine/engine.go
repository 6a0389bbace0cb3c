// Package engine is the scheduler below package durable: it owns every instance
// of a task hub, runs their turns, and makes what they did durable.
//
// The way of a message through it:
//
//	mailbox → turn → change set → log → group commit → effects
//
// An instance runs one turn at a time, on the goroutine that owns it. A turn
// takes the messages that wait, resumes the body, and becomes one change set,
// whose place in the log is its position. Change sets are committed in the order
// of the log, as many in one transaction as are ready. Everything that leaves
// the log happens after the commit and never before it: starting an activity,
// answering a client, waking a waiter. Two things need not wait, since a crash
// takes them back together with their cause: messages between instances, whose
// consumption lies later in the same log, and activities declared Pure.
//
// Invariants, each kept where it is named:
//
//   - A batch is a prefix of the log (commit.go). It is tried until it commits or
//     the engine halts, so what was computed on top of it is never void.
//   - Whoever has instance.busy owns the instance; nobody else touches its row,
//     executor or tasks (instance.go).
//   - An instance is evicted only when everything it did is committed
//     (instance.go).
//   - A reply tells only of committed turns (turn.go, log.submit).
//   - A history row counts once the instance's row points to it, itself or through a
//     later one; what a large turn writes ahead does not until the turn's end
//     (turn.go, batch.go).
//   - A call is answered once: whoever sets call.answered has the answer
//     (dispatch.go, terms.go). A timeout or a cancellation is the answer only where
//     the function certainly has had no effect, or may be repeated (once.go).
//   - What is derived from a history when an instance is read (recover.go, follow)
//     is what the turns that made it had derived.
//   - What an entity keeps for later (behind a lock, or until it is due) is on disk as
//     messages of its own, and its lock is the granted request in its row
//     (entity.go, lock.go). Lock requests go through entities in the order of their
//     ids, and a release never overtakes the request that it takes back (lock.go).
//   - A purge begins a batch for its instance: what was done to it before is in an
//     earlier one (purge.go).
//   - What is held for a later start is in the inbox, marked, and nowhere else when its
//     instance is evicted (schedule.go).
//   - No write of progress lies behind the turn that forgets it (progress.go).
//   - An instance that cannot be read consumes nothing (aside.go).
//   - What waits for a worker outside is in the inbox, whether or not a worker has it, and
//     what a worker made of it counts only for the dispatch that is the latest (outside.go,
//     outsidebatch.go, outsidecall.go).
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/live"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Options configure an engine; the zero value works.
type Options struct {
	// Hub is the task hub's name: a part of every idempotency key. "": default.
	Hub string
	// Activities bounds how many activities run at once. 0: 256.
	Activities int
	// Cached bounds how many idle instances stay in memory. 0: 10,000; below: none.
	Cached int
	// PayloadCache bounds the bytes of committed payloads kept in memory. 0: 32 MiB.
	PayloadCache int
	// Grace is how long Close waits for activities that ignore cancellation. 0: 10 s.
	Grace time.Duration
	// MaxHistory bounds the events of one execution's history: a turn that would go
	// beyond fails its instance, unless it ends it. 0: not bounded.
	MaxHistory int
	// Versions says which versions of an orchestration its definitions run.
	Versions VersionPolicy
	// Workers run what is not among the definitions. nil: it waits for another engine.
	Workers Workers
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Logger gets what an operator should know. nil: slog.Default().
	Logger *slog.Logger
	// OnCommit is called after each commit with its number, on the goroutine
	// that committed, before the commit's effects.
	OnCommit func(n uint64)
	// OnTurn is called with what a turn of an orchestration added to its history,
	// after its commit and in the order of the log, on the goroutine that
	// committed. It must return quickly and must not change what it is given.
	OnTurn func(Recorded)
	// Partial says that definitions are missing on purpose: nothing is logged about
	// what waits for them.
	Partial bool
	// OnIntent is called after an intent is on disk and before its activity starts.
	OnIntent func(*Call)
}

// Recorded is consecutive events of one execution's history, now on disk.
type Recorded struct {
	Instance history.Instance
	Name     string // of the orchestration
	Parent   string // id of the parent instance, or ""
	Number   int    // position of the first event in the execution's history
	Events   []*history.Event
}

// ErrClosed is what calls get on an engine that was closed.
var ErrClosed = errors.New("the engine is closed")

// Engine runs one task hub. Its methods may be called from any goroutine.
type Engine struct {
	opts  Options
	log   *slog.Logger
	store store.Store

	orchestrations map[string]versions
	activities     map[string]*Activity
	entities       map[string]*Entity

	instances table
	turns     runQueue
	calls     dispatcher
	limiters  map[string]*limiter // by activity
	deadlines expiries            // on the engine's clock: schedule to close
	cuts      expiries            // on the monotonic one: start to close, heartbeats, rates, notes of progress
	progress  progressTable
	effects   runningEffects
	timers    timers
	payloads  payloadCache
	waiters   waiters
	live      *live.Bus
	commits   commitLog
	missing   missing
	expired   reaper

	num, key  atomic.Int64  // last instance number and message key given out
	turnSeq   atomic.Uint64 // last number given to a worker's turn or batch
	recovered int64         // the last message key of earlier engines

	ctx     context.Context // of activities; ends when the engine closes or halts
	cancel  context.CancelCauseFunc
	closing atomic.Bool
	closed  sync.Once
	halted  chan struct{} // closed by halt
	haltMu  sync.Mutex
	haltErr error
}

// Open starts an engine on a store, which it owns from then on (also when Open
// fails), and goes on with everything that can run.
func Open(ctx context.Context, s store.Store, defs Definitions, o Options) (*Engine, error) {
	e := newEngine(s, o)
	if err := e.define(defs); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := e.recover(ctx); err != nil {
		err = fmt.Errorf("open: %w", err)
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

func newEngine(s store.Store, o Options) *Engine {
	if o.Hub == "" {
		o.Hub = "default"
	}
	if o.Activities == 0 {
		o.Activities = 256
	}
	if o.Cached == 0 {
		o.Cached = 10_000
	}
	if o.PayloadCache == 0 {
		o.PayloadCache = 32 << 20
	}
	if o.Grace == 0 {
		o.Grace = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	e := &Engine{opts: o, log: o.Logger, store: s, halted: make(chan struct{}), live: live.NewBus(live.Options{})}
	e.ctx, e.cancel = context.WithCancelCause(context.Background())
	e.instances.init(o.Cached, e.commits.batches.Load)
	e.payloads.init(o.PayloadCache, s)
	e.waiters.m = map[string][]chan struct{}{}
	e.commits.init(e)
	e.turns.init(runtime.GOMAXPROCS(0), e.runTurns)
	e.calls.init(o.Activities, e.work)
	e.timers.init(e)
	e.expired.e = e
	e.deadlines.now, e.deadlines.most = e.now, maxSleep
	e.cuts.now = time.Now
	e.progress.e = e
	return e
}

func (e *Engine) define(d Definitions) error {
	e.orchestrations = make(map[string]versions, len(d.Orchestrations))
	for i, o := range d.Orchestrations {
		twice := slices.ContainsFunc(e.orchestrations[o.Name], func(old *Orchestration) bool { return old.Version == o.Version })
		if twice || o.Name == "" {
			return fmt.Errorf("orchestration %q, version %q, is defined twice or has no name", o.Name, o.Version)
		}
		e.orchestrations[o.Name] = append(e.orchestrations[o.Name], &d.Orchestrations[i])
	}
	e.activities = make(map[string]*Activity, len(d.Activities))
	for i, a := range d.Activities {
		if _, twice := e.activities[a.Name]; twice || a.Name == "" {
			return fmt.Errorf("activity %q is defined twice or has no name", a.Name)
		}
		e.activities[a.Name] = &d.Activities[i]
		if err := e.limit(&d.Activities[i]); err != nil {
			return err
		}
	}
	e.entities = make(map[string]*Entity, len(d.Entities))
	for i, n := range d.Entities {
		if _, twice := e.entities[n.Name]; twice || n.Name == "" {
			return fmt.Errorf("entity %q is defined twice or has no name", n.Name)
		}
		e.entities[n.Name] = &d.Entities[i]
	}
	return nil
}

// Close lets activities end or cancels them, commits what is ready and closes
// the store. What was not committed is done again by the next engine. It is safe
// to call more than once.
func (e *Engine) Close() error {
	var err error
	e.closed.Do(func() {
		e.closing.Store(true)
		e.timers.stop()
		e.deadlines.stop()
		e.cuts.stop()
		e.cancel(ErrClosed)
		e.expired.stop()
		e.calls.stop(e.opts.Grace)
		e.progress.stop()
		e.turns.stop()
		e.commits.stop()
		e.haltWith(ErrClosed)
		e.instances.close()
		err = e.store.Close()
	})
	if h := e.Err(); h != nil && !errors.Is(h, ErrClosed) {
		err = errors.Join(h, err)
	}
	return err
}

// Err tells why the engine stopped by itself; nil while it runs.
func (e *Engine) Err() error {
	e.haltMu.Lock()
	defer e.haltMu.Unlock()
	return e.haltErr
}

// Done is closed when the engine stopped, by Close or by a fault that it cannot
// go on from; then Err tells which.
func (e *Engine) Done() <-chan struct{} { return e.halted }

// halt stops everything at once: nothing more is committed, since nobody knows
// what is on disk. It never waits.
func (e *Engine) halt(err error) {
	e.log.Error("the engine stops; open the store again to find out what is on disk", "err", err)
	e.closing.Store(true)
	e.commits.abandon()
	err = fmt.Errorf("the engine stopped: %w", err)
	e.cancel(err)
	e.haltWith(err)
}

func (e *Engine) haltWith(err error) {
	e.haltMu.Lock()
	defer e.haltMu.Unlock()
	if e.haltErr == nil {
		e.haltErr = err
		close(e.halted)
		e.live.Close()
	}
}

// now is the engine's clock, in UTC and without a monotonic part.
func (e *Engine) now() time.Time { return e.opts.Now().UTC().Round(0) }
