package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// A bound is kept by failing the commit that would pass it; the same commit
// succeeds when the bound is lifted.
func ExampleStore_LimitSize() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	s, err := sqlite.Open(ctx, filepath.Join(dir, "agentrun.db"), sqlite.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	r, err := s.Recover(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	batch := &store.Batch{Epoch: r.Epoch, History: []store.HistoryRow{{Key: 1, Data: make([]byte, 4<<20)}}}
	if err := s.LimitSize(ctx, 1<<20); err != nil {
		fmt.Println(err)
		return
	}
	err = s.Commit(ctx, batch)
	fmt.Println("full:", err != nil && strings.Contains(err.Error(), "the disk is full"))
	if err := s.LimitSize(ctx, 0); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("after that:", s.Commit(ctx, batch))
	// Output:
	// full: true
	// after that: <nil>
}
