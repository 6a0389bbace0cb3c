package taskhub_test

import (
	"context"
	"errors"
	"iter"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// long is a history of n events of 100 KiB each, and one that no worker gets.
func long(n int) []*history.Event {
	list := []*history.Event{{Kind: history.GenericEvent, ID: 0, Time: clock}}
	for i := range n {
		list = append(list, &history.Event{Kind: history.TaskScheduled, ID: int32(i + 1), Time: clock, Name: "a", Data: history.Payload(strings.Repeat("x", 100<<10))})
	}
	return list
}

// recorded is a hub that has one history.
type recorded struct {
	taskhub.Hub
	list []*history.Event
}

func (r recorded) History(context.Context, string, string) iter.Seq2[*history.Event, error] {
	return eventSeq(r.list)
}

// TestLongHistory sends a history in the message, lets the worker fetch it, or fails the turn.
func TestLongHistory(t *testing.T) {
	fetches := []protocol.WorkerCapability{protocol.WorkerCapability_WORKER_CAPABILITY_HISTORY_STREAMING}
	for _, c := range []struct {
		name         string
		events       int
		capabilities []protocol.WorkerCapability
		past         int // in the message; -1: it is to be fetched; -2: the turn fails
	}{
		{"inline", 5, nil, 5},
		{"inline though it could be fetched", 5, fetches, 5},
		{"large", 20, nil, 20},
		{"large, fetched", 20, fetches, -1},
		{"too large", 50, nil, -2},
		{"too large, fetched", 50, fetches, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			past := long(c.events)
			w := newWorkers(t, taskhub.WorkersOptions{})
			// The history has grown since, as after a turn of another worker.
			sdk := connectWorker(t, recorded{list: append(past[:len(past):len(past)], long(1)...)}, w)
			one := work(t, sdk, &protocol.GetWorkItemsRequest{Capabilities: c.capabilities})
			turn := offerTurn(w, "a", past, started("a", ""))
			if c.past == -2 {
				until(t, func() bool { return len(turn.answers()) == 1 })
				ev := turn.answers()[0].Actions[0]
				if ev.Status != history.Failed || ev.ID != int32(c.events+1) || !strings.Contains(ev.Failure.Message, "continue as new") {
					t.Errorf("the turn was completed with %+v, %v", ev, ev.Failure)
				}
				if n := w.Stats().Streams[0].InFlight.Orchestrations; n != 0 {
					t.Errorf("the worker has %d turns", n)
				}
				return
			}
			item := one.next()
			r := item.GetOrchestratorRequest()
			if r.GetRequiresHistoryStreaming() != (c.past < 0) || len(r.GetPastEvents()) != max(c.past, 0) {
				t.Fatalf("the request has %d past events, streaming %v", len(r.GetPastEvents()), r.GetRequiresHistoryStreaming())
			}
			if c.past >= 0 {
				return
			}
			stream, err := sdk.StreamInstanceHistory(t.Context(), &protocol.StreamInstanceHistoryRequest{InstanceId: "o-a", ExecutionId: wrapperspb.String("e1"), ForWorkItemProcessing: true})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for chunk, err := stream.Recv(); err == nil; chunk, err = stream.Recv() {
				n += len(chunk.GetEvents())
			}
			if n != c.events {
				t.Errorf("the worker fetched %d events, want %d", n, c.events)
			}
			// One that wants it in the message gets it, where that is possible.
			if _, err := sdk.CompleteOrchestratorTask(t.Context(), &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken, RequiresHistory: true}); err != nil {
				t.Fatal(err)
			}
			r = one.next().GetOrchestratorRequest()
			if small := c.events == 20; r.GetRequiresHistoryStreaming() == small || len(r.GetPastEvents()) > 0 != small {
				t.Errorf("then the request has %d past events, streaming %v", len(r.GetPastEvents()), r.GetRequiresHistoryStreaming())
			}
		})
	}
}

// TestUnsendable has work that no message can carry, which fails instead of coming again for ever.
func TestUnsendable(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	one := work(t, connectWorker(t, broken{}, w), &protocol.GetWorkItemsRequest{})
	huge := strings.Repeat("x", 5<<20)

	big, bad := offerTurn(w, "big", nil, started("big", huge)), offerTurn(w, "bad", nil, started("bad", "\xff"))
	for _, turn := range []*fakeTurn{big, bad} {
		until(t, func() bool { return len(turn.answers()) == 1 })
		if ev := turn.answers()[0].Actions[0]; ev.Kind != history.ExecutionCompleted || ev.ID != 0 || ev.Failure.Type != "WorkItemNotSendable" || !ev.Failure.NonRetriable {
			t.Errorf("the turn was completed with %+v, %v", ev, ev.Failure)
		}
	}
	for _, input := range []string{huge, "\xff"} {
		call := &fakeCall{fakeWork: fakeWork[engine.Call]{workers: w, make: func() *engine.Call { return &engine.Call{Name: "a", Input: history.Payload(input)} }}}
		w.Offer(call)
		until(t, func() bool { return len(call.answers()) == 1 })
		until(t, func() (failed bool) {
			call.set(func() { failed = call.outcome.Failure != nil })
			return failed
		})
	}
	// Of a batch what fits goes out, and what cannot be sent fails alone.
	batch := offerBatch(w, nil, operation("a", "1"), operation("b", huge))
	batch.again = func(b *engine.EntityBatch) bool {
		batch.make = func() *engine.EntityBatch {
			return &engine.EntityBatch{ID: "@counter@k", State: b.State, Ops: b.Ops[len(b.Results):]}
		}
		return len(b.Ops) > len(b.Results)
	}
	item := one.next()
	if n := len(item.GetEntityRequestV2().GetOperationRequests()); n != 1 {
		t.Fatalf("the message has %d operations", n)
	}
	if err := w.CompleteBatch(t.Context(), results(item, "s", 1)); err != nil {
		t.Fatal(err)
	}
	until(t, func() bool { return len(batch.answers()) == 2 })
	if b := batch.answers()[1]; len(b.Results) != 1 || b.Results[0].Failure == nil || string(b.State) != "s" {
		t.Errorf("the large operation: %+v", b)
	}
}

// results answers n operations.
func results(item *protocol.WorkItem, state string, n int) *protocol.EntityBatchResult {
	m := &protocol.EntityBatchResult{CompletionToken: item.GetCompletionToken(), EntityState: wrapperspb.String(state)}
	for range n {
		m.Results = append(m.Results, &protocol.OperationResult{ResultType: &protocol.OperationResult_Success{Success: &protocol.OperationResultSuccess{}}})
	}
	return m
}

// TestPasts sends the same past whether it is kept from the turns before or read again, and reads
// it once only where it is kept.
func TestPasts(t *testing.T) {
	for name, o := range map[string]struct {
		pasts int
		reads int64
	}{"kept": {0, 0}, "read": {1, 3}} {
		t.Run(name, func(t *testing.T) {
			w := newWorkers(t, taskhub.WorkersOptions{Pasts: o.pasts})
			got := items(t, w, &protocol.GetWorkItemsRequest{})
			turn := offerTurn(w, "a", nil, started("a", "x"))
			var past []*history.Event
			var reads atomic.Int64
			turn.again = func(t *engine.Turn) bool {
				for _, a := range t.Actions {
					a.Time = clock // as the engine does
				}
				past = append(append(past, t.New...), t.Actions...)
				now := past[:len(past):len(past)]
				turn.make = func() *engine.Turn {
					return &engine.Turn{Name: "a", Instance: t.Instance, PastEvents: int64(len(now)),
						New: []*history.Event{{Kind: history.OrchestratorStarted, ID: -1, Time: clock}, {Kind: history.EventRaised, ID: -1, Time: clock, Name: "e"},
							{Kind: history.OrchestratorCompleted, ID: -1, Time: clock}},
						Past: func(yield func(*history.Event, error) bool) {
							reads.Add(1)
							eventSeq(now)(yield)
						}}
				}
				return true
			}
			for i := range int32(4) {
				item := <-got
				b, err := proto.Marshal(item)
				if err != nil {
					t.Fatal(err)
				}
				read := &protocol.WorkItem{}
				if err := proto.Unmarshal(b, read); err != nil {
					t.Fatal(err)
				}
				var want []*protocol.HistoryEvent
				for _, ev := range past {
					if ev.Kind == history.OrchestratorCompleted {
						continue // some SDKs refuse it
					}
					m, err := history.ToProto(ev)
					if err != nil {
						t.Fatal(err)
					}
					want = append(want, m)
				}
				if diff := cmp.Diff(want, read.GetOrchestratorRequest().GetPastEvents(), protocmp.Transform()); diff != "" || len(want) != int(i)*3 {
					t.Errorf("turn %d, of %d past events (-want +got):\n%s", i, len(past), diff)
				}
				if n := reads.Load(); i == 3 && n != o.reads { // once it is answered, the next turn may be read
					t.Errorf("the history was read %d times, want %d", n, o.reads)
				}
				if err := w.CompleteTurn(t.Context(), &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken, Actions: []*protocol.OrchestratorAction{schedule(i, "act")}}); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestUnreadablePast gives a turn out again whose history could not be read.
func TestUnreadablePast(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	got := items(t, w, &protocol.GetWorkItemsRequest{})
	tries := 0
	offerTurnOf(w, "a", func() *engine.Turn {
		return &engine.Turn{PastEvents: 1, New: started("a", ""), Past: func(yield func(*history.Event, error) bool) {
			if tries++; tries == 1 {
				yield(nil, errors.New("disk I/O error"))
			} else {
				yield(started("a", "")[0], nil)
			}
		}}
	})
	if item := <-got; len(item.GetOrchestratorRequest().GetNewEvents()) != 2 || tries != 2 {
		t.Errorf("after %d tries came %v", tries, item)
	}
}

// TestTraceContext gives each later turn of an execution the span that the first has made.
func TestTraceContext(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	got := items(t, w, &protocol.GetWorkItemsRequest{})
	turn := offerTurn(w, "a", nil, started("a", ""))
	turn.again = func(t *engine.Turn) bool { return len(t.Actions) == 0 }
	for i, c := range []struct {
		sent    string
		want    string
		actions []*protocol.OrchestratorAction
	}{{sent: "s1"}, {want: "s1"}, {want: "s1", sent: "s2"}, {want: "s2", sent: strings.Repeat("x", 2000)}, {want: "s2", actions: []*protocol.OrchestratorAction{complete(0, &protocol.CompleteOrchestrationAction{OrchestrationStatus: 1})}}} {
		item := <-got
		if s := item.GetOrchestratorRequest().GetOrchestrationTraceContext().GetSpanID().GetValue(); s != c.want {
			t.Errorf("turn %d has the span %.10q, want %q", i, s, c.want)
		}
		m := &protocol.OrchestratorResponse{CompletionToken: item.CompletionToken, Actions: c.actions}
		if c.sent != "" {
			m.OrchestrationTraceContext = &protocol.OrchestrationTraceContext{SpanID: wrapperspb.String(c.sent)}
		}
		if err := w.CompleteTurn(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	offerTurn(w, "a", nil, started("a", ""))
	if c := (<-got).GetOrchestratorRequest().GetOrchestrationTraceContext(); c != nil {
		t.Errorf("after its end an execution has the span %v", c)
	}
}

// TestFailedBatch tries a batch again that failed as a whole, and then fails its calls.
func TestFailedBatch(t *testing.T) {
	w := newWorkers(t, taskhub.WorkersOptions{})
	got := items(t, w, &protocol.GetWorkItemsRequest{})
	batch := offerBatch(w, history.Payload("5"), operation("a", "1"), operation("b", "2"))
	for i := range 4 {
		if len(batch.answers()) > 0 {
			t.Fatalf("the batch was completed after %d tries", i)
		}
		item := <-got
		if s := item.GetEntityRequestV2().GetEntityState().GetValue(); s != "5" {
			t.Errorf("try %d has the state %q", i, s)
		}
		err := w.CompleteBatch(t.Context(), &protocol.EntityBatchResult{CompletionToken: item.CompletionToken, FailureDetails: &protocol.TaskFailureDetails{ErrorType: "E"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	done := batch.answers()
	if len(done) != 1 || string(done[0].State) != "5" || len(done[0].Results) != 2 || done[0].Results[1].Failure.Type != "E" {
		t.Errorf("the batch was completed as %+v", done)
	}
}

// TestBadBatches refuses answers that no SDK sends.
func TestBadBatches(t *testing.T) {
	ok := []*protocol.OperationResult{{ResultType: &protocol.OperationResult_Success{}}}
	send := func(id string) []*protocol.OperationAction {
		return []*protocol.OperationAction{{OperationActionType: &protocol.OperationAction_SendSignal{SendSignal: &protocol.SendSignalAction{InstanceId: id}}}}
	}
	start := func(name, id string) []*protocol.OperationAction {
		return []*protocol.OperationAction{{OperationActionType: &protocol.OperationAction_StartNewOrchestration{StartNewOrchestration: &protocol.StartNewOrchestrationAction{Name: name, InstanceId: id}}}}
	}
	for text, m := range map[string]*protocol.EntityBatchResult{
		"0 results":         {},
		"2 results":         {Results: append(ok, ok...)},
		"neither a success": {Results: []*protocol.OperationResult{{}}},
		"no kind":           {Results: ok, Actions: []*protocol.OperationAction{{}}},
		"not an entity id":  {Results: ok, Actions: send("x")},
		"has no name":       {Results: ok, Actions: start("", "")},
		"begins with @":     {Results: ok, Actions: start("a", "@a@b")},
		"has a length":      {Results: ok, Actions: start("a", strings.Repeat("x", 101))},
	} {
		t.Run(text, func(t *testing.T) {
			w := newWorkers(t, taskhub.WorkersOptions{})
			got := items(t, w, &protocol.GetWorkItemsRequest{})
			batch := offerBatch(w, history.Payload("5"), operation("a", "1"))
			m.CompletionToken = (<-got).CompletionToken
			err := w.CompleteBatch(t.Context(), m)
			if wantCode(t, "the answer", err, codes.InvalidArgument); err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("it says %v", err)
			}
			item := <-got
			if s := item.GetEntityRequestV2().GetEntityState().GetValue(); s != "5" || len(batch.answers()) > 0 {
				t.Errorf("then the state is %q, with %d answers", s, len(batch.answers()))
			}
			// Without a state the entity is deleted; a failure without details is one.
			m = &protocol.EntityBatchResult{CompletionToken: item.CompletionToken, Results: []*protocol.OperationResult{{ResultType: &protocol.OperationResult_Failure{}}}}
			if err := w.CompleteBatch(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if b := batch.answers()[0]; b.State != nil || b.Results[0].Failure == nil {
				t.Errorf("the batch was completed as %+v", b)
			}
		})
	}
}

// TestFetchedHistoryIsWhole fetches a history of which the last turn is not on disk yet: the next one
// may begin before.
func TestFetchedHistoryIsWhole(t *testing.T) {
	past := long(20)
	w := newWorkers(t, taskhub.WorkersOptions{})
	sdk := connectWorker(t, recorded{list: past[:17]}, w)
	one := work(t, sdk, &protocol.GetWorkItemsRequest{Capabilities: []protocol.WorkerCapability{protocol.WorkerCapability_WORKER_CAPABILITY_HISTORY_STREAMING}})
	offerTurn(w, "a", past, started("a", ""))
	if !one.next().GetOrchestratorRequest().GetRequiresHistoryStreaming() {
		t.Fatal("the history is in the message")
	}
	stream, err := sdk.StreamInstanceHistory(t.Context(), &protocol.StreamInstanceHistoryRequest{InstanceId: "o-a", ExecutionId: wrapperspb.String("e1"), ForWorkItemProcessing: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for chunk, err := stream.Recv(); err == nil; chunk, err = stream.Recv() {
		n += len(chunk.GetEvents())
	}
	if n != 20 {
		t.Errorf("the worker fetched %d events, want 20", n)
	}
}
