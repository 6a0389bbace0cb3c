package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// A failed instance goes on from its failure when what it failed for is mended.
func ExampleClient_Rewind() {
	full := true
	bake := durable.NewActivity("bake", func(_ context.Context, n int) (int, error) {
		fmt.Println("baking", n)
		return n, nil
	})
	store := durable.NewActivity("store", func(_ context.Context, n int) (string, error) {
		if full {
			return "", errors.New("the shelf is full")
		}
		return fmt.Sprint(n, " loaves"), nil
	})
	bakery := durable.NewOrchestration("bakery", func(ctx *durable.Context, n int) (string, error) {
		n, err := bake.Call(ctx, n)
		if err != nil {
			return "", err
		}
		return store.Call(ctx, n)
	})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", bakery, bake, store)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	_, err = bakery.Run(ctx, rt.Client(), 12, durable.WithInstanceID("today"))
	fmt.Println(err)

	full = false
	if err := rt.Client().Rewind(ctx, "today", "there is room now"); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bakery.Wait(ctx, rt.Client(), "today"))

	// Starting over does everything again.
	if _, err := rt.Client().Restart(ctx, "today", false); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bakery.Wait(ctx, rt.Client(), "today"))
	// Output:
	// baking 12
	// orchestration bakery failed: activity store failed: the shelf is full
	// 12 loaves <nil>
	// baking 12
	// 12 loaves <nil>
}
