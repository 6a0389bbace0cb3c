package sqlite

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// A read that takes long ends with its context, in the middle of a statement,
// and its connection serves the next one.
func TestReadIsInterrupted(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `with recursive n(i) as (select 1 union all select i + 1 from n) select i from n where i = 1000 or i < 0`, nil,
			func(*sqlite.Stmt) error {
				cancel() // what remains would never end
				return nil
			})
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := s.Recover(t.Context()); err != nil {
		t.Error(err)
	}
	if n := len(s.readers.idle); n != 1 {
		t.Errorf("%d idle connections, not 1", n)
	}
}

// With every connection lent, a read waits for one or for its context.
func TestReadersAreBounded(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	var lent []*sqlite.Conn
	for range maxReaders {
		c, err := s.readers.borrow(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lent = append(lent, c)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	got := make(chan error)
	go func() {
		_, err := s.Recover(ctx)
		got <- err
	}()
	reason := errors.New("enough")
	cancel(reason)
	if err := <-got; !errors.Is(err, reason) {
		t.Errorf("got %v", err)
	}
	for _, c := range lent {
		s.readers.give(c)
	}
	if _, err := s.Recover(t.Context()); err != nil {
		t.Error(err)
	}
}

// A history whose pointers form a circle is damaged; reading it ends.
func TestHistoryThatPointsForward(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "hub.db"))
	b := store.Batch{Epoch: s.epoch, History: []store.HistoryRow{{Key: 1, Prev: 2}, {Key: 2, Prev: 1}}}
	if err := s.Commit(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, err := range s.History(t.Context(), 2) {
		if err == nil {
			t.Error("a row was given")
		}
	}
}
