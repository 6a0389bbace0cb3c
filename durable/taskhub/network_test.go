package taskhub_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// shelf is a directory of hubs in memory.
type shelf struct {
	mu   sync.Mutex
	hubs map[string]taskhub.Hub
	make func() taskhub.Hub
}

func (s *shelf) Service(_ context.Context, name string) (*taskhub.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hubs[name] == nil {
		return nil, fmt.Errorf("hub %s: %w", name, engine.ErrNotFound)
	}
	return &taskhub.Service{Hub: s.hubs[name]}, nil
}

func (s *shelf) Names(context.Context) (names []string, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.hubs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

func (s *shelf) Create(_ context.Context, name string, recreate bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hubs[name] != nil && !recreate {
		return fmt.Errorf("hub %s: %w", name, engine.ErrExists)
	}
	s.hubs[name] = s.make()
	return nil
}

func (s *shelf) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hubs[name] == nil {
		return fmt.Errorf("hub %s: %w", name, engine.ErrNotFound)
	}
	delete(s.hubs, name)
	return nil
}

// serveTCP serves a directory and gives a connection to it.
func serveTCP(t testing.TB, d taskhub.Directory, o taskhub.ServerOptions) *grpc.ClientConn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.Logger = slog.New(slog.DiscardHandler)
	server := taskhub.ServeAll(lis, d, o)
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error("close the server:", err)
		}
	})
	return dialTCP(t, lis.Addr().String())
}

func dialTCP(t testing.TB, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// as gives the context of calls for a hub with a token.
func as(ctx context.Context, hub, secret string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "taskhub", hub, "authorization", "Bearer "+secret)
}

// may lists who may call what: r(eader), o(perator), w(orker), a(dmin).
var may = map[string]string{
	"Hello": "rowa",

	"GetInstance": "rowa", "WaitForInstanceStart": "rowa", "WaitForInstanceCompletion": "rowa", "QueryInstances": "rowa",
	"ListInstanceIds": "rowa", "StreamInstanceHistory": "rowa", "GetEntity": "rowa", "QueryEntities": "rowa",

	"StartInstance": "oa", "RaiseEvent": "oa", "TerminateInstance": "oa", "SuspendInstance": "oa", "ResumeInstance": "oa",
	"RestartInstance": "oa", "RewindInstance": "oa", "PurgeInstances": "oa", "SignalEntity": "oa", "CleanEntityStorage": "oa",
	"SkipGracefulOrchestrationTerminations": "oa",

	"GetWorkItems": "wa", "CompleteActivityTask": "wa", "CompleteOrchestratorTask": "wa", "CompleteEntityTask": "wa",
	"AbandonTaskActivityWorkItem": "wa", "AbandonTaskOrchestratorWorkItem": "wa", "AbandonTaskEntityWorkItem": "wa",

	"CreateTaskHub": "a", "DeleteTaskHub": "a",

	"Handshake": "rowa", "Query": "rowa", "Executions": "rowa", "History": "rowa", "Payload": "rowa", "Effects": "rowa", "ListHubs": "rowa",
	"Watch": "rowa", "Publish": "wa",
}

// call calls a method with nothing in its request, and gives the status code and text.
func call(ctx context.Context, conn *grpc.ClientConn, method string, streams bool) (codes.Code, string) {
	var err error
	if streams {
		var s grpc.ClientStream
		if s, err = conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method); err == nil {
			_ = s.SendMsg(&emptypb.Empty{})
			_ = s.CloseSend()
			err = s.RecvMsg(&emptypb.Empty{})
		}
	} else {
		err = conn.Invoke(ctx, method, &emptypb.Empty{}, &emptypb.Empty{})
	}
	return status.Code(err), status.Convert(err).Message()
}

// TestRolesAndMethods calls every method with every role: a method that has none is refused to all.
func TestRolesAndMethods(t *testing.T) {
	tokens := access.Open(filepath.Join(t.TempDir(), "tokens.json"))
	hub := broken{err: engine.ErrInvalid} // says so of what it has, and panics at the rest
	d := &shelf{hubs: map[string]taskhub.Hub{"mine": hub, "other": hub}, make: func() taskhub.Hub { return hub }}
	conn := serveTCP(t, d, taskhub.ServerOptions{Access: tokens})
	secrets := map[access.Role]string{}
	for _, r := range access.Roles() {
		secret, _, err := tokens.Create(access.Token{Role: r, Hub: "mine"})
		if err != nil {
			t.Fatal(err)
		}
		secrets[r] = secret
	}
	methods := 0
	for _, desc := range []grpc.ServiceDesc{protocol.TaskHubSidecarService_ServiceDesc, protocol.Local_ServiceDesc} {
		check := func(name string, streams bool) {
			methods++
			path := "/" + desc.ServiceName + "/" + name
			if may[name] == "" {
				t.Errorf("nothing says who may call %s", name)
			}
			if code, text := call(as(t.Context(), "mine", ""), conn, path, streams); code != codes.Unauthenticated || !strings.Contains(text, "agentrun token create --role") {
				t.Errorf("%s without a token: %v, %s", name, code, text)
			}
			if code, _ := call(as(t.Context(), "mine", "art_"+strings.Repeat("0", 43)), conn, path, streams); code != codes.Unauthenticated {
				t.Errorf("%s with a token that is none: %v", name, code)
			}
			about := may[name] == "rowa" && slices.Contains([]string{"Hello", "Handshake", "ListHubs"}, name)
			for role, secret := range secrets {
				code, text := call(as(t.Context(), "mine", secret), conn, path, streams)
				denied := code == codes.PermissionDenied || code == codes.Unauthenticated
				if allowed := strings.Contains(may[name], string(role[:1])); allowed == denied {
					t.Errorf("%s as %s: %v, %s", name, role, code, text)
				} else if denied && (code != codes.PermissionDenied || !strings.Contains(text, "agentrun token create --role ") || !strings.Contains(text, " --hub mine")) {
					t.Errorf("%s as %s: %v without advice: %s", name, role, code, text)
				}
				if code, text = call(as(t.Context(), "OTHER", secret), conn, path, streams); (code == codes.PermissionDenied) == about {
					t.Errorf("%s as %s in another hub: %v, %s", name, role, code, text)
				}
				if strings.Contains(text, secret[4:]) {
					t.Errorf("%s repeats the token: %s", name, text)
				}
			}
		}
		for _, m := range desc.Methods {
			check(m.MethodName, false)
		}
		for _, m := range desc.Streams {
			check(m.StreamName, true)
		}
	}
	if methods != len(may) {
		t.Errorf("%d methods, and %d of which it is said who may call them", methods, len(may))
	}
}

// TestDeniedNames has the text name the role that is lacking and how it is given.
func TestDeniedNames(t *testing.T) {
	tokens := access.Open(filepath.Join(t.TempDir(), "tokens.json"))
	conn := serveTCP(t, taskhub.Alone(newEngine(t)), taskhub.ServerOptions{Access: tokens})
	secret, made, err := tokens.Create(access.Token{Role: access.Reader, Hub: "default"})
	if err != nil {
		t.Fatal(err)
	}
	_, text := call(as(t.Context(), "", secret), conn, protocol.TaskHubSidecarService_RaiseEvent_FullMethodName, false)
	if want := "RaiseEvent needs the role operator, and token " + made.ID + " has the role reader; another one is made with: agentrun token create --role operator --hub default"; text != want {
		t.Errorf("it says %q, want %q", text, want)
	}
}

// TestRevokedWhileWaiting revokes a token on which a wait and a stream hang.
func TestRevokedWhileWaiting(t *testing.T) {
	tokens := access.Open(filepath.Join(t.TempDir(), "tokens.json"))
	waiting := make(chan struct{}, 2)
	conn := serveTCP(t, taskhub.Alone(patient{newEngine(t), waiting}), taskhub.ServerOptions{Access: tokens})
	secret, made, err := tokens.Create(access.Token{Role: access.Reader, Hub: "*"})
	if err != nil {
		t.Fatal(err)
	}
	c := protocol.NewTaskHubSidecarServiceClient(conn)
	ended := make(chan error)
	go func() {
		_, err := c.WaitForInstanceCompletion(as(t.Context(), "", secret), &protocol.GetInstanceRequest{InstanceId: "never"})
		ended <- err
	}()
	go func() {
		s, err := c.StreamInstanceHistory(as(t.Context(), "", secret), &protocol.StreamInstanceHistoryRequest{InstanceId: "never"})
		if err == nil {
			_, err = s.Recv()
		}
		ended <- err
	}()
	<-waiting
	<-waiting
	if _, err := tokens.Revoke(made.ID); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-ended; status.Code(err) != codes.Unauthenticated || !strings.Contains(err.Error(), made.ID+" was revoked") {
			t.Errorf("it ended with %v", err)
		}
	}
}

// TestHealthAndReflection needs no token for the one and any for the other.
func TestHealthAndReflection(t *testing.T) {
	tokens := access.Open(filepath.Join(t.TempDir(), "tokens.json"))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := taskhub.ServeAll(lis, taskhub.Alone(newEngine(t)), taskhub.ServerOptions{Access: tokens})
	defer server.Close()
	conn := dialTCP(t, lis.Addr().String())
	health := grpc_health_v1.NewHealthClient(conn)
	for _, service := range []string{"", "TaskHubSidecarService", "agentrun.local.v1.Local"} {
		m, err := health.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		if err != nil || m.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			t.Errorf("%q: %v, %v", service, m, err)
		}
	}
	list := func(ctx context.Context) ([]string, error) {
		s, err := reflectionv1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err != nil {
			return nil, err
		}
		_ = s.Send(&reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}})
		m, err := s.Recv()
		if err != nil {
			return nil, err
		}
		var names []string
		for _, x := range m.GetListServicesResponse().GetService() {
			names = append(names, x.Name)
		}
		return names, s.CloseSend()
	}
	if _, err := list(t.Context()); status.Code(err) != codes.Unauthenticated {
		t.Errorf("reflection without a token: %v", err)
	}
	secret, _, err := tokens.Create(access.Token{Role: access.Reader, Hub: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if names, err := list(as(t.Context(), "", secret)); err != nil || !slices.Contains(names, "TaskHubSidecarService") {
		t.Errorf("reflection: %v, %v", names, err)
	}
	// Who watches is told, and does not hold up the end.
	watch, err := health.Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if m, err := watch.Recv(); err != nil || m.Status != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("watched: %v, %v", m, err)
	}
	if err := server.Shutdown(t.Context()); err != nil { // without a deadline: it must end by itself
		t.Error(err)
	}
	for {
		if _, err := watch.Recv(); err != nil {
			break
		}
	}
}

// patient is a hub where a history, as a wait, lasts until the call ends.
type patient struct {
	taskhub.Hub
	waiting chan<- struct{}
}

func (p patient) Wait(ctx context.Context, _ string) (*engine.State, error) {
	p.waiting <- struct{}{}
	<-ctx.Done()
	return nil, ctx.Err()
}

func (p patient) History(ctx context.Context, _, _ string) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		p.waiting <- struct{}{}
		<-ctx.Done()
		yield(nil, ctx.Err())
	}
}
