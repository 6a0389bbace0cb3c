package store_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// A query's answer comes in pages; the token of one leads to the next.
func ExampleQuery() {
	ctx := context.Background()
	var s store.Store = memory.New()
	defer s.Close()
	b := store.Batch{Epoch: 1}
	for i, id := range []string{"order-1", "@stock@7", "order-2", "order-3", "bill-1"} {
		b.Instances = append(b.Instances, store.InstanceRow{New: true, Instance: &store.Instance{Num: int64(i + 1), ID: id}})
	}
	if err := s.Commit(ctx, &b); err != nil {
		fmt.Println(err)
		return
	}
	q := store.Query{Prefix: "order-", Newest: true, Limit: 2}
	for {
		page, err := s.Query(ctx, q)
		if err != nil {
			fmt.Println(err)
			return
		}
		for _, in := range page.Instances {
			fmt.Println(in.ID)
		}
		if q.Token = page.Token; q.Token == "" {
			break
		}
		fmt.Println("--")
	}
	// Output:
	// order-3
	// order-2
	// --
	// order-1
}

func ExampleHeldError() {
	var err error = &store.HeldError{Store: "hub.db", PID: 4711, Program: "agentrun",
		Since: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)}
	fmt.Println(err)
	fmt.Println(&store.HeldError{Store: "hub.db"})
	// Output:
	// hub.db is in use by process 4711 (agentrun) since 2026-03-14 09:26:53
	// hub.db is in use
}

func ExampleOpenError() {
	fmt.Println(&store.OpenError{Store: "hub.db", Problem: "is not an agentrun database or is damaged",
		Err: errors.New("file is not a database"), Advice: "restore a backup or choose another --store"})
	// Output:
	// hub.db is not an agentrun database or is damaged: file is not a database; restore a backup or choose another --store
}
