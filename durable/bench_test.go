package durable_test

import (
	"context"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

// kib is the payload of the benchmarks: 1 KiB, as JSON.
var kib = strings.Repeat("x", 1022)

var (
	echo = durable.NewActivity("echo", func(_ context.Context, s string) (string, error) { return s, nil })
	pure = durable.NewActivity("pure", func(_ context.Context, s string) (string, error) { return s, nil }, durable.Pure())

	steps = durable.NewOrchestration("steps", func(ctx *durable.Context, n int) (string, error) {
		s := kib
		for range n {
			var err error
			if s, err = echo.Call(ctx, s); err != nil {
				return "", err
			}
		}
		return s, nil
	})
	pureSteps = durable.NewOrchestration("pureSteps", func(ctx *durable.Context, n int) (string, error) {
		s := kib
		for range n {
			var err error
			if s, err = pure.Call(ctx, s); err != nil {
				return "", err
			}
		}
		return s, nil
	})
	fanOut = durable.NewOrchestration("fanOut", func(ctx *durable.Context, n int) (int, error) {
		all, err := durable.All(ctx, durable.StartEach(ctx, make([]int, n), func(int) *durable.Task[string] { return echo.Start(ctx, kib) }))
		return len(all), err
	})
	counter   = durable.NewEntity[int]("counter")
	increment = durable.Operation(counter, "increment", func(_ *durable.EntityContext, n *int, _ string) (int, error) {
		*n++
		return *n, nil
	})
	entityCalls = durable.NewOrchestration("entityCalls", func(ctx *durable.Context, n int) (int, error) {
		sum := 0
		for range n {
			var err error
			if sum, err = increment.Call(ctx, ctx.InstanceID(), kib); err != nil {
				return 0, err
			}
		}
		return sum, nil
	})
)

// BenchmarkWorkloads runs each workload to its end once per iteration, on SQLite
// with fsync on, and reports per step of 1 KiB in and 1 KiB out. Read it beside
// BenchmarkCommits of the same run: what a commit for each step would amount to.
func BenchmarkWorkloads(b *testing.B) {
	for _, w := range []struct {
		name  string
		runs  int
		steps int
		start func(ctx context.Context, c *durable.Client) (string, error)
	}{
		{"parallel-chains-64x10", 64, 10, func(ctx context.Context, c *durable.Client) (string, error) { return steps.Schedule(ctx, c, 10) }},
		{"chain-3000", 1, 3000, func(ctx context.Context, c *durable.Client) (string, error) { return steps.Schedule(ctx, c, 3000) }},
		{"chain-pure-3000", 1, 3000, func(ctx context.Context, c *durable.Client) (string, error) { return pureSteps.Schedule(ctx, c, 3000) }},
		{"fan-out-1000", 1, 1000, func(ctx context.Context, c *durable.Client) (string, error) { return fanOut.Schedule(ctx, c, 1000) }},
		{"entity-calls-1000", 1, 1000, func(ctx context.Context, c *durable.Client) (string, error) {
			return entityCalls.Schedule(ctx, c, 1000)
		}},
	} {
		b.Run(w.name, func(b *testing.B) {
			ctx := b.Context()
			s, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{})
			if err != nil {
				b.Fatal(err)
			}
			empty, err := s.BytesInUse(ctx)
			if err != nil {
				b.Fatal(err)
			}
			var commits uint64
			rt, err := durable.OpenStore(ctx, s, durable.Options{OnCommit: func(n uint64) { commits = n }},
				steps, pureSteps, fanOut, entityCalls, echo, pure, counter)
			if err != nil {
				b.Fatal(err)
			}
			defer rt.Close()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				var wg sync.WaitGroup
				for range w.runs {
					wg.Go(func() {
						id, err := w.start(ctx, rt.Client())
						if err == nil {
							var st *durable.State
							if st, err = rt.Client().Wait(ctx, id); err == nil {
								err = st.Err()
							}
						}
						if err != nil {
							b.Error(err)
						}
					})
				}
				wg.Wait()
			}
			b.StopTimer()
			runtime.ReadMemStats(&after)
			done := float64(b.N) * float64(w.runs*w.steps)
			used, err := s.BytesInUse(ctx)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(done/b.Elapsed().Seconds(), "steps/s")
			b.ReportMetric(float64(commits)/done, "commits/step")
			b.ReportMetric(float64(used-empty)/done, "disk-B/step")
			b.ReportMetric(float64(after.Mallocs-before.Mallocs)/done, "allocs/step")
		})
	}
}

// BenchmarkCommits is c, the rate of one-row commits.
func BenchmarkCommits(b *testing.B) {
	s, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"), sqlite.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.BenchCommits(b, s)
}
