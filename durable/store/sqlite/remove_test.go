package sqlite

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/store"
)

func TestRemove(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	if err := Remove(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a database that is not there: %v", err)
	}
	s, err := Open(t.Context(), path, Options{NoPreallocation: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	var held *store.HeldError
	if err := Remove(path); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("a database that is open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash in the middle would leave: a log of the database that has gone.
	log := []byte("left behind")
	if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(path); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != "hub.db"+lockSuffix {
		t.Errorf("what is left: %v, %v", entries, err)
	}
}

// TestRemoveHalfDone opens a new database where a crash during Remove left the log of the old one.
func TestRemoveHalfDone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s, err := Open(t.Context(), path, Options{NoPreallocation: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("the log has %d bytes: %v", len(log), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.WriteFile(path+"-wal", log, 0o600)); err != nil {
		t.Fatal(err)
	}
	s, err = Open(t.Context(), path, Options{NoPreallocation: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	page, err := s.Query(t.Context(), store.Query{})
	if err != nil || len(page.Instances) != 0 {
		t.Errorf("the new database has %v, %v", page.Instances, err)
	}
	if err := put(s, 1, 10); err != nil {
		t.Error(err)
	}
}
