package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// A reminder that an entity sends to itself. Until it is due it costs nothing, and
// it comes also if the process was not there all the time.
func ExampleWithDeliverAt() {
	done := make(chan struct{})
	cart := durable.NewEntity[[]string]("cart")
	remind := durable.Operation(cart, "remind", func(ctx *durable.EntityContext, items *[]string, _ string) (int, error) {
		fmt.Println("still waiting for you:", *items)
		close(done)
		return len(*items), nil
	})
	add := durable.Operation(cart, "add", func(ctx *durable.EntityContext, items *[]string, item string) (int, error) {
		*items = append(*items, item)
		in := 10 * time.Millisecond // a day, in a shop
		return len(*items), remind.SignalFrom(ctx, ctx.Key(), "", durable.WithDeliverAt(ctx.Now().Add(in)))
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", cart)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if err := add.Send(ctx, rt.Client(), "ann", "a tent"); err != nil {
		log.Fatal(err)
	}
	<-done
	// Output: still waiting for you: [a tent]
}

// An entity that another program defines is called by its id and the operation's
// name.
func ExampleCallEntity() {
	// This may as well be code in another language.
	counter := durable.NewEntity[int]("counter")
	durable.Operation(counter, "add", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum += n
		return *sum, nil
	})

	count := durable.NewOrchestration("count", func(ctx *durable.Context, n int) (int, error) {
		if err := durable.SignalEntity(ctx, "@counter@visitors", "add", n); err != nil {
			return 0, err
		}
		return durable.CallEntity[int](ctx, "@counter@visitors", "add", n)
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", counter, count)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(count.Run(ctx, rt.Client(), 21))
	// Output: 42 <nil>
}

// The entities of a kind, in the order in which they came to be.
func ExampleClient_Entities() {
	note := durable.NewEntity[string]("note")
	write := durable.Operation(note, "write", func(_ *durable.EntityContext, s *string, text string) (string, error) {
		*s = text
		return text, nil
	})
	writeAll := durable.NewOrchestration("writeAll", func(ctx *durable.Context, keys []string) (int, error) {
		for _, k := range keys {
			if _, err := write.Call(ctx, k, "about "+k); err != nil {
				return 0, err
			}
		}
		return len(keys), nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", note, writeAll)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if _, err := writeAll.Run(ctx, rt.Client(), []string{"tea", "cake"}); err != nil {
		log.Fatal(err)
	}
	for s, err := range rt.Client().Entities(ctx, durable.EntityQuery{Prefix: "@note@", Data: true}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(s.ID, string(s.State))
	}
	cleaned, err := rt.Client().CleanEntities(ctx, durable.EntityCleaning{Empty: true, Locks: true})
	fmt.Println(cleaned, err)
	// Output:
	// @note@tea "about tea"
	// @note@cake "about cake"
	// {0 0} <nil>
}
