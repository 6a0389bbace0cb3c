package engine

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// maxSleep bounds one wait of the clock: a machine that slept, or whose clock
// was set, is noticed after so long at the latest.
const maxSleep = time.Minute

// duePage is how many timers of the store are read at a time.
const duePage = 1024

// timers wakes instances when their earliest timer is due: one heap, one timer
// of the runtime, and none while nothing waits. The heap holds every timer set
// since the engine opened, and those of the store up to a horizon, which moves
// on when the clock reaches it; so opening costs the same with a million timers
// as with one. An entry that is out of date only wakes its instance for nothing.
type timers struct {
	e *Engine

	mu      sync.Mutex
	heap    expiryHeap
	index   map[string]*expiry
	clock   *time.Timer
	horizon store.Due // last one read from the store
	rest    bool      // the store has timers beyond the horizon
	failed  bool      // they could not be read the last time
	stopped bool
	wg      sync.WaitGroup
}

func (t *timers) init(e *Engine) { t.e, t.index = e, map[string]*expiry{} }

// set tells when an instance's earliest timer is due; zero for none.
func (t *timers) set(id string, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	x := t.index[id]
	switch {
	case at.IsZero():
		if x != nil {
			heap.Remove(&t.heap, x.pos-1)
			delete(t.index, id)
		}
	case x == nil:
		x = &expiry{at: at, id: id}
		t.index[id] = x
		heap.Push(&t.heap, x)
	default:
		x.at = at
		heap.Fix(&t.heap, x.pos-1)
	}
	t.arm()
}

// arm sets the runtime's timer to the earliest entry, or to the horizon.
func (t *timers) arm() {
	next := time.Time{}
	if len(t.heap) > 0 {
		next = t.heap[0].at
	}
	if t.rest && (next.IsZero() || t.horizon.At.Before(next)) {
		next = t.horizon.At
	}
	if next.IsZero() || t.stopped {
		if t.clock != nil {
			t.clock.Stop()
		}
		return
	}
	least := time.Duration(0)
	if t.failed {
		least = time.Second // whatever is due waits no longer than that either
	}
	d := min(max(next.Sub(t.e.now()), least), maxSleep)
	if t.clock == nil {
		t.clock = time.AfterFunc(d, t.fire)
	} else {
		t.clock.Reset(d)
	}
}

// fire wakes every instance that is due.
func (t *timers) fire() {
	t.mu.Lock()
	if t.stopped {
		t.mu.Unlock()
		return
	}
	t.wg.Add(1)
	defer t.wg.Done()
	now := t.e.now()
	var ids []string
	for len(t.heap) > 0 && !t.heap[0].at.After(now) {
		x := heap.Pop(&t.heap).(*expiry)
		delete(t.index, x.id)
		ids = append(ids, x.id)
	}
	more := t.rest && !t.horizon.At.After(now)
	from := t.horizon
	t.mu.Unlock()

	for _, id := range ids {
		t.e.wakeUp(id)
	}
	var err error
	if more {
		if err = t.load(t.e.ctx, from); err != nil && t.e.ctx.Err() == nil {
			t.e.log.Warn("timers could not be read; tried again", "err", err)
		}
	}
	t.mu.Lock()
	t.failed = err != nil
	t.arm()
	t.mu.Unlock()
}

// load reads the next page of the store's timers.
func (t *timers) load(ctx context.Context, from store.Due) error {
	page, err := t.e.store.Due(ctx, from, duePage)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range page {
		if t.index[d.ID] == nil {
			x := &expiry{at: d.At, id: d.ID}
			t.index[d.ID] = x
			heap.Push(&t.heap, x)
		}
	}
	if t.rest = len(page) == duePage; t.rest {
		t.horizon = page[len(page)-1]
	}
	t.arm()
	return nil
}

// stop ends the clock and waits for wake-ups under way.
func (t *timers) stop() {
	t.mu.Lock()
	t.stopped = true
	if t.clock != nil {
		t.clock.Stop()
	}
	t.mu.Unlock()
	t.wg.Wait()
}
