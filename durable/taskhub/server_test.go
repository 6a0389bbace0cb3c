package taskhub_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// client connects as an SDK does: with gRPC's own limits.
func client(t *testing.T, path string) protocol.TaskHubSidecarServiceClient {
	t.Helper()
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return protocol.NewTaskHubSidecarServiceClient(conn)
}

// broken is a hub whose every answer is an error.
type broken struct {
	taskhub.Hub
	err error
}

func (b broken) Start(context.Context, engine.Start) (string, error)          { return "", b.err }
func (b broken) Raise(context.Context, string, string, history.Payload) error { return b.err }
func (b broken) Wait(context.Context, string) (*engine.State, error)          { return nil, b.err }
func (b broken) Get(context.Context, string, bool) (*engine.State, error)     { return nil, b.err }
func (b broken) Entity(context.Context, string) (*engine.EntityState, error)  { return nil, b.err }
func (b broken) Payload(context.Context, history.Hash) ([]byte, error)        { return nil, b.err }
func (b broken) Query(context.Context, store.Query, bool) ([]*engine.State, string, error) {
	return nil, "", b.err
}

func (b broken) History(context.Context, string, string) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) { yield(nil, b.err) }
}

// TestCodes gives each error of a hub its status code, with the text once, and the Remote's callers
// the error back.
func TestCodes(t *testing.T) {
	disk := errors.New("disk I/O error")
	for _, c := range []struct {
		err  error
		code codes.Code
		is   error // of the Remote
	}{
		{engine.ErrExists, codes.AlreadyExists, engine.ErrExists},
		{fmt.Errorf("%w: the id is wrong", engine.ErrInvalid), codes.InvalidArgument, engine.ErrInvalid},
		{fmt.Errorf("x: %w", engine.ErrNotFound), codes.NotFound, engine.ErrNotFound},
		{engine.ErrClosed, codes.Unavailable, taskhub.ErrUnavailable},
		{fmt.Errorf("the engine stopped: %w", store.ErrUnknown), codes.Unavailable, taskhub.ErrUnavailable},
		{fmt.Errorf("the engine stopped: %w", store.ErrFenced), codes.Unavailable, taskhub.ErrUnavailable},
		{store.ErrClosed, codes.Unavailable, taskhub.ErrUnavailable},
		{disk, codes.Internal, nil},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			path, _ := serve(t, broken{err: c.err})
			sdk, remote := client(t, path), dial(t, path)
			_, start := sdk.StartInstance(t.Context(), &protocol.CreateInstanceRequest{Name: "x"})
			_, raise := sdk.RaiseEvent(t.Context(), &protocol.RaiseEventRequest{})
			_, wait := sdk.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{})
			_, query := sdk.QueryInstances(t.Context(), &protocol.QueryInstancesRequest{})
			stream, err := sdk.StreamInstanceHistory(t.Context(), &protocol.StreamInstanceHistoryRequest{ForWorkItemProcessing: true})
			if err != nil {
				t.Fatal(err)
			}
			_, events := stream.Recv()
			for call, err := range map[string]error{"StartInstance": start, "RaiseEvent": raise, "WaitForInstanceCompletion": wait, "QueryInstances": query, "StreamInstanceHistory": events} {
				if st := status.Convert(err); st.Code() != c.code || st.Message() != c.err.Error() {
					t.Errorf("%s: %v, want %v with %q", call, err, c.code, c.err)
				}
			}
			_, start = remote.Start(t.Context(), engine.Start{Name: "x"})
			raise = remote.Raise(t.Context(), "x", "y", nil)
			_, wait = remote.Wait(t.Context(), "x")
			_, _, query = remote.Query(t.Context(), store.Query{}, false)
			_, data := remote.Payload(t.Context(), history.Hash{})
			if errors.Is(c.err, engine.ErrNotFound) {
				data = start // a payload that is not found is the store's error
			}
			for _, events = range remote.History(t.Context(), "x", "") {
			}
			for call, err := range map[string]error{"Start": start, "Raise": raise, "Wait": wait, "Query": query, "History": events, "Payload": data} {
				if err == nil || c.is != nil && !errors.Is(err, c.is) || strings.Count(err.Error(), c.err.Error()) != 1 {
					t.Errorf("%s: %v, want %v with %q once", call, err, c.is, c.err)
				}
				if c.code != codes.Unavailable && err.Error() != c.err.Error() {
					t.Errorf("%s: %v, want no more than %q", call, err, c.err)
				}
			}
		})
	}
}

// TestLongMessage has an error whose text would not fit in a header.
func TestLongMessage(t *testing.T) {
	path, _ := serve(t, broken{err: fmt.Errorf("%w: %s\xff", engine.ErrInvalid, strings.Repeat("ж", 20<<20))})
	_, err := dial(t, path).Start(t.Context(), engine.Start{Name: "x"})
	if !errors.Is(err, engine.ErrInvalid) || len(err.Error()) > 3000 {
		t.Errorf("Start gave an error of %d bytes: %.100v", len(fmt.Sprint(err)), err)
	}
}

// TestProtocol speaks to a server as the SDKs do.
func TestProtocol(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	sdk := client(t, path)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := sdk.Hello(ctx, &emptypb.Empty{})
	must(err)
	_, err = sdk.StartInstance(ctx, &protocol.CreateInstanceRequest{InstanceId: "one", Name: "script", Input: wrapperspb.String(""),
		ScheduledStartTimestamp: &timestamppb.Timestamp{}, RequestTime: timestamppb.Now()}) // as JavaScript has it
	must(err)
	must(eng.Raise(ctx, "one", "fail", history.Payload("broken")))
	_, err = eng.Wait(ctx, "one")
	must(err)
	_, err = eng.Start(ctx, engine.Start{ID: "two", Name: "script", Input: history.Payload("in")})
	must(err)
	_, err = eng.Start(ctx, engine.Start{ID: "unborn", Name: "unknown"})
	must(err)
	must(eng.Signal(ctx, "@count@a", "add", history.Payload("5"), time.Time{}))
	await(t, eng, "@count@a")

	t.Run("a failure shows without data", func(t *testing.T) {
		r, err := sdk.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: "one"})
		must(err)
		s := r.GetOrchestrationState()
		if !r.GetExists() || s.GetFailureDetails().GetInnerFailure().GetErrorMessage() != "deeper" || s.GetInput() != nil {
			t.Errorf("got %v", r)
		}
		q, err := sdk.QueryInstances(ctx, &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{
			RuntimeStatus: []protocol.OrchestrationStatus{protocol.OrchestrationStatus_ORCHESTRATION_STATUS_FAILED}}})
		must(err)
		if len(q.GetOrchestrationState()) != 1 || !proto.Equal(s, q.GetOrchestrationState()[0]) || q.GetContinuationToken() != nil {
			t.Errorf("the query gave %v", q)
		}
	})
	t.Run("an empty input is there", func(t *testing.T) {
		r, err := sdk.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: "one", GetInputsAndOutputs: true})
		must(err)
		if s := r.GetOrchestrationState(); s.GetInput() == nil || s.GetInput().Value != "" || s.GetOutput() != nil {
			t.Errorf("got %v", r)
		}
	})
	t.Run("unknown ids", func(t *testing.T) {
		r, err := sdk.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: "nobody"})
		must(err)
		e, err := sdk.GetEntity(ctx, &protocol.GetEntityRequest{InstanceId: "@count@z"})
		must(err)
		if r.GetExists() || e.GetExists() {
			t.Errorf("got %v, %v", r, e)
		}
	})
	t.Run("history", func(t *testing.T) {
		for _, c := range []struct {
			id, execution string
			work          bool
			code          codes.Code
			some          bool
		}{
			{"one", "", false, codes.OK, true},
			{"one", "", true, codes.OK, true},
			{"nobody", "", false, codes.OK, false},
			{"nobody", "", true, codes.NotFound, false},
			{"one", "0", false, codes.NotFound, false},
		} {
			events, err := stream(ctx, sdk, &protocol.StreamInstanceHistoryRequest{InstanceId: c.id, ExecutionId: wrapperspb.String(c.execution), ForWorkItemProcessing: c.work})
			if status.Code(err) != c.code || len(events) > 0 != c.some {
				t.Errorf("%+v: %d events, %v", c, len(events), err)
			}
		}
	})
	t.Run("pages", func(t *testing.T) {
		var ids []string
		token := (*wrapperspb.StringValue)(nil)
		for {
			r, err := sdk.QueryInstances(ctx, &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{
				MaxInstanceCount: 1, ContinuationToken: token, FetchInputsAndOutputs: true}})
			must(err)
			for _, s := range r.GetOrchestrationState() {
				ids = append(ids, s.GetInstanceId())
			}
			if token = r.GetContinuationToken(); token == nil {
				break
			}
		}
		if got := strings.Join(ids, " "); got != "one two unborn" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("entities", func(t *testing.T) {
		r, err := sdk.GetEntity(ctx, &protocol.GetEntityRequest{InstanceId: "@count@a"})
		must(err)
		if !r.GetExists() || r.GetEntity().GetSerializedState() != nil {
			t.Errorf("without its state it is %v", r)
		}
		at := r.GetEntity().GetLastModifiedTime()
		after := timestamppb.New(at.AsTime().Add(time.Nanosecond))
		for _, c := range []struct {
			query *protocol.EntityQuery
			want  int
		}{
			{nil, 1},
			{&protocol.EntityQuery{IncludeState: true, InstanceIdStartsWith: wrapperspb.String("@count@")}, 1},
			{&protocol.EntityQuery{InstanceIdStartsWith: wrapperspb.String("@other@")}, 0},
			{&protocol.EntityQuery{LastModifiedFrom: at, LastModifiedTo: after}, 1},
			{&protocol.EntityQuery{LastModifiedFrom: after}, 0},
			{&protocol.EntityQuery{LastModifiedTo: at}, 0},
		} {
			r, err := sdk.QueryEntities(ctx, &protocol.QueryEntitiesRequest{Query: c.query})
			must(err)
			if len(r.GetEntities()) != c.want || c.want > 0 && (r.Entities[0].SerializedState != nil) != c.query.GetIncludeState() {
				t.Errorf("%v: got %v", c.query, r)
			}
		}
	})
	t.Run("an entity to come", func(t *testing.T) {
		later := timestamppb.New(time.Now().Add(time.Hour))
		_, err := sdk.SignalEntity(ctx, &protocol.SignalEntityRequest{InstanceId: "@count@later", Name: "add", ScheduledTime: later})
		must(err)
		got, err := sdk.GetEntity(ctx, &protocol.GetEntityRequest{InstanceId: "@count@later", IncludeState: true})
		must(err)
		if got.GetExists() {
			t.Errorf("it exists: %v", got)
		}
		for _, transient := range []bool{false, true} {
			r, err := sdk.QueryEntities(ctx, &protocol.QueryEntitiesRequest{Query: &protocol.EntityQuery{
				IncludeTransient: transient, InstanceIdStartsWith: wrapperspb.String("@count@later")}})
			must(err)
			if (len(r.GetEntities()) == 1) != transient {
				t.Errorf("transient %v: %v", transient, r)
			}
		}
		r, err := sdk.CleanEntityStorage(ctx, &protocol.CleanEntityStorageRequest{RemoveEmptyEntities: true, ReleaseOrphanedLocks: true})
		must(err)
		if r.GetEmptyEntitiesRemoved() != 0 || r.GetOrphanedLocksReleased() != 0 || r.GetContinuationToken() != nil {
			t.Errorf("cleaned %v", r)
		}
	})
	t.Run("refusals", func(t *testing.T) {
		later := timestamppb.New(time.Now().Add(time.Hour))
		_, start := sdk.StartInstance(ctx, &protocol.CreateInstanceRequest{Name: "script", OrchestrationIdReusePolicy: &protocol.OrchestrationIdReusePolicy{
			ReplaceableStatus: []protocol.OrchestrationStatus{protocol.OrchestrationStatus_ORCHESTRATION_STATUS_RUNNING}}})
		_, signal := sdk.SignalEntity(ctx, &protocol.SignalEntityRequest{InstanceId: "@count@a", Name: "add", ScheduledTime: later})
		_, purge := sdk.PurgeInstances(ctx, &protocol.PurgeInstancesRequest{})
		_, token := sdk.QueryInstances(ctx, &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{ContinuationToken: wrapperspb.String("?")}})
		_, size := sdk.QueryInstances(ctx, &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{MaxInstanceCount: -1}})
		_, clean := sdk.CleanEntityStorage(ctx, &protocol.CleanEntityStorageRequest{ContinuationToken: wrapperspb.String("?")})
		_, long := sdk.SignalEntity(ctx, &protocol.SignalEntityRequest{InstanceId: "@count@" + strings.Repeat("k", 100), Name: "add"})
		for i, c := range []struct {
			err  error
			code codes.Code
		}{{start, codes.InvalidArgument}, {signal, codes.OK}, {purge, codes.InvalidArgument},
			{token, codes.InvalidArgument}, {size, codes.InvalidArgument}, {clean, codes.InvalidArgument}, {long, codes.InvalidArgument}} {
			if status.Code(c.err) != c.code {
				t.Errorf("%d: %v, want %v", i, c.err, c.code)
			}
		}
		if got, want := status.Convert(start).Message(), "Invalid reusable statuses: cannot exclude 'Terminated' while also allowing reuse of running instances"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if !strings.Contains(status.Convert(long).Message(), "length") {
			t.Errorf("%v does not say that it is the length", long)
		}
	})
	t.Run("wait for start", func(t *testing.T) {
		r, err := sdk.WaitForInstanceStart(ctx, &protocol.GetInstanceRequest{InstanceId: "two", GetInputsAndOutputs: true})
		must(err)
		if r.GetOrchestrationState().GetInput().GetValue() != "in" {
			t.Errorf("got %v", r)
		}
		short, cancel := context.WithTimeout(ctx, 30*time.Millisecond)
		defer cancel()
		if _, err := sdk.WaitForInstanceStart(short, &protocol.GetInstanceRequest{InstanceId: "unborn"}); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("one that is pending gave %v", err)
		}
	})
}

// limits is a hub that notes how much it is asked for.
type limits struct {
	taskhub.Hub
	asked []int
}

func (l *limits) Query(_ context.Context, q store.Query, _ bool) ([]*engine.State, string, error) {
	l.asked = append(l.asked, q.Limit)
	return nil, "", nil
}

// TestPageLimits asks for pages of every size.
func TestPageLimits(t *testing.T) {
	hub := new(limits)
	path, _ := serve(t, hub)
	sdk, remote := client(t, path), dial(t, path)
	for _, n := range []int32{0, 7, 1_000_000} {
		if _, err := sdk.QueryInstances(t.Context(), &protocol.QueryInstancesRequest{Query: &protocol.InstanceQuery{MaxInstanceCount: n}}); err != nil {
			t.Error(err)
		}
		if _, _, err := remote.Query(t.Context(), store.Query{Limit: int(n)}, false); err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]int{100, 100, 7, 7, 1000, 1000}, hub.asked); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHistoryChunks streams a history that is larger than an SDK's message.
func TestHistoryChunks(t *testing.T) {
	ctx := t.Context()
	eng := newEngine(t)
	path, _ := serve(t, eng)
	if _, err := eng.Start(ctx, engine.Start{ID: "one", Name: "script"}); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := eng.Raise(ctx, "one", "x", history.Payload(strings.Repeat("x", 300<<10))); err != nil {
			t.Fatal(err)
		}
	}
	chunks, err := client(t, path).StreamInstanceHistory(ctx, &protocol.StreamInstanceHistoryRequest{InstanceId: "one"})
	if err != nil {
		t.Fatal(err)
	}
	raised, n := 0, 0
	for chunk, err := chunks.Recv(); err == nil; chunk, err = chunks.Recv() {
		if n++; proto.Size(chunk) > 1<<20 {
			t.Errorf("chunk %d has %d bytes", n, proto.Size(chunk))
		}
		for _, e := range chunk.GetEvents() {
			if e.GetEventRaised() != nil {
				raised++
			}
		}
	}
	if raised != 20 || n < 6 {
		t.Errorf("%d of 20 events came in %d chunks", raised, n)
	}
}

// stream gathers a history.
func stream(ctx context.Context, sdk protocol.TaskHubSidecarServiceClient, m *protocol.StreamInstanceHistoryRequest) (events []*protocol.HistoryEvent, err error) {
	chunks, err := sdk.StreamInstanceHistory(ctx, m)
	for err == nil {
		var chunk *protocol.HistoryChunk
		chunk, err = chunks.Recv()
		events = append(events, chunk.GetEvents()...)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return events, err
}

// TestCloseTellsWaiters closes a server that others wait at: they hear of it, however much time
// there is for calls under way.
func TestCloseTellsWaiters(t *testing.T) {
	hub := stuck{entered: make(chan string)}
	path, server := serve(t, hub)
	server.SetGrace(time.Hour)
	r, sdk := dial(t, path), client(t, path)
	waited, completion := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := r.Wait(t.Context(), "one")
		waited <- err
	}()
	go func() {
		_, err := sdk.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: "one"})
		completion <- err
	}()
	<-hub.entered
	<-hub.entered
	if err := errors.Join(server.Close(), server.Close()); err != nil {
		t.Error(err)
	}
	if err := <-waited; !errors.Is(err, taskhub.ErrUnavailable) || !strings.Contains(err.Error(), "it is ending") {
		t.Errorf("Wait gave %v", err)
	}
	if err := <-completion; status.Code(err) != codes.Unavailable {
		t.Errorf("WaitForInstanceCompletion gave %v", err)
	}
}

// TestCloseCutsOff closes a server that has a call which does not end: it is cancelled, and nothing
// of it runs any more when Close returns, since the engine may then be closed.
func TestCloseCutsOff(t *testing.T) {
	hub := stuck{entered: make(chan string), left: new(atomic.Int32)}
	path, server := serve(t, hub)
	server.SetGrace(time.Millisecond)
	r := dial(t, path)
	start := make(chan error, 1)
	go func() {
		_, err := r.Start(t.Context(), engine.Start{Name: "x"})
		start <- err
	}()
	<-hub.entered
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if hub.left.Load() != 1 {
		t.Error("Close returned while the hub was in use")
	}
	if err := <-start; !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Start gave %v", err)
	}
}
