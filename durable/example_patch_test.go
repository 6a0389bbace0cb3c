package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// Code that changes in the middle of instances that run. One that has charged in one
// step already stays with that, one that has not come so far charges in two.
func ExampleContext_Patched() {
	charge := durable.NewActivity("charge", func(ctx context.Context, what string) (string, error) { return what, nil })
	before := durable.NewOrchestration("order", func(ctx *durable.Context, _ string) (string, error) {
		done, err := charge.Call(ctx, "all at once")
		if err != nil {
			return "", err
		}
		_, err = durable.WaitForEvent[string](ctx, "shipped").Await()
		return done, err
	})
	after := durable.NewOrchestration("order", func(ctx *durable.Context, _ string) (string, error) {
		var done string
		var err error
		if ctx.Patched("charge-in-two-steps") {
			if _, err = charge.Call(ctx, "first half"); err == nil {
				done, err = charge.Call(ctx, "second half")
			}
		} else {
			done, err = charge.Call(ctx, "all at once")
		}
		if err != nil {
			return "", err
		}
		_, err = durable.WaitForEvent[string](ctx, "shipped").Await()
		return done, err
	})

	ctx := context.Background()
	s := memory.New()
	for _, order := range []*durable.Orchestration[string, string]{before, after} { // two builds of one program
		rt, err := durable.OpenStore(ctx, s.Reopen(), durable.Options{}, order, charge)
		if err != nil {
			log.Fatal(err)
		}
		for _, id := range []string{"old", "new"} {
			if id == "old" == (order == before) {
				if _, err := order.Schedule(ctx, rt.Client(), "", durable.WithInstanceID(id)); err != nil {
					log.Fatal(err)
				}
			}
			if order == after {
				if err := rt.Client().RaiseEvent(ctx, id, "shipped", ""); err != nil {
					log.Fatal(err)
				}
				fmt.Println(order.Wait(ctx, rt.Client(), id))
			}
		}
		if err := rt.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// all at once <nil>
	// second half <nil>
}

// Before a deploy: which open instances would today's code break?
func ExampleReplayOpen() {
	reserve := durable.NewActivity("reserve", func(ctx context.Context, item string) (string, error) { return item, nil })
	book := durable.NewOrchestration("book", func(ctx *durable.Context, item string) (string, error) {
		if _, err := reserve.Call(ctx, item); err != nil {
			return "", err
		}
		return durable.WaitForEvent[string](ctx, "confirmed").Await()
	})
	changed := durable.NewOrchestration("book", func(ctx *durable.Context, item string) (string, error) {
		if err := ctx.Sleep(0); err != nil { // a step that running instances have not taken
			return "", err
		}
		if _, err := reserve.Call(ctx, item); err != nil {
			return "", err
		}
		return durable.WaitForEvent[string](ctx, "confirmed").Await()
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", book, reserve)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if _, err := book.Schedule(ctx, rt.Client(), "a room", durable.WithInstanceID("b1")); err != nil {
		log.Fatal(err)
	}
	for broken, err := range durable.ReplayOpen(ctx, rt.Client(), changed) {
		if err != nil {
			log.Fatal(err)
		}
		d := broken.Difference
		fmt.Println(broken.ID, "recorded", d.Event.Kind, "and the code did", d.Did.Kind)
	}
	// Output:
	// b1 recorded TaskScheduled and the code did TimerCreated
}
