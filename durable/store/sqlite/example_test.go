package sqlite_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// A store is opened, written in one batch, and read; a second Open finds it
// held.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "agentrun.db")

	s, err := sqlite.Open(ctx, path, sqlite.Options{})
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
	err = s.Commit(ctx, &store.Batch{
		Epoch:     r.Epoch,
		Instances: []store.InstanceRow{{New: true, Instance: &store.Instance{Num: r.LastNum + 1, ID: "order-1", Last: 1}}},
		History:   []store.HistoryRow{{Key: r.LastRow + 1, Data: []byte("started")}},
	})
	fmt.Println("committed:", err == nil)

	in, err := s.Instance(ctx, "order-1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for row, err := range s.History(ctx, in.Last) {
		fmt.Printf("%s %v\n", row, err)
	}

	_, err = sqlite.Open(ctx, path, sqlite.Options{})
	var held *store.HeldError
	fmt.Println("held:", errors.As(err, &held) && held.PID == os.Getpid())
	// Output:
	// committed: true
	// started <nil>
	// held: true
}
