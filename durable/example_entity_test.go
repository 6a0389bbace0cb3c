package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// State with a name. An operation that fails changes nothing.
func ExampleEntity() {
	type Account struct{ Balance int }
	account := durable.NewEntity[Account]("account")
	change := durable.Operation(account, "change", func(ctx *durable.EntityContext, a *Account, amount int) (int, error) {
		a.Balance += amount
		if a.Balance < 0 {
			return 0, errors.New("not enough money")
		}
		return a.Balance, nil
	})
	buy := durable.NewOrchestration("buy", func(ctx *durable.Context, price int) (string, error) {
		left, err := change.Call(ctx, "ann", -price)
		if err != nil {
			return err.Error(), nil
		}
		return fmt.Sprint(left, " left"), nil
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", account, buy)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if err := change.Send(ctx, rt.Client(), "ann", 10); err != nil {
		log.Fatal(err)
	}
	fmt.Println(buy.Run(ctx, rt.Client(), 7))
	fmt.Println(buy.Run(ctx, rt.Client(), 7))
	ann, _, err := account.Get(ctx, rt.Client(), "ann")
	fmt.Println(ann.Balance, err)
	// Output:
	// 3 left <nil>
	// operation change of @account@ann failed: not enough money <nil>
	// 3 <nil>
}
