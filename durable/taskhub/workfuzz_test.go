package taskhub_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// fuzzed gives workers that have one item in a worker's hand, and its token.
func fuzzed(t *testing.T, offer func(*taskhub.Workers)) (*taskhub.Workers, string) {
	w := newWorkers(t, taskhub.WorkersOptions{MaxResponse: 1 << 20})
	offer(w)
	tokens := make(chan string, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = w.Stream(ctx, &protocol.GetWorkItemsRequest{}, func(item *protocol.WorkItem) error {
			if item.GetHealthPing() != nil {
				return nil
			}
			select {
			case tokens <- item.CompletionToken:
				return nil
			default:
				return errors.New("one is enough")
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return w, <-tokens
}

// answered wants an answer to be taken, or refused for what is wrong with it; and nothing is left of
// it, unless it is one of several parts.
func answered(t *testing.T, w *taskhub.Workers, err error) {
	t.Helper()
	switch status.Code(err) {
	case codes.OK, codes.InvalidArgument:
	default:
		t.Errorf("the answer gives %v", err)
	}
	if tokens, _, _, partial := w.Remembered(); tokens > 2 || partial > 1<<20 {
		t.Errorf("%d tokens and %d bytes are left", tokens, partial)
	}
}

func seed(f *testing.F, list ...proto.Message) {
	f.Helper()
	for _, m := range list {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xff})
}

func FuzzCompleteOrchestrator(f *testing.F) {
	failure := &protocol.TaskFailureDetails{ErrorType: "A"}
	for range 200 {
		failure = &protocol.TaskFailureDetails{ErrorType: "B", InnerFailure: failure}
	}
	seed(f,
		&protocol.OrchestratorResponse{},
		&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{{}, schedule(1, "a"), schedule(-5, "\x00")}},
		&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{signal("@a@b"), lock("s", "@a@b", "@")}},
		&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{complete(1, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 3, FailureDetails: failure})}},
		&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{complete(1, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 2,
			CarryoverEvents: []*protocol.HistoryEvent{{EventType: &protocol.HistoryEvent_EventRaised{EventRaised: &protocol.EventRaisedEvent{Name: "e"}}}, {}}})}},
		&protocol.OrchestratorResponse{Actions: []*protocol.OrchestratorAction{{OrchestratorActionType: &protocol.OrchestratorAction_CreateTimer{
			CreateTimer: &protocol.CreateTimerAction{FireAt: &timestamppb.Timestamp{Seconds: -1 << 62, Nanos: -1}}}}}},
		partOf(0, true),
		partOf(-1, true),
		&protocol.OrchestratorResponse{RequiresHistory: true, NumEventsProcessed: wrapperspb.Int32(-7)},
	)
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &protocol.OrchestratorResponse{}
		if proto.Unmarshal(b, m) != nil {
			return // no message
		}
		var turn *fakeTurn
		w, token := fuzzed(t, func(w *taskhub.Workers) { turn = offerTurn(w, "a", nil, started("a", "")) })
		m.CompletionToken = token
		answered(t, w, w.CompleteTurn(t.Context(), m))
		answered(t, w, w.CompleteTurn(t.Context(), m))
		for _, done := range turn.answers() {
			last := int32(-1)
			for i, a := range done.Actions {
				end := a.Kind == history.ExecutionCompleted
				if a.ID < 0 || !end && a.ID <= last || end && i < len(done.Actions)-1 {
					t.Errorf("the actions are %s", kindsOf(done.Actions))
				}
				last = a.ID
				if _, err := history.ToProto(a); err != nil && a.Kind != history.ExecutionTerminated {
					t.Errorf("an action that cannot be sent again: %v", err)
				}
			}
		}
	})
}

func FuzzCompleteActivity(f *testing.F) {
	seed(f, &protocol.ActivityResponse{}, &protocol.ActivityResponse{Result: wrapperspb.String("x")},
		&protocol.ActivityResponse{InstanceId: "o", TaskId: -1, FailureDetails: &protocol.TaskFailureDetails{}})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &protocol.ActivityResponse{}
		if proto.Unmarshal(b, m) != nil {
			return // no message
		}
		w, token := fuzzed(t, func(w *taskhub.Workers) { offerCall(w, "a", 1) })
		m.CompletionToken = token
		answered(t, w, w.CompleteCall(t.Context(), m))
		answered(t, w, w.CompleteCall(t.Context(), m))
	})
}

func FuzzCompleteEntity(f *testing.F) {
	seed(f, &protocol.EntityBatchResult{}, results(nil, "x", 1), results(nil, "", 3),
		&protocol.EntityBatchResult{FailureDetails: &protocol.TaskFailureDetails{}, RequiresState: true},
		&protocol.EntityBatchResult{Results: []*protocol.OperationResult{{}}, Actions: []*protocol.OperationAction{{}}})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &protocol.EntityBatchResult{}
		if proto.Unmarshal(b, m) != nil {
			return // no message
		}
		var batch *fakeBatch
		w, token := fuzzed(t, func(w *taskhub.Workers) { batch = offerBatch(w, nil, operation("a", "1"), operation("b", "2")) })
		m.CompletionToken = token
		answered(t, w, w.CompleteBatch(t.Context(), m))
		answered(t, w, w.CompleteBatch(t.Context(), m))
		for _, done := range batch.answers() {
			if n := len(done.Results); n < 1 || n > len(done.Ops) {
				t.Errorf("%d results of %d operations", n, len(done.Ops))
			}
		}
	})
}
