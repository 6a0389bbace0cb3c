package mcpserver

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// goodbye is how long a server that ends waits for its last answers to leave.
const goodbye = 5 * time.Second

// inFlight counts requests that have no answer yet. The protocol's library writes none once it closes a session.
type inFlight struct {
	mu   sync.Mutex
	n    int
	idle chan struct{} // closed when n is 0; nil: nobody waits for that
}

func (f *inFlight) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n += n; f.n == 0 && f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}

// wait waits until there are none, for d at most.
func (f *inFlight) wait(d time.Duration) {
	f.mu.Lock()
	if f.n == 0 {
		f.mu.Unlock()
		return
	}
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	idle := f.idle
	f.mu.Unlock()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-idle:
	case <-timer.C:
	}
}

// counted counts the requests that are answered by HTTP, and turns new ones away once ctx has ended.
func counted(ctx context.Context, f *inFlight, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx.Err() != nil {
			http.Error(w, errEnding.Error(), http.StatusServiceUnavailable)
			return
		}
		if r.Method == http.MethodPost { // others are streams that end with their session
			f.add(1)
			defer f.add(-1)
		}
		next.ServeHTTP(w, r)
	})
}

// countedTransport counts the requests of a connection over pipes.
type countedTransport struct {
	sdk.Transport
	calls *inFlight
}

// Connect begins the connection.
func (t countedTransport) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := t.Transport.Connect(ctx)
	return countedConnection{c, t.calls}, err
}

type countedConnection struct {
	sdk.Connection
	calls *inFlight
}

// Read notes a request that wants an answer.
func (c countedConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	if r, ok := m.(*jsonrpc.Request); ok && err == nil && r.IsCall() {
		c.calls.add(1)
	}
	return m, err
}

// Write notes that one has it.
func (c countedConnection) Write(ctx context.Context, m jsonrpc.Message) error {
	err := c.Connection.Write(ctx, m)
	if _, ok := m.(*jsonrpc.Response); ok {
		c.calls.add(-1)
	}
	return err
}
