// Package storetest says in tests what package store says in words. Every
// implementation of store.Store runs the same suite:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) storetest.Factory {
//			return storetest.Factory{Open: …, Reopen: …, Fence: …}
//		})
//	}
//
// A new promise of the interface becomes a case here, never in the test of one
// store. [NewFault] wraps any store in one that fails where a test wants it to.
package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Factory opens the stores that a case works on. All three fail the test rather
// than return an error.
type Factory struct {
	// Open gives a new, empty store. The suite closes it.
	Open func(t *testing.T) store.Store
	// Reopen opens the data of s again after s was closed: another process.
	Reopen func(t *testing.T, s store.Store) store.Store
	// Fence lets another process take the lease of s while s is open, as after
	// a pause that was too long.
	Fence func(t *testing.T, s store.Store)
}

// Run runs the suite. It calls factory once for each case.
func Run(t *testing.T, factory func(t *testing.T) Factory) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, *env)
	}{
		{"Commit", testCommit},
		{"Instance", testInstance},
		{"History", testHistory},
		{"Inbox", testInbox},
		{"Payload", testPayload},
		{"Release", testRelease},
		{"Purge", testPurge},
		{"Effect", testEffect},
		{"Progress", testProgress},
		{"Query", testQuery},
		{"Recover", testRecover},
		{"Lease", testLease},
		{"Concurrent", testConcurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(t, &env{factory: factory(t)})
		})
	}
}

// env is what the cases of one concern share.
type env struct{ factory Factory }

// handle is an open store together with the epoch of its lease.
type handle struct {
	store.Store
	t     *testing.T
	epoch uint64
}

func (e *env) open(t *testing.T) *handle {
	t.Helper()
	return newHandle(t, e.factory.Open(t))
}

func (e *env) reopen(t *testing.T, h *handle) *handle {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
	return newHandle(t, e.factory.Reopen(t, h.Store))
}

func newHandle(t *testing.T, s store.Store) *handle {
	t.Helper()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	r, err := s.Recover(t.Context())
	if err != nil {
		t.Fatalf("recover: %v", err)
	}
	return &handle{s, t, r.Epoch}
}

// try commits b in the handle's epoch.
func (h *handle) try(b store.Batch) error {
	b.Epoch = h.epoch
	return h.Commit(context.Background(), &b)
}

func (h *handle) commit(b store.Batch) {
	h.t.Helper()
	if err := h.try(b); err != nil {
		h.t.Fatalf("commit: %v", err)
	}
}

// must gives the value of a read that must succeed.
func must[T any](v T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// at gives an instant with every digit of a nanosecond used.
func at(seconds int) time.Time {
	return time.Date(2026, 3, 14, 9, 26, 53, 589793238, time.UTC).Add(time.Duration(seconds) * time.Second)
}

// full gives an instance in which no field is zero.
func full(num int64, id string) *store.Instance {
	return &store.Instance{
		Num: num, ID: id, Name: "order", Parent: "parent-1", Created: at(0),
		Tags: map[string]string{"team": "a", "quo\"te.$[0]": "ünï<&>\n"}, Origin: "0123456789abcdef0123456789abcdef",
		Version: "1.2", Execution: "fedcba9876543210fedcba9876543210", Generation: 3, Status: history.Suspended,
		Updated: at(1), Completed: at(2), CustomStatus: history.Payload(`{"step":1}`), Pending: 7, Due: at(3),
		First: 11, Last: 12, Events: 13, State: history.Payload("state"), LockedBy: "locker",
	}
}

// small gives an instance of which only the essential fields are set.
func small(num int64, id string) *store.Instance {
	return &store.Instance{Num: num, ID: id, Name: "order", Created: at(int(num)), Updated: at(int(num))}
}

// born is the insertion of instances.
func born(list ...*store.Instance) (rows []store.InstanceRow) {
	for _, in := range list {
		rows = append(rows, store.InstanceRow{Instance: in, New: true})
	}
	return rows
}

func changed(list ...*store.Instance) (rows []store.InstanceRow) {
	for _, in := range list {
		rows = append(rows, store.InstanceRow{Instance: in})
	}
	return rows
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
