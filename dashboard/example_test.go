package dashboard_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/agentrun-dev/agentrun/dashboard"
	"github.com/agentrun-dev/agentrun/durable"
)

// The dashboard of a program's own hub, beside its other routes.
func Example() {
	greet := durable.NewOrchestration("greet", func(_ *durable.Context, name string) (string, error) {
		return "Hello, " + name, nil
	})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", greet)
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	if _, err := greet.Run(ctx, rt.Client(), "Ada", durable.WithInstanceID("greet/Ada")); err != nil {
		log.Fatal(err)
	}

	server := httptest.NewServer(dashboard.New(dashboard.Options{
		Hubs:  dashboard.Clients{"default": rt.Client()},
		Ready: func(context.Context) error { return rt.Health() },
	}))
	defer server.Close()

	for _, path := range []string{"/readyz", "/hubs/default/value?id=greet%2FAda&of=output"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			log.Fatal(err)
		}
		resp.Body.Close()
		fmt.Printf("%s: %s\n", resp.Header.Get("Content-Type"), text)
	}
	// Output:
	// text/plain; charset=utf-8: ready
	//
	// text/plain; charset=utf-8: "Hello, Ada"
}
