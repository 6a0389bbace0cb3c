package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// What was released cannot be read from the file by other means either, however large
// it was.
func TestReleaseOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	secret := []byte("the secret that was told")
	s := open(t, path)
	r, err := s.Recover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := store.Batch{Epoch: r.Epoch}
	for _, copies := range []int{1, 100, 10_000} {
		data := bytes.Repeat(secret, copies)
		hash := history.HashOf(data)
		b.Payloads = append(b.Payloads, store.Payload{Hash: hash, Data: data})
		b.Refs = append(b.Refs, store.PayloadRef{Hash: hash, Num: 1})
	}
	if err := s.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), &store.Batch{Epoch: r.Epoch, Released: b.Refs}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, secret); n > 0 {
			t.Errorf("%s still has it %d times", filepath.Base(f), n)
		}
	}
}
