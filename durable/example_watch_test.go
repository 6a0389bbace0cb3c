package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// A client sees what an activity publishes while it works, and that something was
// committed.
func ExampleClient_Watch() {
	seen := make(chan struct{})
	copyFiles := durable.NewActivity("copy", func(ctx context.Context, n int) (int, error) {
		err := durable.Publish(ctx, fmt.Appendf(nil, "file 1 of %d", n))
		<-seen
		return n, err
	})
	backup := durable.NewOrchestration("backup", func(ctx *durable.Context, n int) (int, error) {
		return copyFiles.Call(ctx, n)
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", backup, copyFiles)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	w, err := rt.Client().Watch(ctx, "monday")
	if err != nil {
		log.Fatal(err)
	}
	defer w.Close()
	if _, err := backup.Schedule(ctx, rt.Client(), 3, durable.WithInstanceID("monday")); err != nil {
		log.Fatal(err)
	}
	for {
		change, err := w.Next(ctx)
		if err != nil {
			log.Fatal(err)
		}
		for _, m := range change.Messages {
			fmt.Println(string(m))
			close(seen)
		}
		if s, err := rt.Client().Get(ctx, "monday"); change.Changed && err == nil && s.Status.Ended() {
			fmt.Println("ended with", string(s.Output))
			return
		}
	}
	// Output:
	// file 1 of 3
	// ended with 3
}
