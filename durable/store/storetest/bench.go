package storetest

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// BenchCommits measures commits of one small instance row each, one after the
// other: the rate c of the store on this machine, in which the goals of the
// engine are given. s should be empty.
func BenchCommits(b *testing.B, s store.Store) {
	b.Helper()
	ctx := b.Context()
	r, err := s.Recover(ctx)
	if err != nil {
		b.Fatal(err)
	}
	in := small(r.LastNum+1, "bench")
	batch := store.Batch{Epoch: r.Epoch, Instances: born(in)}
	if err := s.Commit(ctx, &batch); err != nil {
		b.Fatal(err)
	}
	batch.Instances = changed(in)
	b.ReportAllocs()
	for b.Loop() {
		in.Events++
		if err := s.Commit(ctx, &batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
}
