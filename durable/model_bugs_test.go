package durable_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// TestModelFindsBugs shows for each promise of the store that the model notices when
// it is broken: a number of programs that come to something else.
func TestModelFindsBugs(t *testing.T) {
	generator := rapid.Custom(drawProgram)
	for name, seed := range seededBugs {
		t.Run(name, func(t *testing.T) {
			for n := range 5000 {
				p := generator.Example(n)
				want := p.interpret()
				var got outcome
				synctest.Test(t, func(t *testing.T) {
					got = runLives(t.Context(), p, func(s store.Store) store.Store { return &buggy{s, seed} })
				})
				if got != want {
					t.Logf("found by program %d: %+v instead of %+v", n, got, want)
					return
				}
			}
			t.Error("no program finds it")
		})
	}
}

// buggy is a store with a fault.
type buggy struct {
	store.Store
	break_ func(*store.Batch)
}

func (b *buggy) Commit(ctx context.Context, batch *store.Batch) error {
	broken := *batch
	broken.Instances = nil
	for _, r := range batch.Instances {
		row := *r.Instance
		broken.Instances = append(broken.Instances, store.InstanceRow{Instance: &row, New: r.New})
	}
	b.break_(&broken)
	return b.Store.Commit(ctx, &broken)
}

var seededBugs = map[string]func(*store.Batch){
	"messages are lost":           func(b *store.Batch) { b.Inbox = nil },
	"a message is taken twice":    func(b *store.Batch) { b.Consumed = nil },
	"the last event is lost":      func(b *store.Batch) { b.History = b.History[:max(0, len(b.History)-1)] },
	"timers are forgotten":        func(b *store.Batch) { eachRow(b, func(r *store.Instance) { r.Due = time.Time{} }) },
	"timers are late":             func(b *store.Batch) { eachRow(b, func(r *store.Instance) { r.Due = later(r.Due) }) },
	"pending calls are forgotten": func(b *store.Batch) { eachRow(b, func(r *store.Instance) { r.Pending = 0 }) },
	"intents are lost":            func(b *store.Batch) { b.Effects = nil },
	"an entity forgets":           func(b *store.Batch) { eachRow(b, func(r *store.Instance) { r.State = nil }) },
	"a generation is not counted": func(b *store.Batch) { eachRow(b, func(r *store.Instance) { r.Generation = 0 }) },
	"locks are forgotten":         func(b *store.Batch) { eachEntity(b, func(r *store.Instance) { r.LockedBy, r.CustomStatus = "", nil }) },
	"a lock's request is lost":    func(b *store.Batch) { eachEntity(b, func(r *store.Instance) { r.CustomStatus = nil }) },
	"later signals are forgotten": func(b *store.Batch) { eachEntity(b, func(r *store.Instance) { r.Due = time.Time{} }) },
	"a purge is lost":             func(b *store.Batch) { b.Purged = nil },
	"a purge takes another":       func(b *store.Batch) { b.Purged = shifted(b.Purged) },
	"retention is forgotten":      func(b *store.Batch) { eachRow(b, func(r *store.Instance) { forgetRetention(r) }) },
	"an old execution is lost":    func(b *store.Batch) { b.Ended = nil },
	"rows are written late":       func(b *store.Batch) { b.Instances = b.Instances[:len(b.Instances)/2] },
}

func eachRow(b *store.Batch, f func(*store.Instance)) {
	for _, r := range b.Instances {
		f(r.Instance)
	}
}

func later(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(time.Hour)
}

func eachEntity(b *store.Batch, f func(*store.Instance)) {
	eachRow(b, func(r *store.Instance) {
		if strings.HasPrefix(r.ID, "@") {
			f(r)
		}
	})
}

func forgetRetention(r *store.Instance) {
	if r.Status.Ended() {
		r.Due = time.Time{}
	}
}

// shifted gives the numbers of the instances before.
func shifted(nums []int64) (others []int64) {
	for _, n := range nums {
		others = append(others, n-1)
	}
	return others
}
