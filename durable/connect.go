package durable

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// serve lets other processes in.
func (rt *Runtime) serve(path string, by func(net.Listener) io.Closer) error {
	lis, err := taskhub.Listen(taskhub.SocketPath(path))
	if err != nil {
		return fmt.Errorf("the task hub's socket: %w", err)
	}
	if by == nil {
		by = func(lis net.Listener) io.Closer { return taskhub.Serve(lis, rt.engine, taskhub.Info{}) }
	}
	rt.server = by(lis)
	return nil
}

// connectPatience bounds how long Connect waits for a holder that is just coming
// or going.
const connectPatience = 5 * time.Second

// Connection is a client of a task hub and what it needs to be one.
type Connection struct {
	*Client
	close func() error
}

// Connect gives a client of the hub at url for a short command. If another
// process has the hub open, it goes through that one. If none has, the hub is
// opened here, with defs, and let go by Close; then instances whose definitions
// are missing keep what is sent to them for the program that runs them.
func Connect(ctx context.Context, url string, o Options, defs ...Definition) (*Connection, error) {
	o.OnHeld, o.partial = nil, true
	patience := time.Now().Add(connectPatience)
	for {
		rt, err := OpenWith(ctx, url, o, defs...)
		if err == nil {
			return &Connection{rt.client, rt.Close}, nil
		}
		var held *store.HeldError
		if !errors.As(err, &held) {
			return nil, err
		}
		c, err := Dial(ctx, url, o, defs...)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil || !errors.Is(err, taskhub.ErrUnavailable) || time.Now().After(patience) {
			return nil, fmt.Errorf("%w, but cannot be reached: %w; end that program, or wait until it is done", held, err)
		}
		// Between taking the lease and listening, and between closing its socket and
		// letting go, the holder has no ear.
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Dial is [Connect] to the process that has the hub open, and never opens it here: for
// what lasts, and must not keep others from being that process. Where there is none,
// the error wraps taskhub.ErrUnavailable.
func Dial(ctx context.Context, url string, o Options, defs ...Definition) (*Connection, error) {
	scheme, path, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if scheme == "memory" {
		return nil, fmt.Errorf("%s: %w: it is in the memory of one process", url, taskhub.ErrUnavailable)
	}
	r, err := o.registry(defs)
	if err != nil {
		return nil, err
	}
	remote, err := taskhub.Dial(ctx, taskhub.SocketPath(path))
	if err != nil {
		return nil, err
	}
	return &Connection{newClient(remote, r), remote.Close}, nil
}

// Close lets go of the hub.
func (c *Connection) Close() error { return c.close() }
