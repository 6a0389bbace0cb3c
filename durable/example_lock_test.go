package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"

	"github.com/agentrun-dev/agentrun/durable"
)

// A transfer between two accounts that nobody sees half done. Transfers in
// opposite directions cannot wait for each other for ever, and one that fails
// leaves nothing locked.
func ExampleLock() {
	account := durable.NewEntity[int]("account")
	deposit := durable.Operation(account, "deposit", func(_ *durable.EntityContext, balance *int, amount int) (int, error) {
		*balance += amount
		return *balance, nil
	})

	type order struct {
		From, To string
		Amount   int
	}
	transfer := durable.NewOrchestration("transfer", func(ctx *durable.Context, o order) (string, error) {
		unlock, err := durable.Lock(ctx, account.ID(o.From), account.ID(o.To))
		defer unlock()
		if err != nil {
			return "", err
		}
		balance, err := deposit.Call(ctx, o.From, 0)
		if err != nil {
			return "", err
		}
		if balance < o.Amount {
			return "", errors.New("not enough money")
		}
		if _, err := deposit.Call(ctx, o.From, -o.Amount); err != nil {
			return "", err
		}
		_, err = deposit.Call(ctx, o.To, o.Amount)
		return "done", err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", account, transfer)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	for _, name := range []string{"ann", "bob"} {
		if err := deposit.Send(ctx, rt.Client(), name, 100); err != nil {
			log.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _ = transfer.Run(ctx, rt.Client(), order{"ann", "bob", 30}) })
		wg.Go(func() { _, _ = transfer.Run(ctx, rt.Client(), order{"bob", "ann", 20}) })
	}
	wg.Wait()
	ann, _, err := account.Get(ctx, rt.Client(), "ann")
	if err != nil {
		log.Fatal(err)
	}
	bob, _, err := account.Get(ctx, rt.Client(), "bob")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("together:", ann+bob, "overdrawn:", ann < 0 || bob < 0)
	// Output: together: 200 overdrawn: false
}
