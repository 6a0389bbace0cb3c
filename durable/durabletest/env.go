package durabletest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/internal/durablehook"
)

// Env is what a program under test runs in: a task hub whose process may end at
// any moment and begin again.
type Env struct{ client *durable.Client }

// Client gives a client of the hub, which outlives crashes: a call whose answer
// was lost in one is made again, as a careful caller would. So an instance is
// started once (it gets its id from the Env where it is given none), but an event
// or a signal can arrive twice.
func (e *Env) Client() *durable.Client { return e.client }

// crashRun is one run of the program, with one crash or none.
type crashRun struct {
	t     testing.TB
	defs  engine.Definitions
	at    int // the point to crash at; 0: none
	where string

	mu      sync.Mutex
	points  int
	life    *life
	started map[callID]bool // at-most-once functions that were called
	ids     map[string]int  // instances started without an id, by name
	closing sync.WaitGroup
}

// callID names one attempt of an activity.
type callID struct {
	instance history.Instance
	task     int32
}

// life is what one process would be: an engine on a store.
type life struct {
	run      *crashRun
	store    *memory.Store
	engine   *engine.Engine
	ctx      context.Context // ends with it
	die      context.CancelFunc
	second   bool
	answered map[callID]bool // answers that were committed before it began
}

func newRun(t testing.TB, defs []durable.Definition, at int) (*crashRun, error) {
	untyped, err := durablehook.Definitions(quiet, defs)
	if err != nil {
		return nil, err
	}
	return &crashRun{t: t, defs: untyped.(engine.Definitions), at: at, started: map[callID]bool{}, ids: map[string]int{}}, nil
}

var quiet = slog.New(slog.DiscardHandler)

// current gives the life that goes on, and begins the next one after a crash.
func (r *crashRun) current() (*life, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.life != nil && r.life.ctx.Err() == nil {
		return r.life, nil
	}
	next := &life{run: r, store: memory.New()}
	if old := r.life; old != nil {
		next.second, next.store = true, old.store
		var err error
		if next.answered, err = answers(next.store.Clone()); err != nil {
			return nil, fmt.Errorf("durabletest: image of the crash: %w", err)
		}
	}
	next.ctx, next.die = context.WithCancel(context.Background())
	var err error
	next.engine, err = engine.Open(context.Background(), next.store, next.watch(r.defs), engine.Options{
		Logger: quiet, OnCommit: func(n uint64) { next.point("after commit %d", n) },
	})
	if err != nil {
		return nil, fmt.Errorf("durabletest: %w", err)
	}
	r.life = next
	return next, nil
}

// point is a moment at which the first life may end. It reports whether l is over,
// so that nothing of it may reach the world any more.
func (l *life) point(format string, args ...any) (over bool) {
	r := l.run
	// A commit may come before current has returned: it only waits then.
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.ctx.Err() != nil {
		return true
	}
	if l.second {
		return false
	}
	if r.points++; r.points != r.at {
		return false
	}
	r.where = fmt.Sprintf(format, args...)
	l.die()
	image := l.store.Clone()
	l.store.Reopen() // what it still does is refused
	l.store = image
	r.closing.Go(func() { _ = l.engine.Close() }) // its error is that it was fenced
	return true
}

// watch wraps the activities: their starts and ends are points, and they must not
// be asked for what they have answered.
func (l *life) watch(defs engine.Definitions) engine.Definitions {
	watched := make([]engine.Activity, len(defs.Activities))
	for i, a := range defs.Activities {
		run, reconcile := a.Run, a.Reconcile
		a.Run = func(ctx context.Context, c *engine.Call) engine.Outcome {
			if l.point("before activity %s started", c.Name) {
				return gone(ctx)
			}
			l.check(a, c)
			o := run(ctx, c)
			if l.point("after activity %s ended", c.Name) {
				return gone(ctx)
			}
			return o
		}
		if reconcile != nil {
			a.Reconcile = func(ctx context.Context, c *engine.Call) (engine.Outcome, engine.Finding) {
				o, found := reconcile(ctx, c)
				if found == engine.DidNotHappen {
					l.run.forget(c)
				}
				return o, found
			}
		}
		watched[i] = a
	}
	defs.Activities = watched
	return defs
}

// gone is what becomes of a call in a process that is no more: it waits for the
// engine to find out.
func gone(ctx context.Context) engine.Outcome {
	<-ctx.Done()
	return engine.Outcome{Failure: &history.Failure{Type: "Crash", Message: "the process is gone"}}
}

// check reports a call that must not be.
func (l *life) check(a engine.Activity, c *engine.Call) {
	r, id := l.run, callID{c.Instance, c.ID}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.answered[id] {
		r.t.Errorf("durabletest: crash %s: activity %s (instance %s, task %d) was asked again though its answer was committed",
			r.where, c.Name, c.Instance.ID, c.ID)
	}
	if a.Effect != engine.AtMostOnce {
		return
	}
	if r.started[id] {
		r.t.Errorf("durabletest: crash %s: activity %s (instance %s, task %d), which is at most once, ran twice",
			r.where, c.Name, c.Instance.ID, c.ID)
	}
	r.started[id] = true
}

// forget notes that a call turned out not to have happened.
func (r *crashRun) forget(c *engine.Call) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.started, callID{c.Instance, c.ID})
}

// stop ends the run.
func (r *crashRun) stop() error {
	r.mu.Lock()
	l := r.life
	r.mu.Unlock()
	var err error
	if l != nil && l.ctx.Err() == nil {
		if err = l.engine.Close(); l.ctx.Err() != nil {
			err = nil // it crashed while it ended
		}
		l.die()
	}
	r.closing.Wait()
	return err
}
