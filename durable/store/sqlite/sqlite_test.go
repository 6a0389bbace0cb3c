package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Factory {
		return storetest.Factory{
			Open: func(t *testing.T) store.Store { return open(t, filepath.Join(t.TempDir(), "hub.db")) },
			Reopen: func(t *testing.T, s store.Store) store.Store {
				return open(t, s.(*Store).path)
			},
			Fence: func(t *testing.T, s store.Store) {
				outside(t, s.(*Store).path, "update meta set epoch = epoch + 1")
			},
		}
	})
}

// TestMain lets the test binary be the other process of a test (see
// lease_test.go) and looks for goroutines that outlive their store.
func TestMain(m *testing.M) {
	if path := os.Getenv(holdVariable); path != "" {
		holdUntilKilled(path)
	}
	goleak.VerifyTestMain(m)
}

// open opens a store without preallocation and closes it with the test.
func open(t testing.TB, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, Options{NoPreallocation: true, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// outside runs a statement on a database as another program would.
func outside(t testing.TB, path, query string) {
	t.Helper()
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite, sqlite.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := run(c, query); err != nil {
		t.Fatal(err)
	}
}

// put commits one row of history with so many bytes, under the next key.
func put(s *Store, key int64, n int) error {
	return s.Commit(context.Background(), &store.Batch{Epoch: s.epoch,
		History: []store.HistoryRow{{Key: key, Prev: key - 1, Data: make([]byte, n)}}})
}

// rowsOf counts the rows of the history that ends at key.
func rowsOf(t testing.TB, s *Store, key int64) (n int) {
	t.Helper()
	for _, err := range s.History(context.Background(), key) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func BenchmarkCommit(b *testing.B) {
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "hub.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	storetest.BenchCommits(b, s)
}
