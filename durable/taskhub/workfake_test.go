package taskhub_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// fakeWork is work without an engine: one worker at a time has what it makes. After an answer there
// is nothing more to do, unless again makes more.
type fakeWork[T any] struct {
	engine.WorkInfo
	workers *taskhub.Workers
	make    func() *T
	again   func(*T) bool // changes what make gives

	mu      sync.Mutex
	current *T
	given   bool
	over    bool
	refuse  error // of Complete
	begun   int
	done    []*T
}

func (w *fakeWork[T]) About() engine.WorkInfo { return w.WorkInfo }

func (w *fakeWork[T]) begin() (*T, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.given {
		return nil, engine.ErrStale
	}
	w.current, w.given = w.make(), true
	w.begun++
	return w.current, nil
}

func (w *fakeWork[T]) complete(self engine.Work, t *T) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || t != w.current {
		return engine.ErrStale
	}
	if w.refuse != nil {
		return w.refuse
	}
	w.done = append(w.done, t)
	w.current, w.given = nil, false
	if w.again != nil && w.again(t) {
		w.workers.Offer(self)
	} else {
		w.over = true
		w.workers.Withdraw(self)
	}
	return nil
}

func (w *fakeWork[T]) release(self engine.Work, t *T) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	mine := !w.over && w.given && t == w.current
	if mine {
		w.given = false
		w.workers.Offer(self)
	}
	return mine
}

// answers gives what was completed.
func (w *fakeWork[T]) answers() []*T {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.done)
}

func (w *fakeWork[T]) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

type fakeTurn struct{ fakeWork[engine.Turn] }

func (w *fakeTurn) Begin() (*engine.Turn, error)                     { return w.begin() }
func (w *fakeTurn) Complete(_ context.Context, t *engine.Turn) error { return w.complete(w, t) }
func (w *fakeTurn) Release(t *engine.Turn) bool                      { return w.release(w, t) }

type fakeBatch struct{ fakeWork[engine.EntityBatch] }

func (w *fakeBatch) Begin() (*engine.EntityBatch, error)                     { return w.begin() }
func (w *fakeBatch) Complete(_ context.Context, b *engine.EntityBatch) error { return w.complete(w, b) }
func (w *fakeBatch) Release(b *engine.EntityBatch) bool                      { return w.release(w, b) }

type fakeCall struct {
	fakeWork[engine.Call]
	outcome engine.Outcome
}

func (w *fakeCall) Begin() (*engine.Call, error) { return w.begin() }
func (w *fakeCall) Complete(_ context.Context, c *engine.Call, o engine.Outcome) error {
	err := w.complete(w, c)
	if err == nil {
		w.set(func() { w.outcome = o })
	}
	return err
}
func (w *fakeCall) Release(c *engine.Call) bool { return w.release(w, c) }

var clock = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

// started are the events of a first turn.
func started(name, input string) []*history.Event {
	return []*history.Event{
		{Kind: history.OrchestratorStarted, ID: history.FromOutside, Time: clock},
		{Kind: history.ExecutionStarted, ID: history.FromOutside, Time: clock, Name: name, Data: history.Payload(input),
			Instance: history.Instance{ID: "o-" + name, Execution: "e1"}},
	}
}

func eventSeq(list []*history.Event) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		for _, ev := range list {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// offerTurn offers the turn of an instance o-NAME with a past and news.
func offerTurn(w *taskhub.Workers, name string, past, news []*history.Event) *fakeTurn {
	return offerTurnOf(w, name, func() *engine.Turn {
		return &engine.Turn{Name: name, Instance: history.Instance{ID: "o-" + name, Execution: "e1"}, New: news, Past: eventSeq(past), PastEvents: int64(len(past))}
	})
}

func offerTurnOf(w *taskhub.Workers, name string, turn func() *engine.Turn) *fakeTurn {
	work := &fakeTurn{fakeWork[engine.Turn]{WorkInfo: engine.WorkInfo{Name: name, Instance: "o-" + name}, workers: w, make: turn}}
	w.Offer(work)
	return work
}

func offerCall(w *taskhub.Workers, name string, id int32) *fakeCall {
	work := &fakeCall{fakeWork: fakeWork[engine.Call]{WorkInfo: engine.WorkInfo{Name: name, Version: "3.0.0", Instance: "o", Priority: 3}, workers: w}}
	work.make = func() *engine.Call {
		return &engine.Call{Name: name, Instance: history.Instance{ID: "o", Execution: "e1"}, ID: id, Input: history.Payload(`"in"`),
			Tags: map[string]string{"k": "v"}, Trace: history.TraceContext{Parent: "00-1-2-01", State: "s=1"}}
	}
	w.Offer(work)
	return work
}

func offerBatch(w *taskhub.Workers, state history.Payload, ops ...*history.Event) *fakeBatch {
	work := &fakeBatch{fakeWork[engine.EntityBatch]{WorkInfo: engine.WorkInfo{Name: "counter", Instance: "@counter@k"}, workers: w}}
	work.make = func() *engine.EntityBatch { return &engine.EntityBatch{ID: "@counter@k", State: state, Ops: ops} }
	w.Offer(work)
	return work
}

// call is an operation that an orchestration waits for.
func operation(name, input string) *history.Event {
	return &history.Event{Kind: history.EntityOperationCalled, ID: history.FromOutside, Time: clock, Name: name, Data: history.Payload(input),
		Request: "r-" + name, Target: "@counter@k", Sender: history.Instance{ID: "o", Execution: "e1"}}
}

func newWorkers(t testing.TB, o taskhub.WorkersOptions) *taskhub.Workers {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	w := taskhub.NewWorkers(o)
	t.Cleanup(w.Close)
	return w
}

// connect serves a hub with workers, and gives a client as the SDKs have it.
func connectWorker(t testing.TB, hub taskhub.Hub, w *taskhub.Workers) protocol.TaskHubSidecarServiceClient {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	server := taskhub.ServeService(lis, &taskhub.Service{Hub: hub, Workers: w})
	conn, err := grpc.NewClient("passthrough:hub", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn.Close()
		if err := server.Close(); err != nil {
			t.Error("close the server:", err)
		}
	})
	return protocol.NewTaskHubSidecarServiceClient(conn)
}

// worker is a connection that gets work.
type worker struct {
	t      testing.TB
	sdk    protocol.TaskHubSidecarServiceClient
	stream grpc.ServerStreamingClient[protocol.WorkItem]
	cancel context.CancelFunc
}

// work opens a worker's stream, and takes its first message.
func work(t testing.TB, sdk protocol.TaskHubSidecarServiceClient, m *protocol.GetWorkItemsRequest) *worker {
	t.Helper()
	ctx, cancel := context.WithCancel(metadata.AppendToOutgoingContext(context.Background(), "workerid", "host,1,abc", "x-user-agent", "test/1.0"))
	t.Cleanup(cancel)
	stream, err := sdk.GetWorkItems(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{t, sdk, stream, cancel}
	item, err := stream.Recv()
	if err != nil || item.GetHealthPing() == nil {
		t.Fatalf("the first message is %v, %v; want a ping", item, err)
	}
	return w
}

// next gives the next item that is no ping.
func (w *worker) next() *protocol.WorkItem {
	w.t.Helper()
	for {
		item, err := w.stream.Recv()
		if err != nil {
			w.t.Fatal("receive work:", err)
		}
		if item.GetHealthPing() == nil {
			return item
		}
	}
}

// lose ends the connection, and returns when the server has seen it.
func (w *worker) lose(workers *taskhub.Workers, streams int) {
	w.t.Helper()
	w.cancel()
	for {
		if _, err := w.stream.Recv(); err != nil {
			break
		}
	}
	until(w.t, func() bool { return len(workers.Stats().Streams) == streams })
}

// until waits for what other goroutines do.
func until(t testing.TB, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-t.Context().Done():
			t.Fatal("it never comes")
		case <-time.After(time.Millisecond):
		}
	}
}

func wantCode(t testing.TB, what string, err error, want codes.Code) {
	t.Helper()
	if status.Code(err) != want {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func complete(id int32, a *protocol.CompleteOrchestrationAction) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_CompleteOrchestration{CompleteOrchestration: a}}
}

func schedule(id int32, name string) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_ScheduleTask{ScheduleTask: &protocol.ScheduleTaskAction{Name: name}}}
}

// kindsOf shows events in short.
func kindsOf(list []*history.Event) (s string) {
	for _, ev := range list {
		s += fmt.Sprintf("%s %d %s;", ev.Kind, ev.ID, ev.Name)
	}
	return s
}

// partOf is one of the messages of an answer.
func partOf(index int32, partial bool, actions ...*protocol.OrchestratorAction) *protocol.OrchestratorResponse {
	m := &protocol.OrchestratorResponse{Actions: actions}
	//lint:ignore SA1019 two SDKs send answers in parts
	m.IsPartial, m.ChunkIndex = partial, wrapperspb.Int32(index)
	return m
}
