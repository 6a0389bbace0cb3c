package taskhub_test

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := socketPath(t)
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	return lis, path
}

func TestDialNobody(t *testing.T) {
	_, err := taskhub.Dial(t.Context(), socketPath(t))
	if !errors.Is(err, taskhub.ErrUnavailable) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Dial gave %v", err)
	}
}

// TestDialSilent dials a program that takes the connection and says nothing.
func TestDialSilent(t *testing.T) {
	_, path := listen(t) // the system takes connections for it
	_, err := (&taskhub.Dialer{Store: "sqlite:x.db", Timeout: 50 * time.Millisecond}).Dial(t.Context(), path)
	if !errors.Is(err, taskhub.ErrNoAnswer) || !strings.Contains(err.Error(), "sqlite:x.db") {
		t.Errorf("Dial gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := taskhub.Dial(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial with a context that is over gave %v", err)
	}
}

// TestDialNoise dials something that is no gRPC server.
func TestDialNoise(t *testing.T) {
	lis, path := listen(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := lis.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("220 mail.example.org ESMTP\r\n"))
			_ = conn.Close()
		}
	}()
	if _, err := taskhub.Dial(t.Context(), path); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Dial gave %v", err)
	}
	lis.Close()
	<-done
}

// stranger is a program of another version.
type stranger struct {
	protocol.UnimplementedLocalServer
}

func (stranger) Handshake(context.Context, *protocol.HandshakeRequest) (*protocol.HandshakeResponse, error) {
	return &protocol.HandshakeResponse{ProtocolVersion: 99, Pid: 4711, Program: "incident", ProgramVersion: "9.0"}, nil
}

func TestDialOtherVersion(t *testing.T) {
	for name, c := range map[string]struct {
		register func(*grpc.Server)
		says     []string
	}{
		"another version":   {func(s *grpc.Server) { protocol.RegisterLocalServer(s, stranger{}) }, []string{"sqlite:x.db", "incident 9.0 (pid 4711)", "version 99", "1.0"}},
		"without handshake": {func(*grpc.Server) {}, []string{"sqlite:x.db", "stop it"}},
	} {
		t.Run(name, func(t *testing.T) {
			lis, path := listen(t)
			server := grpc.NewServer()
			c.register(server)
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = server.Serve(lis)
			}()
			_, err := (&taskhub.Dialer{Store: "sqlite:x.db", Version: "1.0"}).Dial(t.Context(), path)
			if !errors.Is(err, taskhub.ErrVersion) {
				t.Errorf("Dial gave %v", err)
			}
			for _, s := range c.says {
				if err == nil || !strings.Contains(err.Error(), s) {
					t.Errorf("%q is not in: %v", s, err)
				}
			}
			server.Stop()
			<-done
		})
	}
}

// stuck is a hub that lives and does nothing. entered, if not nil, hears of its calls.
type stuck struct {
	taskhub.Hub
	entered chan string
	left    *atomic.Int32 // calls that have ended
}

func (s stuck) hang(ctx context.Context, call string) error {
	if s.entered != nil {
		s.entered <- call
	}
	<-ctx.Done()
	if s.left != nil {
		for range 1000 {
			runtime.Gosched() // let those go on who should wait for this
		}
		s.left.Add(1)
	}
	return ctx.Err()
}

func (s stuck) Start(ctx context.Context, _ engine.Start) (string, error) {
	return "", s.hang(ctx, "Start")
}

func (s stuck) Wait(ctx context.Context, _ string) (*engine.State, error) {
	return nil, s.hang(ctx, "Wait")
}

// TestLateCall makes a call that a living program does not get done.
func TestLateCall(t *testing.T) {
	path, _ := serve(t, stuck{})
	r := dial(t, path)
	r.SetCallWithin(20 * time.Millisecond)
	_, err := r.Start(t.Context(), engine.Start{Name: "x"})
	namesPID(t, "Start", err, os.Getpid())
	// It is that call's failure only.
	r.SetCallWithin(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Start(ctx, engine.Start{Name: "x"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Start with a deadline gave %v", err)
	}
}

func TestClosedRemote(t *testing.T) {
	hub := stuck{entered: make(chan string)}
	path, _ := serve(t, hub)
	r := dial(t, path)
	waited := make(chan error, 1)
	go func() {
		_, err := r.Wait(t.Context(), "one")
		waited <- err
	}()
	<-hub.entered
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	if err := <-waited; !errors.Is(err, taskhub.ErrClosed) {
		t.Errorf("Wait gave %v", err)
	}
	if _, err := r.Start(t.Context(), engine.Start{Name: "x"}); !errors.Is(err, taskhub.ErrClosed) {
		t.Errorf("Start gave %v", err)
	}
}
