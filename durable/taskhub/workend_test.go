package taskhub_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// hubOfWorkers is an engine that has no definitions, with all its work for workers.
func hubOfWorkers(t testing.TB) (*engine.Engine, *taskhub.Workers, protocol.TaskHubSidecarServiceClient) {
	t.Helper()
	w := newWorkers(t, taskhub.WorkersOptions{})
	e, err := engine.Open(context.Background(), memory.New(), engine.Definitions{}, engine.Options{Logger: slog.New(slog.DiscardHandler), Workers: w})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e, w, connectWorker(t, e, w)
}

// program is what a worker runs. An orchestration is a function from all the events so far to all
// the actions so far: what the history has already is left out of the answer.
type program struct {
	orchestrations map[string]func(seen) []*protocol.OrchestratorAction
	activities     map[string]func(input string) (string, error)
}

// seen is the history of an execution, with the events of the turn.
type seen []*protocol.HistoryEvent

func (s seen) input() string {
	for _, ev := range s {
		if x := ev.GetExecutionStarted(); x != nil {
			return x.GetInput().GetValue()
		}
	}
	return ""
}

// raised gives what was sent as an event.
func (s seen) raised(name string) (data []string) {
	for _, ev := range s {
		if x := ev.GetEventRaised(); x.GetName() == name {
			data = append(data, x.GetInput().GetValue())
		}
	}
	return data
}

// answer gives what an action of some number came to; false before.
func (s seen) answer(id int32) (string, bool) {
	for _, ev := range s {
		switch {
		case ev.GetTaskCompleted() != nil && ev.GetTaskCompleted().TaskScheduledId == id:
			return ev.GetTaskCompleted().GetResult().GetValue(), true
		case ev.GetTaskFailed() != nil && ev.GetTaskFailed().TaskScheduledId == id:
			return "failed: " + ev.GetTaskFailed().GetFailureDetails().GetErrorMessage(), true
		case ev.GetTimerFired() != nil && ev.GetTimerFired().TimerId == id:
			return "", true
		case ev.GetSubOrchestrationInstanceCompleted() != nil && ev.GetSubOrchestrationInstanceCompleted().TaskScheduledId == id:
			return ev.GetSubOrchestrationInstanceCompleted().GetResult().GetValue(), true
		case ev.GetSubOrchestrationInstanceFailed() != nil && ev.GetSubOrchestrationInstanceFailed().TaskScheduledId == id:
			return "failed: " + ev.GetSubOrchestrationInstanceFailed().GetFailureDetails().GetErrorMessage(), true
		}
	}
	return "", false
}

// request gives what a request to an entity came to.
func (s seen) request(id string) (string, bool) {
	for _, ev := range s {
		switch {
		case ev.GetEntityOperationCompleted() != nil && ev.GetEntityOperationCompleted().RequestId == id:
			return ev.GetEntityOperationCompleted().GetOutput().GetValue(), true
		case ev.GetEntityLockGranted() != nil && ev.GetEntityLockGranted().CriticalSectionId == id:
			return "", true
		}
	}
	return "", false
}

// run runs the program on a connection until the test ends.
func (p program) run(t *testing.T, sdk protocol.TaskHubSidecarServiceClient, m *protocol.GetWorkItemsRequest) *worker {
	t.Helper()
	one := work(t, sdk, m)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			item, err := one.stream.Recv()
			if err != nil {
				return
			}
			group.Go(func() {
				if err := p.do(sdk, item); err != nil && t.Context().Err() == nil {
					t.Error(err)
				}
			})
		}
	})
	t.Cleanup(func() {
		one.cancel()
		group.Wait()
	})
	return one
}

func (p program) do(sdk protocol.TaskHubSidecarServiceClient, item *protocol.WorkItem) error {
	ctx := context.Background()
	if r := item.GetOrchestratorRequest(); r != nil {
		all := append(seen(r.PastEvents), r.NewEvents...)
		name, last := "", int32(-1)
		for _, ev := range all {
			name += ev.GetExecutionStarted().GetName()
		}
		for _, ev := range r.PastEvents {
			last = max(last, ev.EventId)
		}
		answer := &protocol.OrchestratorResponse{InstanceId: r.InstanceId, CompletionToken: item.CompletionToken}
		if slices.ContainsFunc(r.NewEvents, func(ev *protocol.HistoryEvent) bool { return ev.GetExecutionTerminated() != nil }) {
			answer.Actions = []*protocol.OrchestratorAction{complete(last+1, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 5})}
		} else {
			for _, a := range p.orchestrations[name](all) {
				if a.Id > last {
					answer.Actions = append(answer.Actions, a)
				}
			}
		}
		_, err := sdk.CompleteOrchestratorTask(ctx, answer)
		return err
	}
	if r := item.GetActivityRequest(); r != nil {
		answer := &protocol.ActivityResponse{CompletionToken: item.CompletionToken, InstanceId: r.OrchestrationInstance.InstanceId, TaskId: r.TaskId}
		result, err := p.activities[r.Name](r.GetInput().GetValue())
		if answer.Result = wrapperspb.String(result); err != nil {
			answer.FailureDetails = &protocol.TaskFailureDetails{ErrorType: "E", ErrorMessage: err.Error()}
		}
		_, err = sdk.CompleteActivityTask(ctx, answer)
		return err
	}
	if r := item.GetEntityRequestV2(); r != nil { // each is a number, to which every operation adds
		sum, _ := strconv.Atoi(r.GetEntityState().GetValue())
		answer := &protocol.EntityBatchResult{CompletionToken: item.CompletionToken}
		for _, op := range r.OperationRequests {
			n, _ := strconv.Atoi(op.GetEntityOperationCalled().GetInput().GetValue() + op.GetEntityOperationSignaled().GetInput().GetValue())
			sum += n
			answer.Results = append(answer.Results, &protocol.OperationResult{ResultType: &protocol.OperationResult_Success{
				Success: &protocol.OperationResultSuccess{Result: wrapperspb.String(strconv.Itoa(sum))}}})
		}
		answer.EntityState = wrapperspb.String(strconv.Itoa(sum))
		_, err := sdk.CompleteEntityTask(ctx, answer)
		return err
	}
	return nil
}

func end(id int32, result string) *protocol.OrchestratorAction {
	return complete(id, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 1, Result: wrapperspb.String(result)})
}

func timer(id int32, s seen) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_CreateTimer{
		CreateTimer: &protocol.CreateTimerAction{FireAt: timestamppb.New(s[len(s)-1].GetTimestamp().AsTime().Add(time.Millisecond))}}}
}

func child(id int32, name, instance string) *protocol.OrchestratorAction {
	return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_CreateSubOrchestration{
		CreateSubOrchestration: &protocol.CreateSubOrchestrationAction{Name: name, InstanceId: instance, Input: wrapperspb.String("from the parent")}}}
}

func start(t *testing.T, sdk protocol.TaskHubSidecarServiceClient, id, name, input string) {
	t.Helper()
	if _, err := sdk.StartInstance(t.Context(), &protocol.CreateInstanceRequest{InstanceId: id, Name: name, Input: wrapperspb.String(input)}); err != nil {
		t.Fatal(err)
	}
}

// result waits for an instance's end.
func result(t *testing.T, sdk protocol.TaskHubSidecarServiceClient, id string) string {
	t.Helper()
	r, err := sdk.WaitForInstanceCompletion(t.Context(), &protocol.GetInstanceRequest{InstanceId: id, GetInputsAndOutputs: true})
	if err != nil {
		t.Fatal(err)
	}
	s := r.GetOrchestrationState()
	name := strings.TrimPrefix(s.GetOrchestrationStatus().String(), "ORCHESTRATION_STATUS_")
	return strings.TrimSpace(name + " " + s.GetOutput().GetValue() + s.GetFailureDetails().GetErrorMessage())
}

// chain is an activity, a timer and a child, one after the other.
func chain(s seen) []*protocol.OrchestratorAction {
	actions := []*protocol.OrchestratorAction{schedule(1, "hello")}
	first, ok := s.answer(1)
	if !ok {
		return actions
	}
	actions = append(actions, timer(2, s))
	if _, ok := s.answer(2); !ok {
		return actions
	}
	actions = append(actions, child(3, "child", ""))
	second, ok := s.answer(3)
	if !ok {
		return actions
	}
	return append(actions, end(4, first+", "+second))
}

var programs = program{
	orchestrations: map[string]func(seen) []*protocol.OrchestratorAction{
		"chain": chain,
		"child": func(s seen) []*protocol.OrchestratorAction {
			return []*protocol.OrchestratorAction{end(1, "child "+s.input())}
		},
		"fan": func(s seen) (actions []*protocol.OrchestratorAction) {
			all := ""
			done := 0
			for i := range int32(20) {
				actions = append(actions, schedule(i, []string{"hello", "fail"}[i%2]))
				if answer, ok := s.answer(i); ok {
					done, all = done+1, all+answer[:1]
				}
			}
			if done == 20 {
				actions = append(actions, end(20, all))
			}
			return actions
		},
		"again": func(s seen) []*protocol.OrchestratorAction {
			got := s.raised("e")
			if len(got) == 0 {
				return nil
			}
			sum := s.input() + got[0]
			if got[0] == "end" {
				return []*protocol.OrchestratorAction{end(1, sum)}
			}
			next := &protocol.CompleteOrchestrationAction{OrchestrationStatus: 2, Result: wrapperspb.String(sum), NewVersion: wrapperspb.String("2")}
			for _, ev := range s {
				if x := ev.GetEventRaised(); x != nil && x.GetInput().GetValue() != got[0] {
					next.CarryoverEvents = append(next.CarryoverEvents, ev)
				}
			}
			return []*protocol.OrchestratorAction{complete(1, next)}
		},
		"locker": func(s seen) []*protocol.OrchestratorAction {
			const section, first, second = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002", "00000000-0000-4000-8000-000000000003"
			actions := []*protocol.OrchestratorAction{lock(section, "@sum@a", "@sum@b")}
			if _, ok := s.request(section); !ok {
				return actions
			}
			call := func(id int32, request, target string) *protocol.OrchestratorAction {
				return &protocol.OrchestratorAction{Id: id, OrchestratorActionType: &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: &protocol.SendEntityMessageAction{
					EntityMessageType: &protocol.SendEntityMessageAction_EntityOperationCalled{EntityOperationCalled: &protocol.EntityOperationCalledEvent{
						RequestId: request, Operation: "add", Input: wrapperspb.String(s.input()), TargetInstanceId: wrapperspb.String(target)}}}}}
			}
			actions = append(actions, call(2, first, "@sum@a"))
			a, ok := s.request(first)
			if !ok {
				return actions
			}
			actions = append(actions, call(3, second, "@sum@b"))
			b, ok := s.request(second)
			if !ok {
				return actions
			}
			for i, target := range []string{"@sum@a", "@sum@b"} {
				actions = append(actions, &protocol.OrchestratorAction{Id: int32(4 + i), OrchestratorActionType: &protocol.OrchestratorAction_SendEntityMessage{SendEntityMessage: &protocol.SendEntityMessageAction{
					EntityMessageType: &protocol.SendEntityMessageAction_EntityUnlockSent{EntityUnlockSent: &protocol.EntityUnlockSentEvent{CriticalSectionId: section, TargetInstanceId: wrapperspb.String(target)}}}}})
			}
			if a != b { // nobody came between
				return append(actions, complete(6, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 3, FailureDetails: &protocol.TaskFailureDetails{ErrorMessage: a + " is not " + b}}))
			}
			return append(actions, end(6, "equal"))
		},
		"parent": func(s seen) []*protocol.OrchestratorAction {
			actions := []*protocol.OrchestratorAction{child(1, "waits", "kid")}
			if got := s.raised("stop"); len(got) > 0 {
				actions = append(actions, &protocol.OrchestratorAction{Id: 2, OrchestratorActionType: &protocol.OrchestratorAction_TerminateOrchestration{
					TerminateOrchestration: &protocol.TerminateOrchestrationAction{InstanceId: "kid", Reason: wrapperspb.String("enough")}}},
					&protocol.OrchestratorAction{Id: 3, OrchestratorActionType: &protocol.OrchestratorAction_SendEvent{SendEvent: &protocol.SendEventAction{
						Instance: &protocol.OrchestrationInstance{InstanceId: "other"}, Name: "e", Data: wrapperspb.String("end")}}})
			}
			if answer, ok := s.answer(1); ok {
				actions = append(actions, end(4, answer))
			}
			return actions
		},
		"waits": func(seen) []*protocol.OrchestratorAction { return nil },
	},
	activities: map[string]func(string) (string, error){
		"hello": func(string) (string, error) { return "hello", nil },
		"fail":  func(string) (string, error) { return "", fmt.Errorf("no") },
	},
}

// TestChain has the exact history of an activity, a timer and a child.
func TestChain(t *testing.T) {
	_, _, sdk := hubOfWorkers(t)
	programs.run(t, sdk, &protocol.GetWorkItemsRequest{})
	start(t, sdk, "c", "chain", "x")
	if got := result(t, sdk, "c"); got != "COMPLETED hello, child from the parent" {
		t.Errorf("it ended as %s", got)
	}
	stream, err := sdk.StreamInstanceHistory(t.Context(), &protocol.StreamInstanceHistoryRequest{InstanceId: "c"})
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for chunk, err := stream.Recv(); err == nil; chunk, err = stream.Recv() {
		for _, m := range chunk.GetEvents() {
			ev, err := history.FromProto(m)
			if err != nil || ev.Time.IsZero() {
				t.Fatal(m, err)
			}
			got += fmt.Sprintf("%s %d\n", ev.Kind, ev.ID)
		}
	}
	const want = `OrchestratorStarted -1
ExecutionStarted -1
TaskScheduled 1
OrchestratorStarted -1
TaskCompleted -1
TimerCreated 2
OrchestratorStarted -1
TimerFired -1
SubOrchestrationInstanceCreated 3
OrchestratorStarted -1
SubOrchestrationInstanceCompleted -1
ExecutionCompleted 4
`
	if got != want {
		t.Errorf("the history is\n%s, want\n%s", got, want)
	}
}

// TestPrograms runs orchestrations of each sort on two workers, each of which does a part.
func TestPrograms(t *testing.T) {
	e, w, sdk := hubOfWorkers(t)
	ctx := t.Context()
	programs.run(t, sdk, &protocol.GetWorkItemsRequest{MaxConcurrentActivityWorkItems: 3, WorkItemFilters: &protocol.WorkItemFilters{
		Activities: []*protocol.ActivityFilter{{Name: "hello"}, {Name: "fail"}}, Entities: []*protocol.EntityFilter{{Name: "Sum"}}}})
	filters := &protocol.WorkItemFilters{}
	for name := range programs.orchestrations {
		filters.Orchestrations = append(filters.Orchestrations, &protocol.OrchestrationFilter{Name: name})
	}
	programs.run(t, sdk, &protocol.GetWorkItemsRequest{WorkItemFilters: filters})

	start(t, sdk, "fan", "fan", "")
	for i := range 10 {
		start(t, sdk, "lock"+strconv.Itoa(i), "locker", strconv.Itoa(i))
	}
	start(t, sdk, "again", "again", "")
	first, err := e.Get(ctx, "again", false)
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{"a", "b", "c", "end"} {
		if _, err := sdk.RaiseEvent(ctx, &protocol.RaiseEventRequest{InstanceId: "again", Name: "e", Input: wrapperspb.String(data)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := result(t, sdk, "fan"); got != "COMPLETED "+strings.Repeat("hf", 10) {
		t.Errorf("the fan-out ended as %s", got)
	}
	for i := range 10 {
		if got := result(t, sdk, "lock"+strconv.Itoa(i)); got != "COMPLETED equal" {
			t.Errorf("locker %d ended as %s", i, got)
		}
	}
	if got := result(t, sdk, "again"); got != "COMPLETED abcend" {
		t.Errorf("what continued as new ended as %s", got)
	}
	if last, err := e.Get(ctx, "again", false); err != nil || last.Execution == first.Execution || last.Version != "2" {
		t.Errorf("it is %+v, %v", last, err)
	}
	start(t, sdk, "other", "again", "")
	start(t, sdk, "parent", "parent", "")
	if _, err := sdk.RaiseEvent(ctx, &protocol.RaiseEventRequest{InstanceId: "parent", Name: "stop"}); err != nil {
		t.Fatal(err)
	}
	if got := result(t, sdk, "parent"); !strings.HasPrefix(got, "COMPLETED failed: ") {
		t.Errorf("the parent ended as %s", got)
	}
	if got := result(t, sdk, "kid"); got != "TERMINATED enough" {
		t.Errorf("the child ended as %s", got)
	}
	if got := result(t, sdk, "other"); got != "COMPLETED end" {
		t.Errorf("the other ended as %s", got)
	}
	until(t, func() bool {
		tokens, orphans, notes, partial := w.Remembered()
		return tokens+orphans+notes+partial == 0
	})
}

// TestLostWorkers runs many chains while workers come and go.
func TestLostWorkers(t *testing.T) {
	_, w, sdk := hubOfWorkers(t)
	const chains = 50
	for i := range chains {
		start(t, sdk, strconv.Itoa(i), "chain", "")
	}
	for range 10 {
		lost := work(t, sdk, &protocol.GetWorkItemsRequest{MaxConcurrentOrchestrationWorkItems: 5, MaxConcurrentActivityWorkItems: 5})
		for range 3 {
			item := lost.next() // one is answered, the others are taken to the grave
			if err := programs.do(sdk, item); err != nil {
				t.Fatal(err)
			}
		}
		lost.lose(w, 0)
	}
	programs.run(t, sdk, &protocol.GetWorkItemsRequest{})
	for i := range chains {
		if got := result(t, sdk, strconv.Itoa(i)); got != "COMPLETED hello, child from the parent" {
			t.Errorf("chain %d ended as %s", i, got)
		}
	}
}

// TestLostInVain has a worker lose what was over before: nothing is remembered of it.
func TestLostInVain(t *testing.T) {
	_, w, sdk := hubOfWorkers(t)
	lost := work(t, sdk, &protocol.GetWorkItemsRequest{})
	start(t, sdk, "i", "waits", "")
	lost.next()
	if _, err := sdk.TerminateInstance(t.Context(), &protocol.TerminateRequest{InstanceId: "i"}); err != nil {
		t.Fatal(err)
	}
	lost.lose(w, 0)
	until(t, func() bool {
		tokens, orphans, _, _ := w.Remembered()
		return tokens+orphans == 0
	})
}

// TestSkipGraceful ends instances at once, and tells which it could not.
func TestSkipGraceful(t *testing.T) {
	_, _, sdk := hubOfWorkers(t)
	ctx := t.Context()
	run := programs.run(t, sdk, &protocol.GetWorkItemsRequest{})
	start(t, sdk, "done", "child", "")
	result(t, sdk, "done")
	start(t, sdk, "parent", "parent", "")
	for { // until its child is there
		if r, err := sdk.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: "kid"}); err != nil || r.GetExists() {
			break
		}
	}
	run.cancel()
	r, err := sdk.SkipGracefulOrchestrationTerminations(ctx, &protocol.SkipGracefulOrchestrationTerminationsRequest{
		InstanceBatch: &protocol.InstanceBatch{InstanceIds: []string{"done", "parent", "missing", "@sum@a", ""}}, Reason: wrapperspb.String("why")})
	if err != nil || strings.Join(r.GetUnterminatedInstanceIds(), ",") != "done,missing,@sum@a," {
		t.Errorf("it could not end %v, %v", r.GetUnterminatedInstanceIds(), err)
	}
	if got := result(t, sdk, "parent"); got != "TERMINATED why" {
		t.Errorf("it ended as %s", got)
	}
	if k, err := sdk.GetInstance(ctx, &protocol.GetInstanceRequest{InstanceId: "kid"}); err != nil || k.GetOrchestrationState().GetCompletedTimestamp() != nil {
		t.Errorf("its child is %v, %v", k, err)
	}
	_, err = sdk.SkipGracefulOrchestrationTerminations(ctx, &protocol.SkipGracefulOrchestrationTerminationsRequest{InstanceBatch: &protocol.InstanceBatch{InstanceIds: make([]string, 501)}})
	wantCode(t, "501 instances", err, codes.InvalidArgument)
}
