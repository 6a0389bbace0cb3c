package server_test

import (
	"context"
	"fmt"
	"log"
	"net/http"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
)

func Example() {
	greet := durable.NewOrchestration("greet", func(_ *durable.Context, name string) (string, error) {
		return "Hello, " + name + ".", nil
	})
	ctx := context.Background()
	s, err := server.Open(ctx, server.Options{Store: "memory:", GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", Dev: true}, greet)
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	// Programs of all languages are its clients by s.ConnectionString(), and so is this one.
	client, err := s.Client(ctx, "team-a")
	if err != nil {
		log.Fatal(err)
	}
	id, err := greet.Schedule(ctx, client, "Ada")
	if err != nil {
		log.Fatal(err)
	}
	result, err := greet.Wait(ctx, client, id)
	fmt.Println(result, err)

	_, address := s.Addresses()
	ready, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		log.Fatal(err)
	}
	ready.Body.Close()
	fmt.Println(ready.Status)
	fmt.Println(s.Names(ctx))
	// Output:
	// Hello, Ada. <nil>
	// 200 OK
	// [default team-a] <nil>
}
