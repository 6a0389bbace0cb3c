package mcp_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// weather is somebody's server, made with the protocol's own library.
func weather() http.Handler {
	type City struct {
		Name string `json:"name"`
	}
	server := sdk.NewServer(&sdk.Implementation{Name: "weather", Version: "1"}, nil)
	sdk.AddTool(server, &sdk.Tool{Name: "get.weather", Description: "Weather in a city.", Annotations: &sdk.ToolAnnotations{ReadOnlyHint: true}},
		func(_ context.Context, _ *sdk.CallToolRequest, in City) (*sdk.CallToolResult, any, error) {
			return &sdk.CallToolResult{Content: []sdk.Content{&sdk.TextContent{Text: "It rains in " + in.Name + "."}}}, nil, nil
		})
	return sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
}

// A server at a URL. Its tools are unsafe unless the program, or the server if it is trusted, says better.
func Example() {
	endpoint := httptest.NewServer(weather())
	defer endpoint.Close()

	server, err := mcp.Open("weather", mcp.HTTP(endpoint.URL, map[string]string{"Authorization": "Bearer …"}), mcp.Options{
		Prefix:           "w_",
		TrustAnnotations: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	ctx := context.Background()
	list, err := server.Tools(ctx)
	if err != nil {
		log.Fatal(err)
	}
	for _, tool := range list {
		remote, _ := server.RemoteName(tool.Name())
		fmt.Println(tool.Name(), "is", remote, "and", tool.Effect())
	}
	result, err := list[0].Call(ctx, tools.Call{Arguments: `{"name": "Oslo"}`})
	fmt.Println(result.Content, err)
	// Output:
	// w_get_weather_f65d4328 is get.weather and pure
	// It rains in Oslo. <nil>
}

// Two servers with the same tool cannot both be given to an agent as they are.
func ExampleJoin() {
	endpoint := httptest.NewServer(weather())
	defer endpoint.Close()
	open := func(name, prefix string) *mcp.Server {
		s, err := mcp.Open(name, mcp.HTTP(endpoint.URL, nil), mcp.Options{Prefix: prefix})
		if err != nil {
			log.Fatal(err)
		}
		return s
	}
	a, b, c := open("a", ""), open("b", ""), open("c", "c_")
	defer a.Close()
	defer b.Close()
	defer c.Close()

	ctx := context.Background()
	_, err := mcp.Join("all", a, b).Tools(ctx)
	fmt.Println(err)
	list, err := mcp.Join("all", a, c).Tools(ctx)
	fmt.Println(len(list), err)
	// Output:
	// toolset all: a and b both have a tool get_weather_f65d4328: give one of them a prefix
	// 2 <nil>
}
