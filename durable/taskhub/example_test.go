package taskhub_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// One process holds the store and serves it; another, here the same, uses it through the socket.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "hub")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := taskhub.SocketPath(filepath.Join(dir, "agentrun.db"))

	// The process that holds the store.
	eng, err := engine.Open(ctx, memory.New(), engine.Definitions{}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer eng.Close()
	lis, err := taskhub.Listen(path)
	if err != nil {
		log.Fatal(err)
	}
	server := taskhub.Serve(lis, eng, taskhub.Info{Program: "incident", Version: "1.2.0"})
	defer server.Close()

	// Any other process.
	hub, err := taskhub.Dial(ctx, path)
	if err != nil {
		log.Fatal(err)
	}
	defer hub.Close()
	if _, err := hub.Start(ctx, engine.Start{ID: "run-1", Name: "investigate", Input: history.Payload(`"slow"`)}); err != nil {
		log.Fatal(err)
	}
	state, err := hub.Get(ctx, "run-1", false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s is %s at %s\n", state.ID, state.Status, hub.Info().Program)
	_, err = hub.Get(ctx, "run-2", false)
	fmt.Println(err)
	// Output:
	// run-1 is pending at incident
	// run-2: there is no such instance
}
