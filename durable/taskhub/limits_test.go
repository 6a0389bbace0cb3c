package taskhub_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestLimitsOfAServer passes each limit by one, and says which flag raises it.
func TestLimitsOfAServer(t *testing.T) {
	waiting := make(chan struct{}, 8)
	conn := serveTCP(t, taskhub.Alone(patient{newEngine(t), waiting}), taskhub.ServerOptions{Limits: taskhub.Limits{Message: 2000, Payload: 100, Waits: 2}})
	c := protocol.NewTaskHubSidecarServiceClient(conn)
	start := func(id string, input int) error {
		_, err := c.StartInstance(t.Context(), &protocol.CreateInstanceRequest{InstanceId: id, Name: "script", Input: wrapperspb.String(strings.Repeat("x", input))})
		return err
	}
	refused := func(what string, err error, flag string) {
		t.Helper()
		if status.Code(err) != codes.ResourceExhausted || !strings.Contains(status.Convert(err).Message(), flag) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := start("a", 100); err != nil {
		t.Error("a payload that fits:", err)
	}
	refused("a payload", start("b", 101), "input has 101 bytes, and a payload can have 100; raise that with: agentrun serve --max-payload")
	refused("a message", start("c", 2000), "the server takes 2000; raise that with: agentrun serve --max-message")
	refused("a message that is far too large", start("d", 5000), "larger than max")
	_, err := c.RaiseEvent(t.Context(), &protocol.RaiseEventRequest{InstanceId: "a", Name: "x", Input: wrapperspb.String(strings.Repeat("x", 101))})
	refused("an event", err, "--max-payload")
	_, err = c.SignalEntity(t.Context(), &protocol.SignalEntityRequest{InstanceId: "@count@a", Name: "x", Input: wrapperspb.String(strings.Repeat("x", 101))})
	refused("a signal", err, "--max-payload")
	// Names and ids are no payloads.
	if _, err := c.QueryInstances(t.Context(), &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{InstanceIdPrefix: wrapperspb.String(strings.Repeat("x", 101))}}); err != nil {
		t.Error("a query:", err)
	}
	// The answer of a worker is the answer to something.
	if _, err := c.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{Result: wrapperspb.String(strings.Repeat("x", 101))}); status.Code(err) == codes.ResourceExhausted {
		t.Error("a result:", err)
	}

	ended := make(chan error, 3)
	wait := func() {
		_, err := c.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: "a"})
		ended <- err
	}
	go wait()
	go wait()
	<-waiting
	<-waiting
	_, err = c.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: "a"})
	refused("a third wait", err, "waits for 2 instances already; raise that with: agentrun serve --max-waits")
	other := protocol.NewTaskHubSidecarServiceClient(dialTCP(t, conn.Target()))
	go func() {
		_, err := other.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: "a"})
		ended <- err
	}()
	<-waiting // another client has waits of its own
	conn.Close()
	<-ended
	<-ended
}

// TestAtMost fills a hub, makes room in it, and counts what came in by another way.
func TestAtMost(t *testing.T) {
	e := newEngine(t)
	start := func(hub taskhub.Hub, id string) error {
		_, err := hub.Start(t.Context(), engine.Start{ID: id, Name: "script"})
		return err
	}
	for _, id := range []string{"a", "b"} {
		if err := start(e, id); err != nil {
			t.Fatal(err)
		}
	}
	hub := taskhub.AtMost(e, 3) // two are there already
	if err := start(hub, "a"); !errors.Is(err, engine.ErrExists) {
		t.Fatal(err)
	}
	if err := start(hub, "c"); err != nil {
		t.Fatal("the third, after one that was refused:", err)
	}
	if err := start(hub, "d"); !errors.Is(err, taskhub.ErrLimit) || !strings.Contains(err.Error(), "holds 3 instances; purge those that have ended, or raise that with: agentrun serve --max-instances") {
		t.Fatal("the fourth:", err)
	}
	if err := hub.Raise(t.Context(), "a", "end", history.Payload("1")); err != nil {
		t.Fatal(err)
	}
	if _, err := hub.Wait(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if n, err := hub.Purge(t.Context(), []string{"a"}, false); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if err := start(hub, "d"); err != nil {
		t.Fatal("where one was purged:", err)
	}
	if err := start(hub, "e"); !errors.Is(err, taskhub.ErrLimit) {
		t.Fatal("one more:", err)
	}
}

// TestPanic has a call panic: it fails, and the server goes on.
func TestPanic(t *testing.T) {
	conn := serveTCP(t, taskhub.Alone(broken{}), taskhub.ServerOptions{})
	c := protocol.NewTaskHubSidecarServiceClient(conn)
	_, err := c.SuspendInstance(t.Context(), &protocol.SuspendRequest{InstanceId: "a"}) // of no hub
	if status.Code(err) != codes.Internal || status.Convert(err).Message() != "SuspendInstance failed by a fault in the server; its log says more" {
		t.Errorf("it says %v", err)
	}
	s, err := protocol.NewLocalClient(conn).Payload(t.Context(), &protocol.PayloadRequest{Hash: make([]byte, 32)})
	if err == nil {
		_, err = s.Recv()
	}
	if err == nil {
		t.Error("a payload from nowhere")
	}
	if _, err := c.Hello(t.Context(), &emptypb.Empty{}); err != nil {
		t.Error("afterwards:", err)
	}
}
