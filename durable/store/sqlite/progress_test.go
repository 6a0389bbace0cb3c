package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// A database that a program without progress has written gets the table.
func TestProgressOfOlderFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.db")
	old(t, path)
	for range 2 { // brought up to date, and then of this format
		s, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := s.Recover(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := store.Progress{ProgressKey: store.ProgressKey{Num: 1, Execution: "x", Call: 1}, Data: history.Payload("half"), At: time.Unix(1, 0).UTC()}
		if err := s.Commit(t.Context(), &store.Batch{Epoch: r.Epoch, Progress: []store.ProgressWrite{{Progress: want}}}); err != nil {
			t.Fatal(err)
		}
		n := 0
		for p, err := range s.Progress(t.Context()) {
			if n++; err != nil || p.ProgressKey != want.ProgressKey || string(p.Data) != "half" || !p.At.Equal(want.At) {
				t.Errorf("%+v, %v", p, err)
			}
		}
		if n != 1 {
			t.Errorf("%d records", n)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
