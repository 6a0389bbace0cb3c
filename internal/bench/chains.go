package bench

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// inFlight is how many runs are under way at once in parallel-chains and soak,
// and chainLength how many steps each of them has.
const (
	inFlight    = 64
	chainLength = 10
)

func (r *run) parallelChains(ctx context.Context) error {
	return r.variant(ctx, "parallel-chains", inFlight, func(h *hub, t *tally, _ *Result) error {
		return h.together(ctx, t, r.sizes.parallel)
	})
}

// together keeps chains in flight for a time, and counts them.
func (h *hub) together(ctx context.Context, t *tally, d time.Duration) error {
	cpu, commits, began := cpuTime(), h.commits.Load(), time.Now()
	var mu sync.Mutex
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for lane := range inFlight {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil && (i == 0 || time.Since(began) < d); i++ {
				start := time.Now()
				if err := h.runAs(ctx, h.chain, chainLength, strconv.Itoa(lane)+"-"+strconv.Itoa(i)); err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				t.times = append(t.times, time.Since(start))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.steps = len(t.times) * chainLength
	t.rates = []float64{float64(t.steps) / time.Since(began).Seconds()}
	t.cpu, t.commits = cpuTime()-cpu, h.commits.Load()-commits
	return context.Cause(ctx)
}

func (r *run) chains(ctx context.Context) error {
	return r.chainsOf(ctx, "chain", r.sizes.chains, func(h *hub) *durable.Orchestration[int, int] { return h.chain })
}

func (r *run) pureChains(ctx context.Context) error {
	return r.chainsOf(ctx, "chain-pure", r.sizes.pureChains, func(h *hub) *durable.Orchestration[int, int] { return h.pureChain })
}

func (r *run) chainsOf(ctx context.Context, name string, lengths []int, of func(*hub) *durable.Orchestration[int, int]) error {
	for _, n := range lengths {
		err := r.variant(ctx, name, n, func(h *hub, t *tally, res *Result) error {
			var growths []float64
			for range r.repetitions(n) {
				h.watch.start(n)
				if err := t.measure(n, func() error { return h.run(ctx, of(h), n) }); err != nil {
					return err
				}
				gaps := h.watch.stop()
				t.times = append(t.times, gaps...)
				growths = append(growths, growth(gaps))
			}
			res.LastToFirst = median(growths)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// repetitions is how often a run of n steps is measured.
func (r *run) repetitions(n int) int {
	if n >= r.sizes.long {
		return 1
	}
	return r.sizes.repeat
}

// disk is one long chain, of which the size on disk counts.
func (r *run) disk(ctx context.Context) error {
	n := r.sizes.disk
	err := r.variant(ctx, "disk", n, func(h *hub, t *tally, res *Result) error {
		h.watch.start(n)
		if err := t.measure(n, func() error { return h.run(ctx, h.chain, n) }); err != nil {
			return err
		}
		t.times = h.watch.stop()
		size, err := h.walSize()
		res.WAL = float64(size) / (1 << 20)
		return err
	})
	if err != nil {
		return err
	}
	res := &r.results[len(r.results)-1]
	res.TimesPayload = res.BytesPerStep / (2 * payloadSize)
	return nil
}
