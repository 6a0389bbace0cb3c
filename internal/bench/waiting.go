package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// cached is how many idle instances an engine keeps in memory by default; more
// wait on disk only.
const cached = 10_000

// waiting starts instances that wait for an event, looks what they cost while
// nothing happens, opens the hub again with all of them, and wakes some.
func (r *run) waiting(ctx context.Context) error {
	for _, n := range r.sizes.waiting {
		err := r.variant(ctx, "waiting", n, func(h *hub, t *tally, res *Result) error {
			before := resident()
			if err := t.measure(n, func() error { return h.startWaiting(ctx, n) }); err != nil {
				return err
			}
			res.KiBPerInstance = max(0, resident()-before) / float64(min(n, cached))
			t.after = func(dir string, res *Result) error { return reopen(ctx, dir, n, res) }
			return r.idle(ctx, h, res)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// startWaiting starts n instances from many clients at once. When it returns, all
// of them wait.
func (h *hub) startWaiting(ctx context.Context, n int) error {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for lane := range inFlight {
		wg.Go(func() {
			for i := lane; i < n && ctx.Err() == nil; i += inFlight {
				if _, err := h.wait.Schedule(ctx, h.client, ask("wait", i), durable.WithInstanceID(waitID(i))); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

func waitID(i int) string { return "wait-" + strconv.Itoa(i) }

// idle looks at a hub in which nothing happens.
func (r *run) idle(ctx context.Context, h *hub, res *Result) error {
	cpu, commits := cpuTime(), h.commits.Load()
	select {
	case <-time.After(r.sizes.idle):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	res.IdleCPU = 100 * float64(cpuTime()-cpu) / float64(r.sizes.idle)
	res.IdleCommits = int(h.commits.Load() - commits)
	return nil
}

// reopen takes the time of opening a hub in which n instances wait, and wakes the
// first, the last and one in the middle.
func reopen(ctx context.Context, dir string, n int, res *Result) (err error) {
	began := time.Now()
	h, err := openHub(ctx, dir, nil)
	if err != nil {
		return err
	}
	res.Open = ms(time.Since(began))
	defer func() { err = errors.Join(err, h.close()) }()
	for _, i := range []int{0, n / 2, n - 1} {
		if err := h.client.RaiseEvent(ctx, waitID(i), "go", ask("go", i)); err != nil {
			return err
		}
		got, err := h.wait.Wait(ctx, h.client, waitID(i))
		if err == nil && got != ask("go", i) {
			err = fmt.Errorf("%s ended with another event than it was sent", waitID(i))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
