package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// Two versions of an orchestration side by side: instances that began with the old
// one end with it, new ones begin with the new one.
func ExampleVersion() {
	orderV1 := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		return item + " by post", nil
	}, durable.Version("1.0"))
	orderV2 := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		return item + " by bike, as version " + ctx.Version() + " does", nil
	}, durable.Version("2.0"))

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", orderV1, orderV2)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(orderV2.Run(ctx, rt.Client(), "a book"))
	fmt.Println(orderV2.Run(ctx, rt.Client(), "a lamp", durable.WithVersion("1.0")))
	// Output:
	// a book by bike, as version 2.0 does <nil>
	// a lamp by post <nil>
}

// A program whose definitions also run what older ones began, and which fails what a
// newer one did.
func ExampleVersionPolicy() {
	order := durable.NewOrchestration("order", func(ctx *durable.Context, item string) (string, error) {
		return item, nil
	}, durable.Version("2.0"))

	ctx := context.Background()
	rt, err := durable.OpenWith(ctx, "memory:", durable.Options{
		Versions: durable.VersionPolicy{Match: durable.MatchCurrentOrOlder, Mismatch: durable.MismatchFails},
	}, order)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(order.Run(ctx, rt.Client(), "a book", durable.WithVersion("1.4")))
	_, err = order.Run(ctx, rt.Client(), "a lamp", durable.WithVersion("2.1"))
	fmt.Println(err)
	// Output:
	// a book <nil>
	// orchestration order failed: the instance is of version "2.1" of orchestration order, and this program has only "2.0"
}
