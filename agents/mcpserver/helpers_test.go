package mcpserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/agents/mcpserver"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/goleak"
)

// Variables that make this program a server: of a store, with a file to write its process id to and a pipe that its
// tool reads.
const (
	storeEnv = "MCPSERVER_TEST_STORE"
	pidsEnv  = "MCPSERVER_TEST_PIDS"
	pipeEnv  = "MCPSERVER_TEST_PIPE"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(storeEnv); url != "" {
		if err := serveStdio(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// serveStdio is what a command does that serves agents over pipes.
func serveStdio(url string) error {
	if path := os.Getenv(pidsEnv); path != "" {
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		fmt.Fprintln(f, os.Getpid())
		if err := f.Close(); err != nil {
			return err
		}
	}
	w := newWorld(func(context.Context) (string, error) {
		f, err := os.Open(os.Getenv(pipeEnv))
		if err != nil {
			return "", err
		}
		defer f.Close()
		b := make([]byte, 100)
		n, err := f.Read(b)
		return string(b[:n]), err
	})
	rt, err := w.open(context.Background(), url)
	if err != nil {
		return err
	}
	defer rt.Close()
	server, err := mcpserver.New(rt, mcpserver.Options{Name: "test"}, w.served()...)
	if err != nil {
		return err
	}
	defer server.Close()
	return server.Serve(context.Background(), os.Stdin, os.Stdout)
}

type city struct {
	Name string `json:"name" jsonschema:"minLength=1"`
	Days int    `json:"days,omitempty" jsonschema:"default=2"`
}

type forecast struct {
	City string `json:"city"`
	Days int    `json:"days"`
}

// world has agents and orchestrations of a few kinds.
type world struct {
	asked                  atomic.Int32 // how often the gate was called
	waiter, clerk, decider *agents.Agent
	shout                  *durable.Orchestration[string, string]
	plan                   *durable.Orchestration[city, forecast]
	fails                  *durable.Orchestration[string, string]
}

// newWorld makes one, with what the tool of its agent waiter does.
func newWorld(gate func(ctx context.Context) (string, error)) *world {
	w := &world{}
	w.waiter = agents.New(agents.Config{Name: "waiter", Description: "Waits for somebody.", Model: "script", Tools: []tools.Tool{
		tools.New("gate", "", func(ctx context.Context, _ struct{}) (string, error) {
			w.asked.Add(1)
			return gate(ctx)
		}, tools.Pure()),
	}})
	w.clerk = agents.New(agents.Config{Name: "clerk", Model: "script", Tools: []tools.Tool{
		tools.New("pay", "", func(context.Context, struct{}) (string, error) { return "paid", nil },
			tools.NeedsApproval(tools.Approval{Question: "Pay it?"})),
	}})
	w.decider = agents.New(agents.Config{Name: "decider", Model: "script", Output: agents.OutputOf[forecast]()})
	w.shout = durable.NewOrchestration("shout", func(_ *durable.Context, in string) (string, error) { return strings.ToUpper(in), nil })
	w.plan = durable.NewOrchestration("plan", func(_ *durable.Context, in city) (forecast, error) { return forecast{in.Name, in.Days}, nil })
	w.fails = durable.NewOrchestration("fails", func(*durable.Context, string) (string, error) { return "", errors.New("no such alert") })
	return w
}

func (w *world) open(ctx context.Context, url string) (*agents.Runtime, error) {
	script := scripted.New(
		scripted.Entry{Agent: "waiter", Calls: []scripted.Call{{Tool: "gate", Arguments: struct{}{}}}},
		scripted.Entry{Agent: "waiter", Text: "Somebody came."},
		scripted.Entry{Agent: "clerk", Calls: []scripted.Call{{Tool: "pay", Arguments: struct{}{}}}},
		scripted.Entry{Agent: "clerk", Text: "It is paid."},
		scripted.Entry{Agent: "decider", Output: forecast{"Oslo", 3}},
	)
	return agents.Open(ctx, url, agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, durable.Options{}, []*agents.Agent{w.waiter, w.clerk, w.decider}, w.shout, w.plan, w.fails)
}

func (w *world) served() []mcpserver.Tool {
	return []mcpserver.Tool{
		mcpserver.Agent(w.waiter), mcpserver.Agent(w.clerk), mcpserver.Agent(w.decider),
		mcpserver.Orchestration("shout", "Says it louder.", w.shout),
		mcpserver.Orchestration("plan", "Plans some days.", w.plan),
		mcpserver.Orchestration("fails", "Never works.", w.fails),
	}
}

// setup is a world that is served over HTTP.
type setup struct {
	*world
	t      *testing.T
	rt     *agents.Runtime
	server *mcpserver.Server
	url    string
	gate   chan string // what the gate answers, once for each call
}

func newSetup(t *testing.T, o mcpserver.Options) *setup {
	t.Helper()
	s := &setup{t: t, gate: make(chan string)}
	s.world = newWorld(func(ctx context.Context) (string, error) {
		select {
		case out := <-s.gate:
			return out, nil
		case <-ctx.Done():
			return "", ctx.Err()
		}
	})
	rt, err := s.open(t.Context(), "memory:")
	if err != nil {
		t.Fatal(err)
	}
	s.rt = rt
	s.server, err = mcpserver.New(rt, o, s.served()...)
	if err != nil {
		t.Fatal(err)
	}
	endpoint := httptest.NewServer(s.server)
	s.url = endpoint.URL
	t.Cleanup(func() {
		_ = s.server.Close() // sessions of clients that are gone have nobody to say it to
		endpoint.Close()
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a client of the protocol's Go library, in a session of the last protocol that has them.
type client struct {
	*sdk.ClientSession
	told   chan string // messages of progress
	hangUp func()      // of one with pipes
}

func (s *setup) client() *client {
	s.t.Helper()
	return s.connect(&sdk.StreamableClientTransport{Endpoint: s.url, DisableStandaloneSSE: true})
}

// piped is a client with pipes.
func (s *setup) piped() *client {
	s.t.Helper()
	fromClient, toServer := io.Pipe()
	fromServer, toClient := io.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.server.Serve(s.t.Context(), fromClient, toClient); err != nil && !errors.Is(err, io.ErrClosedPipe) {
			s.t.Error(err)
		}
		_ = toClient.Close()
	})
	s.t.Cleanup(func() {
		_ = toServer.Close()
		_ = fromServer.Close()
		wg.Wait()
	})
	c := s.connect(&sdk.IOTransport{Reader: fromServer, Writer: toServer})
	c.hangUp = func() { _ = toServer.Close() }
	return c
}

func (s *setup) connect(via sdk.Transport) *client {
	s.t.Helper()
	c := &client{told: make(chan string, 100)}
	cs, err := sdk.NewClient(&sdk.Implementation{Name: "test", Version: "1"}, &sdk.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *sdk.ProgressNotificationClientRequest) { c.told <- r.Params.Message },
	}).Connect(s.t.Context(), via, &sdk.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		s.t.Fatal(err)
	}
	c.ClientSession = cs
	s.t.Cleanup(func() { _ = cs.Close() })
	return c
}

// call calls a tool; a token is there if progress is to be told, a key if it is not "".
func (c *client) call(ctx context.Context, tool, key string, arguments any) (*sdk.CallToolResult, error) {
	p := &sdk.CallToolParams{Name: tool, Arguments: arguments, Meta: sdk.Meta{}}
	if key != "" {
		p.Meta["agentrun/idempotency-key"] = key
	}
	p.SetProgressToken("token " + key)
	return c.CallTool(ctx, p)
}

// waitFor reads progress until there is a message with a text.
func (c *client) waitFor(text string) string {
	for message := range c.told {
		if strings.Contains(message, text) {
			return message
		}
	}
	return ""
}

// text is what a result says.
func text(t *testing.T, r *sdk.CallToolResult, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Content) != 1 {
		t.Fatalf("%d contents", len(r.Content))
	}
	return r.Content[0].(*sdk.TextContent).Text
}

// runs counts the runs of an orchestration.
func (s *setup) runs(name string) (ids []string) {
	s.t.Helper()
	for st, err := range s.rt.Client().Query(s.t.Context(), durable.Query{Names: []string{name}}) {
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, st.ID)
	}
	return ids
}

// pipe makes a named pipe, open at both ends so that nobody waits to open it.
func pipe(t *testing.T, path string) *os.File {
	t.Helper()
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
