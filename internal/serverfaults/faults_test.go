//go:build linux || darwin

package serverfaults

import (
	"context"
	"syscall"
	"testing"
)

// workers of each rig.
const workers = 3

// TestServerKilled kills the server with SIGKILL, each time just after a worker has begun to send an
// answer, and starts it again. Workers and clients come back by themselves.
func TestServerKilled(t *testing.T) {
	r := newRig(t)
	for range workers {
		r.work(r.address)
	}
	kills := 0
	r.under(func(ctx context.Context) {
		_, rarest := r.cuts()
		select {
		case <-r.next(200+r.random.IntN(800), sends("", rarest)):
			r.end(syscall.SIGKILL)
			kills++
			r.serve()
		case <-ctx.Done():
		}
	}, func() bool { return kills >= 5 && r.allCut() })
	r.check()
	r.report()
	t.Logf("%d kills of the server", kills)
}

// allCut tells whether answers of each kind were cut in flight.
func (r *rig) allCut() bool {
	n, rarest := r.cuts()
	return n[rarest] > 0
}

// TestWorkersKilled kills workers with SIGKILL, just after they have begun to send an answer, and
// starts others in their place.
func TestWorkersKilled(t *testing.T) {
	r := newRig(t)
	for range workers {
		r.work(r.address)
	}
	kills := 0
	r.under(func(ctx context.Context) {
		_, rarest := r.cuts()
		i := r.random.IntN(workers)
		p := r.workers[i]
		select {
		case <-r.next(100+r.random.IntN(400), sends(p.name, rarest)):
			r.kill(i)
			kills++
			if err := r.replace(i, p.name, p.env); err != nil {
				r.find("start a worker: %v", err)
			}
		case <-ctx.Done():
		}
	}, func() bool { return kills >= 5 && r.allCut() })
	r.check()
	r.report()
	t.Logf("%d kills of workers", kills)
}

// TestServerDrained ends the server under load as an operator would, and starts it again. It waits
// for the answers of what its workers have, so that nothing is run twice.
func TestServerDrained(t *testing.T) {
	r := newRig(t)
	for range workers {
		r.work(r.address)
	}
	ends := 0
	r.under(func(ctx context.Context) {
		select {
		case <-r.next(200+r.random.IntN(800), func(x record) bool { return x.what == "begin" }):
			r.end(syscall.SIGTERM)
			ends++
			r.serve()
		case <-ctx.Done():
		}
	}, func() bool { return ends >= 5 })
	r.check()
	r.mu.Lock()
	for subject, runs := range r.begun {
		if len(runs) != 1 {
			r.found("activity %s was run by %v, and each of them could answer in time", subject, runs)
		}
	}
	r.mu.Unlock()
	r.report()
	t.Logf("%d ends of the server", ends)
}
