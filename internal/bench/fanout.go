package bench

import (
	"context"
	"errors"
	"time"
)

func (r *run) fanOuts(ctx context.Context) error {
	for _, n := range r.sizes.fanOuts {
		err := r.variant(ctx, "fan-out", n, func(h *hub, t *tally, res *Result) error {
			if n >= r.sizes.long {
				return h.largeFanOut(ctx, n, t, res)
			}
			for range r.sizes.repeat {
				if err := t.whole(n, func() error { return h.run(ctx, h.fanOut, n) }); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whole measures f, and counts its duration as one of those that P50 is of.
func (t *tally) whole(steps int, f func() error) error {
	began := time.Now()
	if err := t.measure(steps, f); err != nil {
		return err
	}
	t.times = append(t.times, time.Since(began))
	return nil
}

// pauseBeside is the time between two small runs beside a large fan-out.
const pauseBeside = 5 * time.Millisecond

// largeFanOut measures a fan-out once, its memory, and how long a run of a single
// step takes that begins while it is under way.
func (h *hub) largeFanOut(ctx context.Context, n int, t *tally, res *Result) error {
	resetPeak()
	over := make(chan struct{})
	type beside struct {
		times []time.Duration
		err   error
	}
	small := make(chan beside, 1)
	go func() {
		var b beside
		defer func() { small <- b }()
		for b.err == nil {
			select {
			case <-over:
				return
			case <-time.After(pauseBeside):
			}
			began := time.Now()
			var id string
			if id, b.err = h.chain.Schedule(ctx, h.client, 1); b.err == nil {
				_, b.err = h.chain.Wait(ctx, h.client, id)
			}
			b.times = append(b.times, time.Since(began))
		}
	}()
	err := t.whole(n, func() error { return h.run(ctx, h.fanOut, n) })
	close(over)
	b := <-small
	res.RSS = peak() / 1024
	res.Beside, res.BesideMax = quantile(b.times, 0.5), quantile(b.times, 1)
	t.steps += len(b.times)
	return errors.Join(err, b.err)
}

func (r *run) entityCalls(ctx context.Context) error {
	n := r.sizes.calls
	return r.variant(ctx, "entity-calls", n, func(h *hub, t *tally, _ *Result) error {
		for range r.sizes.repeat {
			h.watch.start(n)
			if err := t.measure(n, func() error { return h.run(ctx, h.entityCalls, n) }); err != nil {
				return err
			}
			t.times = append(t.times, h.watch.stop()...)
		}
		return nil
	})
}

func (r *run) subOrchestrations(ctx context.Context) error {
	n := r.sizes.children
	return r.variant(ctx, "sub-orchestrations", n, func(h *hub, t *tally, _ *Result) error {
		for range r.sizes.repeat {
			if err := t.whole(n, func() error { return h.run(ctx, h.children, n) }); err != nil {
				return err
			}
		}
		return nil
	})
}
