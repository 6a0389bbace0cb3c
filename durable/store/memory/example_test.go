package memory_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

func ExampleStore_Clone() {
	ctx := context.Background()
	s := memory.New()
	defer s.Close()
	commit := func(num int64, id string) {
		err := s.Commit(ctx, &store.Batch{Epoch: 1, Instances: []store.InstanceRow{
			{Instance: &store.Instance{Num: num, ID: id}, New: true}}})
		if err != nil {
			fmt.Println(err)
		}
	}
	commit(1, "before")
	image := s.Clone()
	commit(2, "after")

	for _, id := range []string{"before", "after"} {
		_, err := image.Instance(ctx, id)
		fmt.Println(id, errors.Is(err, store.ErrNotFound))
	}
	// Output:
	// before false
	// after true
}

func ExampleStore_Reopen() {
	ctx := context.Background()
	old := memory.New()
	next := old.Reopen()
	defer next.Close()
	r, _ := next.Recover(ctx)
	fmt.Println("epoch", r.Epoch)
	fmt.Println(old.Commit(ctx, &store.Batch{Epoch: 1}))
	fmt.Println(next.Commit(ctx, &store.Batch{Epoch: r.Epoch}))
	// Output:
	// epoch 2
	// memory store: the store's lease was lost: it is of epoch 2, the batch of 1
	// <nil>
}
