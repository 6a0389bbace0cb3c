package taskhub

import (
	"context"

	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// batchRetries is how often a batch is tried again that failed as a whole, before its calls fail.
const batchRetries = 3

// beginBatch makes the message of a batch of operations: of as many as fit. An operation that
// cannot be sent fails.
func (s *workStream) beginBatch(work batchWork, f *flight) (*protocol.WorkItem, error) {
	b, err := work.Begin()
	if err != nil {
		return nil, err
	}
	f.batch, f.release = b, func() bool { return work.Release(b) }
	s.w.begun(f.subject)
	r := &protocol.EntityRequest{InstanceId: b.ID, EntityState: wrapPayload(b.State)}
	size := proto.Size(r)
	var why *unsendable
	for _, op := range b.Ops {
		m, err := history.ToProto(op)
		if err != nil {
			why = &unsendable{err.Error()}
			break
		}
		if size += sizeInList(m); size > maxWorkItem {
			why = tooLarge("the state and the input of an operation of "+b.ID, size, "keep less in the state, and pass references to large data")
			break
		}
		r.OperationRequests = append(r.OperationRequests, m)
	}
	if f.ops = len(r.OperationRequests); f.ops == 0 {
		if why == nil {
			return nil, engine.ErrStale // a batch of nothing
		}
		b.Results, b.Sent = []engine.Outcome{{Failure: why.failure()}}, nil
		return nil, work.Complete(s.w.ctx, b)
	}
	return &protocol.WorkItem{Request: &protocol.WorkItem_EntityRequestV2{EntityRequestV2: r}}, nil
}

// completeBatch takes what operations did. An answer without a token names nothing that it could
// be for.
func (w *Workers) completeBatch(ctx context.Context, m *protocol.EntityBatchResult) error {
	if m.GetCompletionToken() == "" {
		return nil
	}
	return w.land(ctx, flightID{kind: worklist.Entity}, m.GetCompletionToken(), func(f *flight) error {
		b := f.batch
		switch {
		case m.GetRequiresState():
			return errAgain
		case m.GetFailureDetails() != nil:
			failure, err := failureOf(m.GetFailureDetails())
			if err != nil {
				return invalid("%v", err)
			}
			if w.failedBatch(f.subject) <= batchRetries {
				return errAgain
			}
			b.Results, b.Sent = nil, nil
			for range f.ops {
				b.Results = append(b.Results, engine.Outcome{Failure: failure})
			}
			return f.work.(batchWork).Complete(w.ctx, b)
		}
		state := b.State
		if err := answerBatch(b, f.ops, m); err != nil {
			return err
		}
		err := f.work.(batchWork).Complete(w.ctx, b)
		if err != nil {
			b.State = state
		}
		return err
	})
}

// failedBatch counts the failures of a batch as a whole since the last answer.
func (w *Workers) failedBatch(s subject) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, _ := w.notes.get(s)
	n.failed++
	w.notes.put(s, n, 1)
	return n.failed
}

// answerBatch writes a worker's answer into the batch.
func answerBatch(b *engine.EntityBatch, ops int, m *protocol.EntityBatchResult) error {
	if n := len(m.GetResults()); n == 0 || n > ops {
		return invalid("there are %d results of %d operations", n, ops)
	}
	results := make([]engine.Outcome, 0, len(m.GetResults()))
	for i, r := range m.GetResults() {
		if r.GetResultType() == nil {
			return invalid("result %d is neither a success nor a failure", i)
		}
		failure := r.GetFailure().GetFailureDetails()
		if _, failed := r.GetResultType().(*protocol.OperationResult_Failure); failed && failure == nil {
			failure = &protocol.TaskFailureDetails{ErrorType: "OperationFailed", ErrorMessage: "the operation failed without details"}
		}
		o, err := outcomeOf(payloadOf(r.GetSuccess().GetResult()), failure)
		if err != nil {
			return err
		}
		results = append(results, o)
	}
	sent := make([]*history.Event, 0, len(m.GetActions()))
	for i, a := range m.GetActions() {
		ev, err := operationEvent(a)
		if err != nil {
			return invalid("action %d of the operations: %v", i, err)
		}
		sent = append(sent, ev)
	}
	b.Results, b.Sent, b.State = results, sent, payloadOf(m.GetEntityState())
	return nil
}

// operationEvent gives the event of what an operation causes.
func operationEvent(a *protocol.OperationAction) (*history.Event, error) {
	switch x := a.GetOperationActionType().(type) {
	case *protocol.OperationAction_SendSignal:
		s := x.SendSignal
		target, err := engine.EntityID(s.GetInstanceId())
		if err != nil {
			return nil, err
		}
		if err := checkTime("a signal", s.GetScheduledTime(), false); err != nil {
			return nil, err
		}
		return &history.Event{Kind: history.EntityOperationSignaled, ID: history.FromOutside, Target: target,
			Name: s.GetName(), Data: payloadOf(s.GetInput()), FireAt: timeOf(s.GetScheduledTime())}, nil
	case *protocol.OperationAction_StartNewOrchestration:
		s := x.StartNewOrchestration
		if s.GetName() == "" {
			return nil, invalid("an orchestration has no name")
		}
		if s.GetInstanceId() != "" {
			if err := engine.CheckInstanceID(s.GetInstanceId()); err != nil {
				return nil, err
			}
		}
		if err := checkTime("an orchestration's start", s.GetScheduledTime(), false); err != nil {
			return nil, err
		}
		return &history.Event{Kind: history.ExecutionStarted, ID: history.FromOutside, Instance: history.Instance{ID: s.GetInstanceId()},
			Name: s.GetName(), Version: s.GetVersion().GetValue(), Data: payloadOf(s.GetInput()), FireAt: timeOf(s.GetScheduledTime()),
			Trace: traceOf(s.GetParentTraceContext())}, nil
	}
	return nil, invalid("it is of no kind that is known")
}
