package durable_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/durable"
)

// CardDeclined is an error with something to decide by.
type CardDeclined struct{ Missing int }

func (e *CardDeclined) Error() string { return fmt.Sprintf("card declined: %d too little", e.Missing) }

// Errors that are registered come back as what they were, from activities, children
// and entities, and after any crash. They are definitions like all others.
func ExampleErrorType() {
	errSoldOut := errors.New("sold out")
	charge := durable.NewActivity("charge", func(ctx context.Context, price int) (string, error) {
		switch {
		case price > 100:
			return "", fmt.Errorf("charge: %w", &CardDeclined{Missing: price - 100})
		case price == 0:
			return "", errSoldOut
		}
		return "paid", nil
	})
	buy := durable.NewOrchestration("buy", func(ctx *durable.Context, price int) (string, error) {
		paid, err := charge.Call(ctx, price)
		var declined *CardDeclined
		switch {
		case errors.As(err, &declined):
			return fmt.Sprint("pay ", declined.Missing, " in cash"), nil
		case errors.Is(err, errSoldOut):
			return "come again", nil
		}
		return paid, err
	})

	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", buy, charge,
		durable.ErrorType[*CardDeclined]("card_declined"), durable.ErrorValue("sold_out", errSoldOut))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	for _, price := range []int{90, 130, 0} {
		fmt.Println(buy.Run(ctx, rt.Client(), price))
	}
	// Output:
	// paid <nil>
	// pay 30 in cash <nil>
	// come again <nil>
}
