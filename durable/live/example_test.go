package live_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/live"
)

func ExampleBus() {
	b := live.NewBus(live.Options{})
	b.Publish("run-1", []byte("half of it"))

	w := b.Watch() // comes later, and gets what is kept
	defer w.Close()
	if err := w.Add("run-1"); err != nil {
		fmt.Println(err)
	}
	c, err := w.Next(context.Background())
	fmt.Printf("%s: %s %v\n", c.ID, c.Messages, err)
	// Output: run-1: [half of it] <nil>
}
