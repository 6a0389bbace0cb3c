package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/server"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestRestart stops a server in the middle of runs and opens the next one: they go on in all hubs.
func TestRestart(t *testing.T) {
	o := server.Options{Store: storeURL(t)}
	s := open(t, o)
	c := client(t, s, nil)
	if _, err := c.CreateTaskHub(in(t, "Team", ""), &protocol.CreateTaskHubRequest{}); err != nil {
		t.Fatal(err)
	}
	waits := make(chan error, 2)
	for _, hub := range []string{"default", "team"} {
		if err := start(in(t, hub, ""), c, "run"); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, err := c.WaitForInstanceCompletion(in(t, hub, ""), &protocol.GetInstanceRequest{InstanceId: "run"})
			waits <- err
		}()
	}
	if got, want := s.ConnectionString(), "TaskHub=default;Authentication=None"; !strings.HasPrefix(got, "Endpoint=http://127.0.0.1:") || !strings.HasSuffix(got, want) {
		t.Errorf("connection string %q", got)
	}
	if err := s.Drain(t.Context()); err != nil { // without a deadline: waits must not hold it up
		t.Fatal(err)
	}
	<-s.Done()
	for range 2 {
		if err := <-waits; status.Code(err) != codes.Unavailable {
			t.Errorf("a wait ended with %v", err)
		}
	}
	if err := errors.Join(s.Err(), s.Close()); err != nil {
		t.Error("after all is closed:", err)
	}

	s = open(t, o)
	c = client(t, s, nil)
	for _, hub := range []string{"default", "TEAM"} {
		if _, err := c.RaiseEvent(in(t, hub, ""), &protocol.RaiseEventRequest{InstanceId: "run", Name: "end"}); err != nil {
			t.Fatal(err)
		}
		m, err := c.WaitForInstanceCompletion(in(t, hub, ""), &protocol.GetInstanceRequest{InstanceId: "run"})
		if err != nil || !m.Exists {
			t.Errorf("%s: %v, %v", hub, m, err)
		}
	}
}

// TestOpensAllHubs has the hubs that exist open before anybody asks: their timers must fire.
func TestOpensAllHubs(t *testing.T) {
	store := storeURL(t)
	if err := server.CreateHub(t.Context(), store, "one"); err != nil {
		t.Fatal(err)
	}
	open(t, server.Options{Store: store})
	_, err := durable.Open(t.Context(), "sqlite:"+filepath.Join(hubsDir(store), "one.db"))
	if held := new(durable.HeldError); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Errorf("the hub's database is free: %v", err)
	}
}

func hubsDir(store string) string { return strings.TrimPrefix(store, "sqlite:") + ".hubs" }

// TestSocket reaches every hub of a server through the socket beside its store.
func TestSocket(t *testing.T) {
	o := server.Options{Store: storeURL(t), Info: taskhub.Info{Program: "agentrun", Version: "1.0"}, RequireToken: true}
	s := open(t, o)
	c, err := durable.Connect(t.Context(), o.Store, durable.Options{}, ends)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if id, err := ends.Schedule(t.Context(), c.Client, "x"); err != nil {
		t.Error(id, err)
	}
	r, err := server.Dial(t.Context(), o.Store, "1.0")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Info().Program != "agentrun" || r.Info().PID != os.Getpid() {
		t.Error(r.Info())
	}
	if err := r.CreateHub(t.Context(), "one", false); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Names(t.Context()); err != nil || fmt.Sprint(names) != "[default one]" {
		t.Error(names, err)
	}
	if err := r.DeleteHub(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
}

// TestSecondServer is refused at once, and says by whom, also where the ports are what it misses.
func TestSecondServer(t *testing.T) {
	o := server.Options{Store: storeURL(t)}
	s := open(t, o)
	held := new(durable.HeldError)
	if _, err := try(t, o); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Error("the same store:", err)
	}
	grpc, http := s.Addresses()
	o.GRPC = grpc
	if _, err := try(t, o); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Error("the same store and address:", err)
	}
	for flag, o := range map[string]server.Options{"--grpc": {GRPC: grpc}, "--http": {HTTP: http}} {
		o.Store = storeURL(t)
		if _, err := try(t, o); err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), "in use by another program; stop it, or choose another port") {
			t.Errorf("the same %s: %v", flag, err)
		}
		if _, err := os.Stat(strings.TrimPrefix(o.Store, "sqlite:")); err == nil {
			t.Errorf("%s: a store was made", flag)
		}
	}
}

// TestBinding refuses every address that others reach without TLS and tokens.
func TestBinding(t *testing.T) {
	secure, _ := certificate(t)
	none, err := net.Listen("tcp", "192.0.2.1:0") // of documentation: it belongs to nobody
	if err == nil {
		none.Close()
		t.Skip("this machine has an address that belongs to nobody")
	}
	for _, test := range []struct {
		grpc, http string
		o          server.Options
		want       string // in the error; "" for none
	}{
		{grpc: "localhost:0"},
		{grpc: "[::1]:0", http: "127.0.0.2:0"},
		{grpc: ":0", want: "needs --tls-cert, --tls-key and --require-token"},
		{grpc: "0.0.0.0:0", want: "--grpc: other machines reach 0.0.0.0"},
		{http: "[::]:0", want: "--http: other machines reach ::"},
		{grpc: "192.0.2.1:0", want: "needs --tls-cert"},
		{grpc: ":0", o: server.Options{RequireToken: true}, want: "in the clear; that needs --tls-cert and --tls-key"},
		{grpc: ":0", o: server.Options{TLS: secure}, want: "needs --require-token"},
		{grpc: ":0", http: ":0", o: server.Options{TLS: secure, RequireToken: true}},
		{grpc: "8080", want: `--grpc "8080" is not HOST:PORT`},
	} {
		o := test.o
		o.Store, o.GRPC, o.HTTP = storeURL(t), test.grpc, test.http
		s, err := try(t, o)
		if test.want != "" && (err == nil || !errors.Is(err, durable.ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q %q: %v", test.grpc, test.http, err)
		}
		if test.want == "" && err != nil && !strings.Contains(test.grpc, "::1") { // there may be no IPv6
			t.Errorf("%q %q: %v", test.grpc, test.http, err)
		}
		if err == nil {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestTLSAndTokens speaks over TLS with a token, and with none.
func TestTLSAndTokens(t *testing.T) {
	secure, roots := certificate(t)
	o := server.Options{Store: storeURL(t), TLS: secure, RequireToken: true, GRPC: "localhost:0"}
	s := open(t, o)
	if got := s.ConnectionString(); !strings.HasPrefix(got, "Endpoint=https://localhost:") {
		t.Error(got)
	}
	path, err := server.TokenFile(o.Store)
	if err != nil {
		t.Fatal(err)
	}
	tokens := access.Open(path)
	secret, made, err := tokens.Create(access.Token{Role: access.Operator, Hub: "default"})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, s, roots)
	if err := start(in(t, "", ""), c, "a"); status.Code(err) != codes.Unauthenticated {
		t.Error("without a token:", err)
	}
	if err := start(in(t, "", secret), c, "a"); err != nil {
		t.Error("with a token:", err)
	}
	if err := start(in(t, "other", secret), c, "a"); status.Code(err) != codes.PermissionDenied {
		t.Error("in a hub that it is not for, and that is not there:", err)
	}
	if _, err := c.CreateTaskHub(in(t, "default", secret), &protocol.CreateTaskHubRequest{}); status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "--role admin") {
		t.Error("what it may not:", err)
	}
	if _, err := tokens.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	if err := start(in(t, "", secret), c, "b"); status.Code(err) != codes.Unauthenticated {
		t.Error("with a token that was revoked:", err)
	}
	if _, err := client(t, s, nil).Hello(t.Context(), &emptypb.Empty{}); err == nil {
		t.Error("plaintext is answered")
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(in(t, "", secret), c, "c"); status.Code(err) != codes.Internal || strings.Contains(err.Error(), path) {
		t.Error("with tokens that cannot be read:", err)
	}
	if _, err := server.TokenFile("memory:"); !errors.Is(err, durable.ErrInvalid) {
		t.Error("tokens in memory:", err)
	}
	o.Store = "memory:"
	if _, err := try(t, o); !errors.Is(err, durable.ErrInvalid) {
		t.Error("a server in memory with tokens:", err)
	}
}

// TestOpenFails leaves nothing behind, and can be tried again.
func TestOpenFails(t *testing.T) {
	o := server.Options{Store: storeURL(t)}
	path := strings.TrimPrefix(o.Store, "sqlite:")
	if err := os.WriteFile(path, []byte("no database, but a text that is long enough to be looked at as if it were one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := try(t, o); err == nil || !strings.Contains(err.Error(), "hub.db") {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	open(t, o)
	for _, url := range []string{"", "sqlite:", "postgres:x"} {
		if _, err := try(t, server.Options{Store: url}); err == nil {
			t.Errorf("%q was opened", url)
		}
	}
}

// TestCloseWhileOpening ends the context of Open.
func TestCloseWhileOpening(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := server.Open(ctx, server.Options{Store: storeURL(t), GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0"}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestDrainLetsWorkersAnswer ends a server while a worker has a turn: its connection ends well, its
// answer is taken, and the run is over with the next server. What another worker has not answered is
// given out again there.
func TestDrainLetsWorkersAnswer(t *testing.T) {
	o := server.Options{Store: storeURL(t)}
	s := open(t, o)
	c := client(t, s, nil)
	for _, id := range []string{"answered", "slow"} {
		if _, err := c.StartInstance(t.Context(), &protocol.CreateInstanceRequest{InstanceId: id, Name: id}); err != nil {
			t.Fatal(err)
		}
	}
	work := func(c protocol.TaskHubSidecarServiceClient, name string) (protocol.TaskHubSidecarService_GetWorkItemsClient, *protocol.WorkItem) {
		stream, err := c.GetWorkItems(t.Context(), &protocol.GetWorkItemsRequest{WorkItemFilters: &protocol.WorkItemFilters{
			Orchestrations: []*protocol.OrchestrationFilter{{Name: name}}}})
		if err != nil {
			t.Fatal(err)
		}
		for {
			item, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if item.GetOrchestratorRequest() != nil {
				return stream, item
			}
		}
	}
	answer := func(c protocol.TaskHubSidecarServiceClient, item *protocol.WorkItem) error {
		_, err := c.CompleteOrchestratorTask(t.Context(), &protocol.OrchestratorResponse{
			InstanceId: item.GetOrchestratorRequest().InstanceId, CompletionToken: item.CompletionToken,
			Actions: []*protocol.OrchestratorAction{{Id: 1, OrchestratorActionType: &protocol.OrchestratorAction_CompleteOrchestration{
				CompleteOrchestration: &protocol.CompleteOrchestrationAction{OrchestrationStatus: protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED}}}},
		})
		return err
	}
	stream, item := work(c, "answered")
	slow, _ := work(c, "slow")
	ctx, cancel := context.WithCancel(t.Context())
	drained := make(chan error)
	go func() { drained <- s.Drain(ctx) }()
	for _, x := range []protocol.TaskHubSidecarService_GetWorkItemsClient{stream, slow} {
		for err := error(nil); !errors.Is(err, io.EOF); _, err = x.Recv() {
			if err != nil {
				t.Fatal("a worker's connection ended with", err)
			}
		}
	}
	if err := answer(c, item); err != nil {
		t.Error("an answer while the server ends:", err)
	}
	select {
	case err := <-drained:
		t.Error("it did not wait for the slow one:", err)
	default:
	}
	cancel()
	if err := <-drained; err != nil {
		t.Fatal(err)
	}

	s = open(t, o)
	c = client(t, s, nil)
	_, item = work(c, "slow")
	if err := answer(c, item); err != nil {
		t.Error(err)
	}
	for _, id := range []string{"answered", "slow"} {
		m, err := c.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: id})
		if err != nil || m.OrchestrationState.GetOrchestrationStatus() != protocol.OrchestrationStatus_ORCHESTRATION_STATUS_COMPLETED {
			t.Errorf("%s: %v, %v", id, m, err)
		}
	}
}
