package engine

import (
	"sync"
	"time"
)

// An ended instance that is kept for a time only has a timer like any other, in
// its row, so it is purged after a restart too, and nobody looks for it before.

// expired reports whether the instance was kept for as long as its orchestration
// said.
func (t *turn) expired() bool {
	r := &t.in.row
	return t.in.exists && r.Status.Ended() && !r.Due.IsZero() && !r.Due.After(t.now)
}

// purgeExpired is the owner's part: the instance may have been started again, or
// rewound, since its time had come.
func (t *turn) purgeExpired() error {
	if !t.expired() {
		return ErrNotEnded
	}
	return t.purge()
}

// reaper purges expired instances, which an owner cannot do alone: descendants go
// first. It runs while there are some.
type reaper struct {
	e       *Engine
	mu      sync.Mutex
	ids     []string
	busy    bool
	stopped bool
	done    sync.WaitGroup
}

func (r *reaper) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return
	}
	r.ids = append(r.ids, id)
	if !r.busy {
		r.busy = true
		r.done.Go(r.run)
	}
}

func (r *reaper) run() {
	for {
		r.mu.Lock()
		ids := r.ids
		r.ids = nil
		if len(ids) == 0 || r.stopped {
			r.busy = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		_, err := r.e.purgeAll(r.e.ctx, ids, true, askPurgeExpired)
		if err == nil || r.e.ctx.Err() != nil {
			continue
		}
		r.e.log.Warn("instances whose time is over could not be purged; tried again in a minute", "err", err)
		for _, id := range ids {
			r.e.timers.set(id, r.e.now().Add(time.Minute))
		}
	}
}

// stop waits for a purge under way; the next engine does the others.
func (r *reaper) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.done.Wait()
}
