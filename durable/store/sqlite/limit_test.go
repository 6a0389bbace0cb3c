package sqlite

import (
	"errors"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// A database at its bound refuses what needs more, whole and again and again, takes
// what does not, and goes on when the bound is lifted.
func TestLimitSize(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	used, err := s.BytesInUse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	limit := func(bytes int64) {
		t.Helper()
		if err := s.LimitSize(t.Context(), bytes); err != nil {
			t.Fatal(err)
		}
	}
	for _, bytes := range []int64{used + 4*pageSize, 1} { // the second is what the file has
		limit(bytes)
		if err := put(s, 2, 1<<20); sqlite.ErrCode(err) != sqlite.ResultFull || errors.Is(err, store.ErrUnknown) {
			t.Fatalf("at %d bytes: %v", bytes, err)
		}
	}
	if err := put(s, 2, 10); err != nil {
		t.Fatalf("for a small one there is room: %v", err)
	}
	limit(0)
	if err := put(s, 3, 1<<20); err != nil {
		t.Fatal(err)
	}
	if n := rowsOf(t, s, 3); n != 3 {
		t.Errorf("%d rows", n)
	}
}
