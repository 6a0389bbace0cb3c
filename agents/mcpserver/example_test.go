package mcpserver_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/agents/mcpserver"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/mcp"
)

// An agent that is a tool of any MCP client, here of ours. The client may make the same call twice: it is one run.
func Example() {
	assistant := agents.New(agents.Config{Name: "assistant", Description: "Knows the weather.", Model: "script"})
	script := scripted.New(scripted.Entry{Text: "Take an umbrella."})
	ctx := context.Background()
	rt, err := agents.Open(ctx, "memory:", agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, durable.Options{}, []*agents.Agent{assistant})
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	server, err := mcpserver.New(rt, mcpserver.Options{}, mcpserver.Agent(assistant))
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	endpoint := httptest.NewServer(server)
	defer endpoint.Close()

	client, err := mcp.Open("weather", mcp.HTTP(endpoint.URL, nil), mcp.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	list, err := client.Tools(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 {
		result, err := list[0].Call(ctx, tools.Call{Key: "monday", Arguments: `{"input": "Do I need an umbrella in Oslo?"}`})
		fmt.Println(result.Content, err)
	}
	runs := 0
	for range rt.Client().Query(ctx, durable.Query{}) {
		runs++
	}
	fmt.Println(runs, "run")
	// Output:
	// Take an umbrella. <nil>
	// Take an umbrella. <nil>
	// 1 run
}
