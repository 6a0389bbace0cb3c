package mcpserver_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools/mcp"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// TestUnknownOutcome has an agent call a tool of somebody's MCP server, whose answer is lost: a person is asked what
// became of it, and it is not called again.
func TestUnknownOutcome(t *testing.T) {
	var paid atomic.Int32
	server := sdk.NewServer(&sdk.Implementation{Name: "bank", Version: "1"}, nil)
	server.AddTool(&sdk.Tool{Name: "pay", InputSchema: map[string]any{"type": "object"}}, func(context.Context, *sdk.CallToolRequest) (*sdk.CallToolResult, error) {
		paid.Add(1)
		return &sdk.CallToolResult{}, nil
	})
	var broken atomic.Bool
	h := sdk.NewStreamableHTTPHandler(func(*http.Request) *sdk.Server { return server }, nil)
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.CompareAndSwap(true, false) {
			h.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		endpoint.Close()
		for session := range server.Sessions() {
			_ = session.Close()
		}
	})
	bank, err := mcp.Open("bank", mcp.HTTP(endpoint.URL, nil), mcp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer bank.Close()
	list, err := bank.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	clerk := agents.New(agents.Config{Name: "clerk", Model: "script", Tools: list})
	script := scripted.New(
		scripted.Entry{Calls: []scripted.Call{{Tool: "pay", Arguments: struct{}{}}}},
		scripted.Entry{When: scripted.When{Tool: "confirmed that it took effect"}, Text: "It is paid."},
	)
	rt, err := agents.Open(t.Context(), "memory:", agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, durable.Options{}, []*agents.Agent{clerk})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	broken.Store(true)
	var result string
	for ev, err := range clerk.Run(t.Context(), rt, "pay") {
		if err != nil {
			t.Fatal(err)
		}
		switch ev.Kind {
		case agents.EventApproval:
			if !strings.Contains(ev.Text, "Did pay take effect?") {
				t.Errorf("people are asked %q", ev.Text)
			}
			if _, err := agents.Decide(t.Context(), rt.Client(), ev.Approval, agents.Decision{Approve: true, By: "eva"}); err != nil {
				t.Error(err)
			}
		case agents.EventEnd:
			result = ev.Result.Text
		}
	}
	if result != "It is paid." || paid.Load() != 1 {
		t.Errorf("%q, paid %d times", result, paid.Load())
	}
}
