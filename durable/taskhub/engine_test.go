package taskhub_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(holderEnv); path != "" {
		hold(path)
	}
	goleak.VerifyTestMain(m)
}

// script is an orchestration that does what the events it gets say.
type script struct {
	input history.Payload
	ids   int32
}

func (s *script) Turn(t *engine.Turn) {
	act := func(ev *history.Event) {
		ev.ID = s.ids
		s.ids++
		t.Actions = append(t.Actions, ev)
	}
	for _, ev := range t.New {
		switch {
		case ev.Kind == history.ExecutionStarted:
			s.input = ev.Data
		case ev.Kind != history.EventRaised:
		case ev.Name == "lock":
			act(&history.Event{Kind: history.EntityLockRequested, Request: "section", LockSet: []string{string(ev.Data)}})
		case ev.Name == "note":
			t.CustomStatus = ev.Data
		case ev.Name == "again":
			act(&history.Event{Kind: history.ExecutionCompleted, Status: history.ContinuedAsNew, Data: ev.Data})
		case ev.Name == "fail":
			act(&history.Event{Kind: history.ExecutionCompleted, Status: history.Failed, Failure: &history.Failure{
				Type: "Broken", Message: string(ev.Data), Cause: &history.Failure{Type: "Cause", Message: "deeper"}}})
		case ev.Name == "end":
			act(&history.Event{Kind: history.ExecutionCompleted, Status: history.Completed, Data: append(s.input[:len(s.input):len(s.input)], ev.Data...)})
		}
	}
}

func (s *script) Close() {}

// count is an entity whose operations add their input to its state.
func count(b *engine.EntityBatch) {
	sum, _ := strconv.Atoi(string(b.State))
	for _, op := range b.Ops {
		n, _ := strconv.Atoi(string(op.Data))
		sum += n
		b.Results = append(b.Results, engine.Outcome{})
	}
	b.State = history.Payload(strconv.Itoa(sum))
}

func newEngine(t testing.TB) *engine.Engine {
	t.Helper()
	e, err := engine.Open(context.Background(), memory.New(), engine.Definitions{
		Orchestrations: []engine.Orchestration{{Name: "script", New: func() engine.Executor { return new(script) }}},
		Entities:       []engine.Entity{{Name: "count", Run: count}},
	}, engine.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// await waits until an entity has a state: a signal is answered before it runs.
func await(t testing.TB, hub taskhub.Hub, id string) {
	t.Helper()
	for {
		_, err := hub.Entity(t.Context(), id)
		if err == nil {
			return
		}
		if !errors.Is(err, engine.ErrNotFound) {
			t.Fatal(err)
		}
		runtime.Gosched()
	}
}

// socketPath gives a path that is short on every system: a test's own directory has its name in it.
func socketPath(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "hub.sock")
}

// serve serves a hub on a socket of its own.
func serve(t testing.TB, hub taskhub.Hub) (path string, server *taskhub.Server) {
	t.Helper()
	path = socketPath(t)
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server = taskhub.Serve(lis, hub, taskhub.Info{Program: "test", Version: "1.0"})
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error("close the server:", err)
		}
	})
	return path, server
}

func dial(t testing.TB, path string) *taskhub.Remote {
	t.Helper()
	r, err := taskhub.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}
