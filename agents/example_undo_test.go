package agents_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// A run that fails gives back what it has booked.
func ExampleConfig_undo() {
	type Room struct {
		Number int `json:"number"`
	}
	giveBack := tools.New("give_back", "Give a room back.", func(_ context.Context, r Room) (string, error) {
		fmt.Println("room", r.Number, "is free")
		return "", nil
	})
	book := tools.New("book", "Book a room.", func(_ context.Context, r Room) (string, error) {
		fmt.Println("room", r.Number, "is booked")
		return "", nil
	}, tools.Compensable(giveBack))
	charge := tools.New("charge", "Charge the card.", func(context.Context, struct{}) (string, error) {
		return "", tools.Stop(errors.New("the card is blocked"))
	})
	clerk := agents.New(agents.Config{Name: "clerk", Model: "m", Tools: []tools.Tool{book, charge}, UndoOnFailure: true})

	script := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "book", Arguments: map[string]int{"number": 7}}}},
		scripted.Entry{Calls: []scripted.Call{{Tool: "book", Arguments: map[string]int{"number": 8}}}},
		scripted.Entry{Calls: []scripted.Call{{Tool: "charge"}}},
	)
	ctx := context.Background()
	rt, err := agents.Open(ctx, "memory:", agents.Options{Models: only(script)}, durable.Options{}, []*agents.Agent{clerk})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer rt.Close()
	id, err := clerk.Schedule(ctx, rt.Client(), "Book rooms 7 and 8.")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = clerk.Wait(ctx, rt.Client(), id)
	fmt.Println(err != nil)
	// Output:
	// room 7 is booked
	// room 8 is booked
	// room 8 is free
	// room 7 is free
	// true
}
