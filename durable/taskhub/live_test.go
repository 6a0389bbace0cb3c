package taskhub_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/live"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

func watch(t testing.TB, hub taskhub.Hub, ids ...string) live.Watch {
	t.Helper()
	w, err := hub.Watch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	if err := w.Add(ids...); err != nil {
		t.Fatal(err)
	}
	return w
}

func next(t testing.TB, w live.Watch) live.Change {
	t.Helper()
	c, err := w.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWatch follows an instance in the process that has it and in another one: both hear of commits
// and of what either publishes.
func TestWatch(t *testing.T) {
	e := newEngine(t)
	path, _ := serve(t, e)
	r := dial(t, path)
	for name, hub := range map[string]taskhub.Hub{"direct": e, "remote": r} {
		t.Run(name, func(t *testing.T) {
			id := "watched-" + name
			w := watch(t, hub, id)
			if c := next(t, w); c.ID != id || !c.Changed {
				t.Errorf("first %+v", c)
			}
			if _, err := hub.Start(t.Context(), engine.Start{ID: id, Name: "script"}); err != nil {
				t.Fatal(err)
			}
			if c := next(t, w); c.ID != id || !c.Changed {
				t.Errorf("when it has begun: %+v", c)
			}
			for _, from := range []taskhub.Hub{e, r} {
				if err := from.Publish(t.Context(), id, []byte("hello")); err != nil {
					t.Fatal(err)
				}
				c := next(t, w)
				for len(c.Messages) == 0 { // of the commits before
					c = next(t, w)
				}
				if len(c.Messages) != 1 || string(c.Messages[0]) != "hello" {
					t.Errorf("published: %+v", c)
				}
			}
			late := watch(t, hub, "other", id)
			got := map[string]int{}
			for range 2 {
				c := next(t, late)
				got[c.ID] = len(c.Messages)
			}
			if got["other"] != 0 || got[id] != 2 {
				t.Errorf("who comes later gets %v", got)
			}
			if err := hub.Raise(t.Context(), id, "end", nil); err != nil {
				t.Fatal(err)
			}
			for {
				s, err := hub.Get(t.Context(), id, false)
				if err != nil {
					t.Fatal(err)
				}
				if s.Status.Ended() {
					break
				}
				next(t, w)
			}
			if c := next(t, watch(t, hub, id)); len(c.Messages) != 0 {
				t.Errorf("of one that has ended %d messages are kept", len(c.Messages))
			}
			if err := hub.Publish(t.Context(), id, make([]byte, engine.MaxLive+1)); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("a message that is too large: %v", err)
			}
			bad, err := hub.Watch(t.Context())
			if err == nil {
				defer bad.Close()
				if err = bad.Add(strings.Repeat("x", 101)); err == nil {
					_, err = bad.Next(t.Context())
				}
			}
			if !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("an id that is too long: %v", err)
			}
		})
	}
}

// TestSlowWatch leaves a watch unread while more is published than fits anywhere: whoever publishes
// does not wait, and each message came or is counted.
func TestSlowWatch(t *testing.T) {
	e := newEngine(t)
	path, _ := serve(t, e)
	w := watch(t, dial(t, path), "loud")
	next(t, w)
	const messages = 1000
	for i := range messages {
		b := make([]byte, 64<<10)
		copy(b, fmt.Sprint(i))
		if err := e.Publish(t.Context(), "loud", b); err != nil {
			t.Fatal(err)
		}
	}
	got, missed := 0, 0
	for got+missed < messages {
		c := next(t, w)
		missed += c.Missed
		for _, m := range c.Messages {
			if want := fmt.Sprint(got + missed); string(m[:len(want)]) != want || m[len(want)] != 0 {
				t.Fatalf("message %s in the place of %s", m[:8], want)
			}
			got++
		}
	}
	if missed == 0 {
		t.Error("nothing was missed: it was not slow")
	}
}

func TestWatchEnds(t *testing.T) {
	e := newEngine(t)
	path, server := serve(t, e)
	r, own := dial(t, path), dial(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	cancelled, err := r.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer cancelled.Close()
	cancel()
	if _, err := cancelled.Next(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("after the caller's end: %v", err)
	}
	w, mine, here := watch(t, r, "a"), watch(t, own, "a"), watch(t, e, "a")
	for _, w := range []live.Watch{w, mine, here} {
		next(t, w)
	}
	own.Close()
	if _, err := mine.Next(t.Context()); !errors.Is(err, taskhub.ErrClosed) {
		t.Errorf("after the connection was closed: %v", err)
	}
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Next(t.Context()); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("after the server's end: %v", err)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Next(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("after the engine's end: %v", err)
	}
	if _, err := e.Watch(t.Context()); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("a watch of a closed engine: %v", err)
	}
}

// older is a program from before there were live events.
type older struct {
	protocol.UnimplementedLocalServer
}

func (older) Handshake(_ context.Context, m *protocol.HandshakeRequest) (*protocol.HandshakeResponse, error) {
	return &protocol.HandshakeResponse{ProtocolVersion: m.ProtocolVersion, Pid: 1}, nil
}

// serveOlder serves such a program on a socket.
func serveOlder(t *testing.T, local protocol.LocalServer) (path string) {
	t.Helper()
	path = socketPath(t)
	lis, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	protocol.RegisterLocalServer(server, local)
	served := make(chan error)
	go func() { served <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return path
}

// TestWatchOfAnOlderProgram is told again and again that all may have changed.
func TestWatchOfAnOlderProgram(t *testing.T) {
	r := dial(t, serveOlder(t, older{}))
	w := watch(t, r, "a")
	for range 2 {
		if c := next(t, w); c.ID != "a" || !c.Changed {
			t.Errorf("it says %+v", c)
		}
	}
	if err := errors.Join(w.Add("b"), w.Remove("a")); err != nil {
		t.Fatal(err)
	}
	for next(t, w).ID != "b" {
	}
	if err := r.Publish(t.Context(), "a", nil); err != nil {
		t.Errorf("publish: %v", err)
	}
}
