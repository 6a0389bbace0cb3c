package durable_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// An effect that must not happen twice. If the process ends while the money is on
// its way, the next one does not pay again: it asks the bank what became of the key.
func ExampleReconcile() {
	bank := map[string]int{} // payments by idempotency key
	pay := durable.NewActivity("pay", func(ctx context.Context, amount int) (string, error) {
		info, _ := durable.Info(ctx)
		bank[info.Key] = amount
		return "paid", nil
	}, durable.Reconcile(func(ctx context.Context, amount int) (receipt string, happened bool, err error) {
		info, _ := durable.Info(ctx)
		_, happened = bank[info.Key]
		return "paid", happened, nil
	}))
	order := durable.NewOrchestration("order", func(ctx *durable.Context, amount int) (string, error) {
		receipt, err := pay.Call(ctx, amount)
		if durable.UnknownOutcome(err) {
			return "a person has to look at it", nil
		}
		return receipt, err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", order, pay)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	fmt.Println(order.Run(ctx, rt.Client(), 100, durable.WithInstanceID("order-1")))
	effects, err := rt.Effects(ctx, "order-1")
	fmt.Println(len(effects), "record, with a receipt:", !effects[0].Receipt.IsZero(), err)
	// Output:
	// paid <nil>
	// 1 record, with a receipt: true <nil>
}
