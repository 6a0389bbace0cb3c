package bench

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// soak keeps chains in flight for long enough that checkpoints come and go, and
// looks at how long commits take.
func (r *run) soak(ctx context.Context) (err error) {
	if r.Progress != nil {
		r.Progress("soak", inFlight)
	}
	dir, err := r.newDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s := &timedStore{}
	h, err := openHub(ctx, dir, func(below store.Store) store.Store {
		s.Store = below
		return s
	})
	if err != nil {
		return err
	}
	res, t := Result{Workload: "soak", N: inFlight}, &tally{h: h}
	if err = h.warm(ctx); err == nil {
		s.reset(h)
		err = h.together(ctx, t, r.sizes.soak)
	}
	if err = errors.Join(err, h.close()); err != nil {
		return err
	}
	size, err := fileSize(h.file)
	if err != nil {
		return err
	}
	t.times = s.times
	t.into(&res)
	res.BytesPerStep = float64(size-r.empty) / float64(t.steps+warmSteps)
	res.Max, res.WAL = quantile(s.times, 1), float64(s.wal)/(1<<20)
	return r.add(res)
}

// timedStore takes the time of each commit, and looks at the log after some.
type timedStore struct {
	store.Store
	mu    sync.Mutex
	hub   *hub
	times []time.Duration
	wal   int64
}

func (s *timedStore) reset(h *hub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hub, s.times = h, nil
}

// lookEvery is the number of commits between two looks at the size of the log.
const lookEvery = 50

// Commit implements store.Store.
func (s *timedStore) Commit(ctx context.Context, b *store.Batch) error {
	began := time.Now()
	err := s.Store.Commit(ctx, b)
	took := time.Since(began)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hub == nil {
		return err
	}
	if s.times = append(s.times, took); len(s.times)%lookEvery == 0 {
		if size, serr := s.hub.walSize(); serr == nil {
			s.wal = max(s.wal, size)
		}
	}
	return err
}
