//go:build linux || darwin

package serverfaults

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// moment is how long a fault of the wire lasts at most.
const moment = 200 * time.Millisecond

// TestWire has a proxy between each worker and the server, which cuts connections after some bytes,
// or when an answer is under way, resets them, lets them stand still, and slows them down.
func TestWire(t *testing.T) {
	proxy := startProxy(t)
	r := newRig(t)
	for i := range workers {
		r.work(proxy.between(fmt.Sprintf("w%d", i), r.address))
	}
	turns, count := 0, map[string]int{}
	r.under(func(ctx context.Context) {
		// A fault that has begun is taken back, also when the load has ended.
		name, err := r.disturb(context.WithoutCancel(ctx), proxy, turns)
		if err != nil {
			r.find("%s: %v", name, err)
		}
		turns++
		count[name]++
		select {
		case <-r.next(r.random.IntN(50), anything):
		case <-ctx.Done():
		}
	}, func() bool { return len(count) == len(r.toxics())+1 && r.allCut() })
	r.check()
	r.report()
	t.Logf("faults of the wire: %v", count)
}

// toxics are faults that need only be there for a while.
func (r *rig) toxics() []toxic {
	bytes := map[string]any{"bytes": r.random.IntN(20_000)}
	still := map[string]any{"timeout": 1 + r.random.IntN(100)} // ms; then the connection is closed
	return []toxic{
		{"request cut", "limit_data", "upstream", bytes},
		{"answer cut", "limit_data", "downstream", bytes},
		{"requests stall", "timeout", "upstream", still},
		{"answers stall", "timeout", "downstream", still},
		{"slow there", "latency", "upstream", map[string]any{"latency": 30, "jitter": 20}},
		{"slow back", "bandwidth", "downstream", map[string]any{"rate": 20}}, // KB/s
		{"in pieces", "slicer", "downstream", map[string]any{"average_size": 20, "size_variation": 10, "delay": 100}},
		{"reset", "reset_peer", "upstream", map[string]any{"timeout": r.random.IntN(50)}},
	}
}

// disturb brings the n-th fault over a worker's connections, and takes it back. Every other time no
// answer comes back any more until the worker has sent one of the kind that was cut least, and then
// the connections are cut: that answer is in flight.
func (r *rig) disturb(ctx context.Context, p *toxiproxy, n int) (name string, err error) {
	_, rarest := r.cuts()
	worker := fmt.Sprintf("w%d", r.random.IntN(workers))
	if n%2 == 0 {
		hit := r.next(0, sends(worker, rarest))
		if err := p.poison(ctx, worker, toxic{"", "timeout", "downstream", map[string]any{"timeout": 0}}); err != nil {
			return "cut in flight", err
		}
		wait(hit, moment)
		return "cut in flight", errors.Join(p.enable(ctx, worker, false), p.heal(ctx, worker), p.enable(ctx, worker, true))
	}
	list := r.toxics()
	x := list[n/2%len(list)]
	if err := p.poison(ctx, worker, x); err != nil {
		return x.name, err
	}
	wait(r.next(20+r.random.IntN(200), anything), moment)
	return x.name, p.heal(ctx, worker)
}

func anything(record) bool { return true }

// wait waits for something that may not come.
func wait(hit <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-hit:
	case <-timer.C:
	}
}
