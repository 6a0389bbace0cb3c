package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A long activity tells how far it is. When it fails, or its process ends, the next
// attempt goes on from there; when it is stuck, that is noticed after seconds and
// not after the hours that it may take.
func ExampleHeartbeat() {
	failed := false
	load := durable.NewActivity("load", func(ctx context.Context, rows int) (string, error) {
		from, _ := durable.Progress[int](ctx)
		for row := from; row < rows; row++ {
			if err := durable.Heartbeat(ctx, row); err != nil {
				return "", err // it is no longer wanted, or was cut off
			}
			if row == 70 && !failed {
				failed = true
				return "", errors.New("connection lost")
			}
		}
		return fmt.Sprintf("%d rows, the last attempt from row %d", rows, from), nil
	}, durable.HeartbeatTimeout(30*time.Second), durable.StartToClose(6*time.Hour))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, rows int) (string, error) {
		return load.Call(ctx, rows, durable.WithRetry(durable.RetryPolicy{MaxAttempts: 10}))
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, load)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), 100))
	// Output: 100 rows, the last attempt from row 70 <nil>
}

// Operators see what an instance waits for.
func ExampleRuntime_Activities() {
	told, done := make(chan struct{}), make(chan struct{})
	load := durable.NewActivity("load", func(ctx context.Context, rows int) (int, error) {
		err := durable.Heartbeat(ctx, map[string]int{"row": 70})
		close(told)
		<-done
		return rows, err
	})
	o := durable.NewOrchestration("o", func(ctx *durable.Context, rows int) (int, error) { return load.Call(ctx, rows) })

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, load)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	id, err := o.Schedule(ctx, rt.Client(), 100)
	if err != nil {
		log.Fatal(err)
	}
	<-told
	list, err := rt.Activities(ctx, id)
	for _, a := range list {
		fmt.Println(a.Name, "attempt", a.Attempt, "running", a.Running, string(a.Progress), err)
	}
	close(done)
	fmt.Println(o.Wait(ctx, rt.Client(), id))
	// Output:
	// load attempt 1 running true {"row":70} <nil>
	// 100 <nil>
}
