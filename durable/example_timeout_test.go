package durable_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// An attempt that hangs is cut off and tried again; the call as a whole has its
// own time, which counts on while no program runs.
func ExampleStartToClose() {
	fetch := durable.NewActivity("fetch", func(ctx context.Context, url string) (string, error) {
		info, _ := durable.Info(ctx)
		if info.Attempt == 1 {
			<-ctx.Done() // the server does not answer
			return "", context.Cause(ctx)
		}
		return fmt.Sprintf("%s, in attempt %d", url, info.Attempt), nil
	}, durable.StartToClose(10*time.Millisecond))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, url string) (string, error) {
		return fetch.Call(ctx, url, durable.WithScheduleToClose(time.Hour),
			durable.WithRetry(durable.RetryPolicy{MaxAttempts: 3}))
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, fetch)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), "page"))
	// Output: page, in attempt 2 <nil>
}

// Which time was over.
func ExampleTimeoutOf() {
	stuck := durable.NewActivity("stuck", func(ctx context.Context, _ string) (string, error) {
		<-ctx.Done()
		return "", context.Cause(ctx)
	}, durable.StartToClose(time.Hour))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, _ string) (string, error) {
		_, err := stuck.Call(ctx, "", durable.WithHeartbeatTimeout(10*time.Millisecond))
		switch durable.TimeoutOf(err) {
		case durable.TimeoutHeartbeat:
			return "no sign of life", nil
		case durable.TimeoutStartToClose, durable.TimeoutScheduleToClose:
			return "too slow", nil
		}
		return "", err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, stuck)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), ""))
	// Output: no sign of life <nil>
}

// Of an at-most-once activity that is cut off nobody knows whether it took effect:
// whoever looks it up by its key does.
func ExampleStartToClose_atMostOnce() {
	var paid string // what the bank has booked
	pay := durable.NewActivity("pay", func(ctx context.Context, amount int) (string, error) {
		info, _ := durable.Info(ctx)
		paid = info.Key
		<-ctx.Done() // the bank's answer is lost
		return "", context.Cause(ctx)
	}, durable.StartToClose(10*time.Millisecond), durable.Reconcile(func(ctx context.Context, amount int) (string, bool, error) {
		info, _ := durable.Info(ctx)
		return "paid", info.Key == paid, nil
	}))
	o := durable.NewOrchestration("o", func(ctx *durable.Context, amount int) (string, error) {
		return pay.Call(ctx, amount)
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", o, pay)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(o.Run(ctx, rt.Client(), 100))
	// Output: paid <nil>
}
