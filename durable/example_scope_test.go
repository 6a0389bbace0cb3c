package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A deadline for several steps together, and clean-up that it does not cut off.
func ExampleContext_WithTimeout() {
	reserve := durable.NewActivity("reserve", func(_ context.Context, what string) (string, error) { return what, nil })
	release := durable.NewActivity("release", func(_ context.Context, what string) (string, error) { return "released " + what, nil })
	book := durable.NewOrchestration("book", func(ctx *durable.Context, trip string) (string, error) {
		within, cancel := ctx.WithTimeout(10 * time.Millisecond)
		defer cancel()
		seat, err := reserve.Call(within, "a seat to "+trip)
		if err != nil {
			return "", err
		}
		paid, err := durable.WaitForEvent[string](within, "Paid").Await()
		if errors.Is(err, context.DeadlineExceeded) {
			return release.Call(within.WithoutCancel(), seat)
		}
		return paid, err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", book, reserve, release)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(book.Run(ctx, rt.Client(), "Oslo"))
	// Output: released a seat to Oslo <nil>
}

// Asking an instance to end itself.
func ExampleClient_Cancel() {
	watch := durable.NewOrchestration("watch", func(ctx *durable.Context, what string) (string, error) {
		for {
			if err := ctx.Sleep(time.Hour); err != nil {
				return "", err
			}
		}
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", watch)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	id, err := watch.Schedule(ctx, rt.Client(), "the tide")
	if err != nil {
		log.Fatal(err)
	}
	if err := rt.Client().Cancel(ctx, id, "it is low"); err != nil {
		log.Fatal(err)
	}
	_, err = watch.Wait(ctx, rt.Client(), id)
	fmt.Println(err, errors.Is(err, context.Canceled))
	// Output: orchestration watch failed: it is low true
}
