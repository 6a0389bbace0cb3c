package taskhub_test

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestWorkItems has one item of each kind, as a worker gets it and answers it.
func TestWorkItems(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	turn := offerTurn(w, "chain", []*history.Event{
		{Kind: history.OrchestratorStarted, ID: -1, Time: clock},
		{Kind: history.TaskScheduled, ID: 4, Time: clock, Name: "before", Call: 7, Attempt: 2},
		{Kind: history.GenericEvent, ID: 5, Time: clock, Data: history.Payload("x")},
	}, append(started("chain", `"x"`), &history.Event{Kind: history.ExecutionRewound, ID: -1, Time: clock}))
	one := work(t, sdk, &protocol.GetWorkItemsRequest{})
	item := one.next()
	stamp := timestamppb.New(clock)
	want := &protocol.WorkItem{CompletionToken: item.CompletionToken, Request: &protocol.WorkItem_OrchestratorRequest{OrchestratorRequest: &protocol.OrchestratorRequest{
		InstanceId: "o-chain", ExecutionId: wrapperspb.String("e1"),
		PastEvents: []*protocol.HistoryEvent{
			{EventId: -1, Timestamp: stamp, EventType: &protocol.HistoryEvent_OrchestratorStarted{OrchestratorStarted: &protocol.OrchestratorStartedEvent{}}},
			{EventId: 4, Timestamp: stamp, EventType: &protocol.HistoryEvent_TaskScheduled{TaskScheduled: &protocol.TaskScheduledEvent{Name: "before"}}},
		},
		NewEvents: []*protocol.HistoryEvent{
			{EventId: -1, Timestamp: stamp, EventType: &protocol.HistoryEvent_OrchestratorStarted{OrchestratorStarted: &protocol.OrchestratorStartedEvent{}}},
			{EventId: -1, Timestamp: stamp, EventType: &protocol.HistoryEvent_ExecutionStarted{ExecutionStarted: &protocol.ExecutionStartedEvent{
				Name: "chain", Input: wrapperspb.String(`"x"`), OrchestrationInstance: &protocol.OrchestrationInstance{InstanceId: "o-chain", ExecutionId: wrapperspb.String("e1")}}}},
		},
		EntityParameters: &protocol.OrchestratorEntityParameters{EntityMessageReorderWindow: &durationpb.Duration{}},
	}}}
	if diff := cmp.Diff(want, item, protocmp.Transform()); diff != "" {
		t.Errorf("the orchestration's item (-want +got):\n%s", diff)
	}
	_, err := sdk.CompleteOrchestratorTask(t.Context(), &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken, CustomStatus: wrapperspb.String(""),
		Actions: []*protocol.OrchestratorAction{complete(2, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 1}), schedule(9, "late"), schedule(6, "a")}})
	if done := turn.answers(); err != nil || len(done) != 1 || kindsOf(done[0].Actions) != "TaskScheduled 6 a;TaskScheduled 9 late;ExecutionCompleted 2 ;" || done[0].CustomStatus == nil {
		t.Fatalf("the turn was completed as %+v, %v", done, err)
	}

	call := offerCall(w, "greet", 5)
	item = one.next()
	want = &protocol.WorkItem{CompletionToken: item.CompletionToken, Request: &protocol.WorkItem_ActivityRequest{ActivityRequest: &protocol.ActivityRequest{
		Name: "greet", Input: wrapperspb.String(`"in"`), TaskId: 5, Tags: map[string]string{"k": "v"},
		OrchestrationInstance: &protocol.OrchestrationInstance{InstanceId: "o", ExecutionId: wrapperspb.String("e1")},
		ParentTraceContext:    &protocol.TraceContext{TraceParent: "00-1-2-01", TraceState: wrapperspb.String("s=1")}}}}
	if diff := cmp.Diff(want, item, protocmp.Transform()); diff != "" {
		t.Errorf("the activity's item (-want +got):\n%s", diff)
	}
	// By its instance and number, as an SDK does that knows no tokens.
	_, err = sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{InstanceId: "o", TaskId: 5, FailureDetails: &protocol.TaskFailureDetails{ErrorType: "E", ErrorMessage: "m"}})
	if f := call.outcome.Failure; err != nil || f == nil || f.Type != "E" {
		t.Errorf("the call was completed as %+v, %v", call.outcome, err)
	}

	batch := offerBatch(w, history.Payload("5"), operation("add", "1"), operation("get", "2"))
	item = one.next()
	r := item.GetEntityRequestV2()
	if r.GetInstanceId() != "@counter@k" || r.GetEntityState().GetValue() != "5" || len(r.GetOperationRequests()) != 2 {
		t.Fatalf("the entity's item is %v", item)
	}
	if c := r.OperationRequests[0].GetEntityOperationCalled(); c.GetRequestId() != "r-add" || c.GetParentInstanceId().GetValue() != "o" || c.GetParentExecutionId().GetValue() != "e1" {
		t.Errorf("the operation is %v", r.OperationRequests[0])
	}
	_, err = sdk.CompleteEntityTask(t.Context(), &protocol.EntityBatchResult{CompletionToken: item.CompletionToken, EntityState: wrapperspb.String("6"),
		Results: []*protocol.OperationResult{{ResultType: &protocol.OperationResult_Success{Success: &protocol.OperationResultSuccess{Result: wrapperspb.String("6")}}}},
		Actions: []*protocol.OperationAction{
			{OperationActionType: &protocol.OperationAction_SendSignal{SendSignal: &protocol.SendSignalAction{InstanceId: "@Other@K", Name: "op", ScheduledTime: stamp}}},
			{OperationActionType: &protocol.OperationAction_StartNewOrchestration{StartNewOrchestration: &protocol.StartNewOrchestrationAction{Name: "chain", Version: wrapperspb.String("2")}}},
		}})
	if done := batch.answers(); err != nil || len(done) != 1 || string(done[0].State) != "6" || len(done[0].Results) != 1 || string(done[0].Results[0].Result) != "6" ||
		kindsOf(done[0].Sent) != "EntityOperationSignaled -1 op;ExecutionStarted -1 chain;" || done[0].Sent[0].Target != "@other@K" || !done[0].Sent[0].FireAt.Equal(clock) {
		t.Errorf("the batch was completed as %+v, %v", done, err)
	}
}

// TestNoWorkers has a hub that runs its own definitions only.
func TestNoWorkers(t *testing.T) {
	sdk := connectWorker(t, broken{}, nil)
	stream, err := sdk.GetWorkItems(t.Context(), &protocol.GetWorkItemsRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, "GetWorkItems", err, codes.FailedPrecondition)
	_, err = sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{CompletionToken: "x"})
	wantCode(t, "CompleteActivityTask", err, codes.FailedPrecondition)
}

// TestPing keeps a connection that nothing is sent on from being given up.
func TestPing(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{Ping: time.Millisecond})
	one := work(t, connectWorker(t, broken{}, w), &protocol.GetWorkItemsRequest{})
	for range 3 {
		if item, err := one.stream.Recv(); err != nil || item.GetHealthPing() == nil || item.CompletionToken != "" {
			t.Fatalf("got %v, %v; want a ping", item, err)
		}
	}
}

// TestFilters lets two workers share the work by names and versions.
func TestFilters(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	one := work(t, sdk, &protocol.GetWorkItemsRequest{WorkItemFilters: &protocol.WorkItemFilters{
		Activities: []*protocol.ActivityFilter{{Name: "a", Versions: []string{"1.0.0"}}, {Name: "a", Versions: []string{"3.0.0"}}, {Name: "b", Versions: []string{""}}},
		Entities:   []*protocol.EntityFilter{{Name: "Counter"}},
	}})
	offerTurn(w, "nobody", nil, started("nobody", ""))
	offerCall(w, "c", 1)
	offerCall(w, "b", 2)
	offerCall(w, "a", 3)
	if a := one.next().GetActivityRequest(); a.GetName() != "a" {
		t.Errorf("got %v", a)
	}
	offerBatch(w, nil, operation("add", "1"))
	if e := one.next().GetEntityRequestV2(); e.GetInstanceId() != "@counter@k" {
		t.Errorf("got %v", e)
	}
	waiting := func() string {
		s := ""
		for _, x := range w.Stats().Waiting {
			s += x.Kind + " " + x.Name + " " + x.Version + ";"
		}
		return s
	}
	if got := waiting(); got != "activity b 3.0.0;activity c 3.0.0;orchestration nobody ;" {
		t.Errorf("%s waits", got)
	}
	two := work(t, sdk, &protocol.GetWorkItemsRequest{WorkItemFilters: &protocol.WorkItemFilters{
		Activities: []*protocol.ActivityFilter{{Name: "c"}, {Name: "b", Versions: []string{""}}, {Name: "b"}}}})
	two.next()
	two.next()
	if got := waiting(); got != "orchestration nobody ;" {
		t.Errorf("%s waits", got)
	}
	s := w.Stats().Streams
	if len(s) != 2 || s[0].Worker != "host,1,abc" || s[0].UserAgent != "test/1.0" || s[0].InFlight != (taskhub.WorkCounts{Activities: 1, Entities: 1}) ||
		s[0].Limits.Entities != 100 || cmp.Diff(s[0].Filters.Activities, map[string][]string{"a": {"1.0.0", "3.0.0"}, "b": {""}}) != "" ||
		s[1].Filters.Activities["b"] != nil || len(s[1].Filters.Activities) != 2 {
		t.Errorf("Stats gives %+v", s)
	}
	stream, err := sdk.GetWorkItems(t.Context(), &protocol.GetWorkItemsRequest{WorkItemFilters: &protocol.WorkItemFilters{
		Activities: []*protocol.ActivityFilter{{Name: "a", Versions: make([]string, 10_000)}}}})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, "ten thousand versions", err, codes.InvalidArgument)
}

// TestLimits gives a worker as much as it has said, and the next when it has answered, also in vain.
func TestWorkerLimits(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	var calls []*fakeCall
	for i := range int32(5) {
		calls = append(calls, offerCall(w, "a", i))
	}
	one := work(t, sdk, &protocol.GetWorkItemsRequest{MaxConcurrentActivityWorkItems: 2})
	first, second := one.next(), one.next()
	until(t, func() bool { return w.Stats().Streams[0].InFlight.Activities == 2 })
	if n := w.Stats().Waiting[0].Count; n != 3 {
		t.Fatalf("%d wait, want 3", n)
	}
	if _, err := sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{CompletionToken: first.CompletionToken}); err != nil {
		t.Fatal(err)
	}
	third := one.next()
	stale := calls[second.GetActivityRequest().TaskId]
	stale.set(func() { stale.over = true }) // its orchestration has ended
	for range 2 {
		if _, err := sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{CompletionToken: second.CompletionToken}); err != nil {
			t.Fatal(err)
		}
	}
	fourth := one.next()
	if _, err := sdk.AbandonTaskActivityWorkItem(t.Context(), &protocol.AbandonActivityTaskRequest{CompletionToken: third.CompletionToken}); err != nil {
		t.Fatal(err)
	}
	fifth := one.next()
	if third.GetActivityRequest().TaskId == fifth.GetActivityRequest().TaskId && len(w.Stats().Waiting) == 0 || fourth.CompletionToken == fifth.CompletionToken {
		t.Errorf("after %v and %v came %v", third, fourth, fifth)
	}
	until(t, func() bool { return w.Stats().Streams[0].InFlight.Activities == 2 })
}

// TestTokens has answers that are repeated, at once and later, to unknown items and of the wrong kind.
func TestTokens(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	one := work(t, sdk, &protocol.GetWorkItemsRequest{})
	ctx := t.Context()
	_, err := sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: "unknown"})
	wantCode(t, "an unknown token", err, codes.OK)
	_, err = sdk.CompleteOrchestratorTask(ctx, &protocol.OrchestratorResponse{InstanceId: "unknown"})
	wantCode(t, "an unknown instance", err, codes.OK)
	_, err = sdk.CompleteEntityTask(ctx, &protocol.EntityBatchResult{})
	wantCode(t, "an entity without a token", err, codes.OK)
	_, err = sdk.AbandonTaskEntityWorkItem(ctx, &protocol.AbandonEntityTaskRequest{CompletionToken: "unknown"})
	wantCode(t, "abandoning what is unknown", err, codes.OK)

	call := offerCall(w, "a", 1)
	item := one.next()
	_, err = sdk.CompleteOrchestratorTask(ctx, &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken})
	wantCode(t, "a token of another kind", err, codes.InvalidArgument)
	again := one.next()
	if again.CompletionToken == item.CompletionToken {
		t.Error("a token was used twice")
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: again.CompletionToken}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	_, err = sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: item.CompletionToken})
	wantCode(t, "the first token", err, codes.OK)
	if n := len(call.answers()); n != 1 {
		t.Errorf("the call was completed %d times", n)
	}
	if tokens, orphans, notes, _ := w.Remembered(); tokens+orphans+notes != 0 {
		t.Errorf("%d tokens, %d orphans and %d notes are left", tokens, orphans, notes)
	}

	// What the engine could not take may be said again.
	call = offerCall(w, "a", 2)
	item = one.next()
	call.set(func() { call.refuse = engine.ErrClosed })
	_, err = sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: item.CompletionToken})
	wantCode(t, "an engine that is closed", err, codes.Unavailable)
	call.set(func() { call.refuse = nil })
	_, err = sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: item.CompletionToken})
	if wantCode(t, "the same once more", err, codes.OK); len(call.answers()) != 1 {
		t.Error("it was not completed")
	}
}

// TestLostWorker has a worker that goes, whose work comes to another at once, and whose answer
// counts if it comes first.
func TestLostWorker(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	ctx := t.Context()
	one := work(t, sdk, &protocol.GetWorkItemsRequest{})
	first, second := offerCall(w, "a", 1), offerTurn(w, "b", nil, started("b", ""))
	tokens := map[bool]string{}
	for range 2 {
		item := one.next()
		tokens[item.GetActivityRequest() != nil] = item.CompletionToken
	}
	one.lose(w, 0)
	if _, orphans, _, _ := w.Remembered(); orphans != 2 {
		t.Fatalf("%d answers are still taken, want 2", orphans)
	}
	// The first answers after its connection, before anybody else has begun.
	_, err := sdk.CompleteActivityTask(ctx, &protocol.ActivityResponse{CompletionToken: tokens[true]})
	if err != nil || len(first.answers()) != 1 {
		t.Errorf("the late answer: %v, %d answers", err, len(first.answers()))
	}
	// The second finds that another has.
	two := work(t, sdk, &protocol.GetWorkItemsRequest{})
	item := two.next()
	if item.GetOrchestratorRequest() == nil {
		t.Fatalf("the other worker got %v", item)
	}
	_, err = sdk.CompleteOrchestratorTask(ctx, &protocol.OrchestratorResponse{CompletionToken: tokens[false], Actions: []*protocol.OrchestratorAction{schedule(0, "old")}})
	wantCode(t, "the stale token", err, codes.OK)
	if len(second.answers()) != 0 {
		t.Error("the stale answer was taken")
	}
	_, err = sdk.CompleteOrchestratorTask(ctx, &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken})
	if err != nil || len(second.answers()) != 1 {
		t.Errorf("the new answer: %v, %d answers", err, len(second.answers()))
	}
	if tokens, orphans, notes, _ := w.Remembered(); tokens+orphans+notes != 0 {
		t.Errorf("%d tokens, %d orphans and %d notes are left", tokens, orphans, notes)
	}
}

// TestLostWhileLanding has a worker that goes while the engine takes its answer, which then fails:
// the work comes to another, and the answer may be said again before.
func TestLostWhileLanding(t *testing.T) {
	for _, again := range []bool{true, false} {
		w := newWorkers(t, taskhub.WorkersOptions{})
		sdk := connectWorker(t, broken{}, w)
		one := work(t, sdk, &protocol.GetWorkItemsRequest{})
		call := offerCall(w, "a", 1)
		m := &protocol.ActivityResponse{CompletionToken: one.next().CompletionToken}
		call.mu.Lock() // the engine takes its time
		call.refuse = engine.ErrClosed
		answer := make(chan error)
		go func() {
			_, err := sdk.CompleteActivityTask(t.Context(), m)
			answer <- err
		}()
		until(t, func() bool { return w.Landing() == 1 })
		one.lose(w, 0)
		call.mu.Unlock()
		wantCode(t, "the answer", <-answer, codes.Unavailable)
		call.set(func() { call.refuse = nil })
		if again {
			if _, err := sdk.CompleteActivityTask(t.Context(), m); err != nil {
				t.Error(err)
			}
		} else if item := work(t, sdk, &protocol.GetWorkItemsRequest{}).next(); item.GetActivityRequest() == nil {
			t.Errorf("another worker got %v", item)
		}
		if n := len(call.answers()); (n == 1) != again {
			t.Errorf("there are %d answers", n)
		}
	}
}

// slowTurn is a turn whose beginning takes long.
type slowTurn struct {
	*fakeTurn
	entered, goOn chan struct{}
	once          sync.Once
}

func (s *slowTurn) Begin() (*engine.Turn, error) {
	s.once.Do(func() { close(s.entered) })
	<-s.goOn
	return s.fakeTurn.Begin()
}

func (s *slowTurn) Release(t *engine.Turn) bool { return s.release(s, t) }

// TestLostBeginning has a worker that goes while the engine makes its turn.
func TestLostBeginning(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	turn := &slowTurn{fakeTurn: offerTurn(w, "a", nil, started("a", "")), entered: make(chan struct{}), goOn: make(chan struct{})}
	w.Withdraw(turn.fakeTurn)
	w.Offer(turn)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		_ = w.Stream(ctx, &protocol.GetWorkItemsRequest{}, func(*protocol.WorkItem) error { return ctx.Err() })
	})
	<-turn.entered
	cancel()
	close(turn.goOn)
	group.Wait()
	if item := <-items(t, w, &protocol.GetWorkItemsRequest{}); item.GetOrchestratorRequest().GetInstanceId() != "o-a" {
		t.Errorf("another worker got %v", item)
	}
}

// TestSlowReader has a worker that does not read: what it was not given goes to another.
func TestSlowReader(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	stuck := make(chan struct{})
	var group sync.WaitGroup
	entered := make(chan struct{})
	group.Go(func() {
		n := 0
		_ = w.Stream(t.Context(), &protocol.GetWorkItemsRequest{}, func(*protocol.WorkItem) error {
			if n++; n == 2 {
				close(entered)
				<-stuck
				return io.ErrClosedPipe
			}
			return nil
		})
	})
	blocked := offerCall(w, "a", 0)
	<-entered
	two := work(t, connectWorker(t, broken{}, w), &protocol.GetWorkItemsRequest{})
	for i := range int32(50) {
		offerCall(w, "a", i+1)
	}
	for range 50 {
		if two.next().GetActivityRequest().TaskId == 0 {
			t.Error("the item of the slow worker was given twice")
		}
	}
	close(stuck)
	group.Wait()
	if id := two.next().GetActivityRequest().TaskId; id != 0 || blocked.begun != 2 {
		t.Errorf("after the slow worker's end came %d", id)
	}
}

// TestDrain ends the workers' streams, gives out no more, and takes what they still answer.
func TestDrain(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, broken{}, w)
	one := work(t, sdk, &protocol.GetWorkItemsRequest{})
	call := offerCall(w, "a", 1)
	item := one.next()
	drained := make(chan struct{})
	go func() {
		w.Drain(t.Context())
		close(drained)
	}()
	if _, err := one.stream.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("the stream ended with %v", err)
	}
	stream, err := sdk.GetWorkItems(t.Context(), &protocol.GetWorkItemsRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantCode(t, "another stream", err, codes.Unavailable)
	call.set(func() {
		if !call.given {
			t.Error("the end of the stream has given the call back, for another stream that has not ended yet to begin it again")
		}
	})
	_, err = sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{CompletionToken: item.CompletionToken})
	if err != nil || len(call.answers()) != 1 {
		t.Errorf("an answer while draining: %v, %d answers", err, len(call.answers()))
	}
	<-drained // with that answer, and not before it: the test would not come here
	w.Close()
	w.Close()
	_, err = sdk.CompleteActivityTask(t.Context(), &protocol.ActivityResponse{CompletionToken: item.CompletionToken})
	wantCode(t, "an answer after Close", err, codes.Unavailable)
}

// TestCloseGivesBack releases what workers hold.
func TestCloseGivesBack(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	one := work(t, connectWorker(t, broken{}, w), &protocol.GetWorkItemsRequest{})
	call := offerCall(w, "a", 1)
	one.next()
	w.Close()
	call.set(func() {
		if call.given {
			t.Error("the call is still the worker's")
		}
	})
}
