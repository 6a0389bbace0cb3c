package mcp

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// patience is how long a server may leave its input unread before it counts as broken.
const patience = 30 * time.Second

// child is the process of a server, as what a connection reads and writes.
type child struct {
	cmd    *exec.Cmd
	stdin  *os.File
	stdout io.ReadCloser
	grace  time.Duration
	stop   func() // once
}

func (t StdioServer) dial(s *Server) (sdk.Transport, func(), error) {
	cmd := exec.Command(t.Command, t.Args...)
	cmd.Dir, cmd.Env = t.Dir, t.environment()
	cmd.Stderr = s.stderr
	cmd.WaitDelay = time.Second // for what a grandchild that is out of reach still writes
	ownGroup(cmd)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	in, out, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	cmd.Stdin = in
	err = cmd.Start()
	_ = in.Close()
	if err != nil {
		_ = out.Close()
		return nil, nil, fmt.Errorf("start its process: %w", err)
	}
	c := &child{cmd: cmd, stdin: out, stdout: stdout, grace: or(t.Grace, 2*time.Second)}
	c.stop = sync.OnceFunc(c.end)
	return piped{sdk.IOTransport{Reader: c, Writer: c, MaxLineLength: s.opts.MaxMessage}}, c.stop, nil
}

// Read reads what the process says.
func (c *child) Read(p []byte) (int, error) { return c.stdout.Read(p) }

// Write tells the process something. One that has stopped to read must not hold its callers for ever.
func (c *child) Write(p []byte) (int, error) {
	_ = c.stdin.SetWriteDeadline(time.Now().Add(patience)) // where pipes have none, the process's end unblocks it
	return c.stdin.Write(p)
}

// Close ends the process.
func (c *child) Close() error {
	c.stop()
	return nil
}

// end closes the process's input, which asks it to end, and then uses force. Its group is signalled before it is
// reaped: until then nobody else can have its number.
func (c *child) end() {
	_ = c.stdin.Close()
	drained := make(chan struct{})
	go func() { // ends at the latest when Wait closes the pipe
		defer close(drained)
		_, _ = io.Copy(io.Discard, c.stdout)
	}()
	if !within(drained, c.grace) {
		terminate(c.cmd)
		within(drained, c.grace)
	}
	kill(c.cmd)
	within(drained, c.grace) // those who are killed need a moment to be gone
	_ = c.cmd.Wait()         // it was killed, or ended as it liked: its status says nothing
	<-drained
}

// within waits for done, for d at most.
func within(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// piped is a transport over pipes that notes which calls have left, and when the pipes break.
type piped struct{ sdk.IOTransport }

// Connect begins the connection.
func (p piped) Connect(ctx context.Context) (sdk.Connection, error) {
	c, err := p.IOTransport.Connect(ctx)
	return &pipedConnection{Connection: c}, err
}

type pipedConnection struct {
	sdk.Connection
	lost atomic.Bool
}

// Read reads a message. Those who wait for one hear of a failure after it was noted.
func (c *pipedConnection) Read(ctx context.Context) (jsonrpc.Message, error) {
	m, err := c.Connection.Read(ctx)
	if err != nil {
		c.lost.Store(true)
	}
	return m, err
}

// Write sends a message. From here on a call may have arrived, even if this fails.
func (c *pipedConnection) Write(ctx context.Context, m jsonrpc.Message) error {
	if d := deliveryOf(ctx); d != nil {
		d.left()
		d.accepted()
		d.lost.Store(&c.lost)
	}
	err := c.Connection.Write(ctx, m)
	if err != nil {
		c.lost.Store(true)
	}
	return err
}
