package durable_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/durablehook"
)

// pool is workers outside the engine that are as bad as workers may be: they give work back, for
// others to do, answer for what they gave back, answer twice, and do only a part of a batch.
type pool struct {
	defs engine.Definitions
	wg   sync.WaitGroup

	mu     sync.Mutex
	rnd    *rand.Rand
	closed bool
	faults []error
}

// outside makes options under which the engine runs nothing itself but what must be done at most
// once, and activities with limits. wait returns when no worker runs any more, once the runtime is
// closed, and gives what they did not expect.
func outside(o *durable.Options, seed uint64) (wait func() error) {
	p := &pool{rnd: rand.New(rand.NewPCG(seed, 1))}
	durablehook.SetSplit(o, func(d engine.Definitions) (engine.Definitions, engine.Workers) {
		mine := func(a engine.Activity) bool {
			return a.Effect == engine.AtMostOnce || a.MaxConcurrent > 0 || a.Rate != nil || a.StartToClose > 0 || a.Heartbeat > 0
		}
		p.defs = d
		p.defs.Activities = slices.DeleteFunc(slices.Clone(d.Activities), mine)
		return engine.Definitions{Activities: slices.DeleteFunc(slices.Clone(d.Activities), func(a engine.Activity) bool { return !mine(a) })}, p
	})
	return func() error {
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.wg.Wait()
		return errors.Join(p.faults...)
	}
}

func (p *pool) Offer(w engine.Work) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.wg.Go(func() { p.run(w) })
	}
}

func (p *pool) Withdraw(engine.Work) {} // Begin finds out

func (p *pool) oneIn(n int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rnd.IntN(n) == 0
}

func (p *pool) run(w engine.Work) {
	ctx := context.Background()
	switch w := w.(type) {
	case *engine.TurnWork:
		t, err := w.Begin()
		if err != nil {
			return
		}
		o, _ := p.defs.Find(engine.VersionPolicy{}, w.About().Name, w.About().Version)
		p.attempt(func() { w.Release(t) }, func() bool {
			x := o.New()
			defer x.Close()
			x.Turn(t)
			return t.Err == nil
		}, func() error { return w.Complete(ctx, t) })
	case *engine.CallWork:
		c, err := w.Begin()
		if err != nil {
			return
		}
		i := slices.IndexFunc(p.defs.Activities, func(a engine.Activity) bool { return a.Name == c.Name })
		var o engine.Outcome
		p.attempt(func() { w.Release(c) }, func() bool {
			o = p.defs.Activities[i].Run(c.Context(), c)
			return c.Context().Err() == nil // given back since, or given up
		}, func() error { return w.Complete(ctx, c, o) })
	case *engine.BatchWork:
		b, err := w.Begin()
		if err != nil {
			return
		}
		if p.oneIn(3) {
			b.Ops = b.Ops[: 1+len(b.Ops)/2 : len(b.Ops)]
		}
		i := slices.IndexFunc(p.defs.Entities, func(n engine.Entity) bool { return n.Name == w.About().Name })
		p.attempt(func() { w.Release(b) }, func() bool {
			p.defs.Entities[i].Run(b)
			return true
		}, func() error { return w.Complete(ctx, b) })
	}
}

// attempt does work that was begun, or does not.
func (p *pool) attempt(release func(), work func() bool, complete func() error) {
	if p.oneIn(6) {
		release()
		if p.oneIn(2) {
			return
		}
	}
	if !work() {
		release()
		return
	}
	err := complete()
	if errors.Is(err, engine.ErrInvalid) {
		p.fault(err)
		release()
	}
	if p.oneIn(4) {
		if err == nil && complete() == nil {
			p.fault(errors.New("work was completed twice"))
		}
	}
}

func (p *pool) fault(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, err)
}

// Programs come to the same result whether the engine runs them or workers outside.
func TestScenesOutside(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			defs, play := s.play()
			for seed, cached := range []int{0, -1, 0, -1} {
				synctest.Test(t, func(t *testing.T) {
					o := durable.Options{Cached: cached, Logger: quiet}
					wait := outside(&o, uint64(seed))
					rt, err := durable.OpenWith(t.Context(), "memory:", o, defs...)
					if err != nil {
						t.Fatal(err)
					}
					equal(t, fmt.Sprint("cached ", cached), play(t.Context(), rt.Client(), time.Sleep), s.want)
					if diff, err := durable.Replay(t.Context(), rt.Client().History(t.Context(), "x", ""), nil, defs...); err != nil || diff != nil {
						t.Errorf("replay: %v %v", diff, err)
					}
					closeRuntime(t, rt)
					if err := wait(); err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
