package httptool_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/agentrun-dev/agentrun/tools/httptool"
)

func Example() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Method, r.URL)
	}))
	defer server.Close()

	type search struct {
		Shop  string   `json:"shop"`
		Text  string   `json:"text,omitempty" jsonschema:"description=Words to look for"`
		Tags  []string `json:"tags,omitempty"`
		Count int      `json:"count,omitempty" jsonschema:"default=10,maximum=100"`
	}
	find := httptool.New[search]("find_products", "Find products of a shop.", httptool.Request{
		URL:     server.URL + "/shops/{shop}/products?q={text}&tag={tags}&n={count}",
		Private: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, // the server of this example
	})

	ctx := context.Background()
	fmt.Println(find.Effect())
	for _, arguments := range []string{
		`{"shop": "tea & co", "text": "green?", "tags": ["new", "bio"]}`,
		`{"shop": "tea"}`,
		`{"shop": "../admin"}`,
	} {
		result, err := find.Call(ctx, tools.Call{Arguments: arguments})
		if err != nil {
			result = tools.ErrorResult(err)
		}
		fmt.Print(result.Content)
	}
	// Output:
	// pure
	// GET /shops/tea%20&%20co/products?q=green%3F&tag=new&tag=bio&n=10
	// GET /shops/tea/products?n=10
	// the arguments make a path with a segment of dots, which would be another resource
}
