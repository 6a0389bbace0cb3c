package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Coroutines take turns; what they share needs no locks.
func ExampleGo() {
	fetch := durable.NewActivity("fetch", func(_ context.Context, page int) (int, error) { return page * 10, nil })
	crawl := durable.NewOrchestration("crawl", func(ctx *durable.Context, pages int) (int, error) {
		total := 0
		var workers []*durable.Task[string]
		for i := range pages {
			workers = append(workers, durable.Go(ctx, func(ctx *durable.Context) (string, error) {
				first, err := fetch.Call(ctx, i)
				if err != nil {
					return "", err
				}
				second, err := fetch.Call(ctx, first) // after the first, beside the other workers
				total += second
				return fmt.Sprint("page ", i), err
			}))
		}
		_, err := durable.All(ctx, workers)
		return total, err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", crawl, fetch)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(crawl.Run(ctx, rt.Client(), 4))
	// Output: 600 <nil>
}

// A loop over what comes: orders, until the shop closes.
func ExampleSelect() {
	shop := durable.NewOrchestration("shop", func(ctx *durable.Context, _ string) (sold []string, err error) {
		orders, closing := durable.Events[string](ctx, "Order"), durable.WaitForEvent[string](ctx, "Close")
		for open := true; open; {
			durable.Select(ctx,
				orders.On(func(order string, e error) { sold, err = append(sold, order), e }),
				durable.On(closing, func(why string, e error) { open, err = false, e }),
				durable.On(ctx.Done(), func(struct{}, error) { open, err = false, ctx.Err() }))
		}
		return sold, err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", shop)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	c := rt.Client()
	id, err := shop.Schedule(ctx, c, "")
	if err != nil {
		log.Fatal(err)
	}
	for _, e := range [][2]string{{"Order", "tea"}, {"Order", "coffee"}, {"Close", "evening"}} {
		if err := c.RaiseEvent(ctx, id, e[0], e[1]); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(shop.Wait(ctx, c, id))
	// Output: [tea coffee] <nil>
}

// The loser of a race is given up: its context ends, and nothing waits for it.
func ExampleTask_Cancel() {
	search := durable.NewActivity("search", func(ctx context.Context, where string) (string, error) {
		if where == "far" {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "found " + where, nil
	})
	race := durable.NewOrchestration("race", func(ctx *durable.Context, _ string) (string, error) {
		near, far := search.Start(ctx, "near"), search.Start(ctx, "far")
		if durable.Any(ctx, near, far) == near {
			far.Cancel()
		}
		if err := ctx.Sleep(time.Millisecond); err != nil {
			return "", err
		}
		return near.Await()
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", race, search)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(race.Run(ctx, rt.Client(), ""))
	// Output: found near <nil>
}
