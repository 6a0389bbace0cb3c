package durable_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

var quiet = slog.New(slog.DiscardHandler)

// disk is a store that can be opened again, and copied as a crash would leave it.
type disk struct {
	memory    *memory.Store
	file      string
	committed chan struct{} // told after each commit
}

// onEach runs a test on the memory store and on SQLite.
func onEach(t *testing.T, test func(t *testing.T, d *disk)) {
	t.Run("memory", func(t *testing.T) { test(t, &disk{memory: memory.New(), committed: make(chan struct{}, 1)}) })
	t.Run("sqlite", func(t *testing.T) {
		test(t, &disk{file: filepath.Join(t.TempDir(), "hub.db"), committed: make(chan struct{}, 1)})
	})
}

// run opens a runtime on the disk; the one before must be closed or the crash of
// it not matter.
func (d *disk) run(t *testing.T, o durable.Options, defs ...durable.Definition) *durable.Runtime {
	t.Helper()
	var s store.Store
	if d.memory != nil {
		d.memory = d.memory.Reopen()
		s = d.memory
	} else {
		var err error
		if s, err = sqlite.Open(t.Context(), d.file, sqlite.Options{Logger: quiet}); err != nil {
			t.Fatal(err)
		}
	}
	if o.Logger == nil {
		o.Logger = quiet
	}
	o.OnCommit = func(uint64) {
		select {
		case d.committed <- struct{}{}:
		default:
		}
	}
	rt, err := durable.OpenStore(t.Context(), s, o, defs...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// crash gives a copy of what is committed, while the runtime goes on.
func (d *disk) crash(t *testing.T) *disk {
	t.Helper()
	if d.memory != nil {
		return &disk{memory: d.memory.Clone(), committed: make(chan struct{}, 1)}
	}
	image := &disk{file: filepath.Join(t.TempDir(), "crash.db"), committed: make(chan struct{}, 1)}
	// The log first: while nobody commits or checkpoints the two belong together.
	for _, suffix := range []string{"-wal", ""} {
		copyFile(t, d.file+suffix, image.file+suffix)
	}
	return image
}

func closeRuntime(t *testing.T, rt *durable.Runtime) {
	t.Helper()
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
}

// kinds gives the kinds of an instance's events.
func kinds(t *testing.T, c *durable.Client, id string) string {
	t.Helper()
	var s []string
	for ev, err := range c.History(t.Context(), id, "") {
		if err != nil {
			t.Fatal(err)
		}
		s = append(s, ev.Kind.String())
	}
	return strings.Join(s, " ")
}

// record gives an instance's events.
func record(t *testing.T, c *durable.Client, id string) (evs []*history.Event) {
	t.Helper()
	for ev, err := range c.History(t.Context(), id, "") {
		if err != nil {
			t.Fatal(err)
		}
		evs = append(evs, ev)
	}
	return evs
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}

// signalled is an activity that tells that it runs and waits until it may go on.
func signalled(name string, running chan<- string, proceed <-chan struct{}, opts ...durable.ActivityOption) *durable.Activity[string, string] {
	return durable.NewActivity(name, func(ctx context.Context, in string) (string, error) {
		running <- in
		select {
		case <-proceed:
			return "did " + in, nil
		case <-ctx.Done():
			return "", fmt.Errorf("%s: %w", in, ctx.Err())
		}
	}, opts...)
}

// until waits until a condition on what is committed holds: it looks again after
// each commit.
func (d *disk) until(t *testing.T, rt *durable.Runtime, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatal("the test ended")
		case <-rt.Done():
			t.Fatal(rt.Err())
		case <-d.committed:
		}
	}
}
