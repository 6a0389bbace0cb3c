package taskhub

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// streamedFrom is the size in bytes from which a history is not in the message, for workers that
// can fetch it.
const streamedFrom = 1 << 20

// unsendable is work that no message can carry, however often it is tried.
type unsendable struct{ text string }

func (u *unsendable) Error() string { return u.text }

func (u *unsendable) failure() *history.Failure {
	return &history.Failure{Type: "WorkItemNotSendable", Message: u.text, NonRetriable: true}
}

// tooLarge is work whose message would be too large.
func tooLarge(what string, size int, advice string) *unsendable {
	return &unsendable{fmt.Sprintf("%s of %d bytes is too large for a message to a worker, which may have %d: %s", what, size, maxWorkItem, advice)}
}

// beginTurn makes the message of an orchestration's turn. One that cannot be sent fails the
// orchestration, since no later try would fare better.
func (s *workStream) beginTurn(work turnWork, f *flight) (*protocol.WorkItem, error) {
	t, err := work.Begin()
	if err != nil {
		return nil, err
	}
	f.turn, f.release = t, func() bool { return work.Release(t) }
	s.w.begun(f.subject)
	m, err := s.request(f)
	var never *unsendable
	if !errors.As(err, &never) {
		return m, err
	}
	last := int32(-1)
	for ev, err := range t.Past {
		if err != nil {
			return nil, err
		}
		last = max(last, ev.ID)
	}
	t.Actions = []*history.Event{{Kind: history.ExecutionCompleted, ID: last + 1, Status: history.Failed, Failure: never.failure()}}
	s.w.forgetPast(t.Instance)
	return nil, work.Complete(s.w.ctx, t)
}

// request makes the message of a turn.
func (s *workStream) request(f *flight) (*protocol.WorkItem, error) {
	w, t := s.w, f.turn
	r := &protocol.OrchestratorRequest{
		InstanceId:  t.Instance.ID,
		ExecutionId: wrapText(t.Instance.Execution),
		// Without it the SDK for .NET has no entities. Messages come in their order, so there is
		// nothing to wait for.
		EntityParameters: &protocol.OrchestratorEntityParameters{EntityMessageReorderWindow: &durationpb.Duration{}},
	}
	for _, ev := range t.New {
		if !forWorkers(ev.Kind) {
			continue
		}
		m, err := history.ToProto(ev)
		if err != nil {
			return nil, &unsendable{err.Error()}
		}
		r.NewEvents = append(r.NewEvents, m)
	}
	f.events = len(r.NewEvents)
	w.mu.Lock()
	r.OrchestrationTraceContext, _ = w.traces.get(t.Instance)
	n, _ := w.notes.get(f.subject)
	w.mu.Unlock()
	size := proto.Size(r)
	if size > maxWorkItem {
		return nil, tooLarge("what came for an orchestration at once", size, "pass references to large data instead")
	}
	p, err := w.pastOf(t, s.streaming && !n.inline)
	if err != nil {
		return nil, err
	}
	if size += p.size; s.streaming && (p.size > streamedFrom && !n.inline || size > maxWorkItem) {
		r.RequiresHistoryStreaming = true
	} else if size > maxWorkItem {
		return nil, tooLarge("a history", size, "continue as new before it grows so large, or use a worker that can stream histories")
	} else {
		// The encoded events are those of the field pastEvents: a message writes what it does not
		// know as it is, so they need not be decoded in order to be encoded again.
		r.ProtoReflect().SetUnknown(p.data)
	}
	return &protocol.WorkItem{Request: &protocol.WorkItem_OrchestratorRequest{OrchestratorRequest: r}}, nil
}

// forWorkers reports whether an event goes to workers. Some SDKs refuse a history that has others.
func forWorkers(k history.Kind) bool {
	switch k {
	case history.ExecutionCompleted, history.OrchestratorCompleted, history.GenericEvent, history.HistoryState, history.ContinueAsNew, history.ExecutionRewound:
		return false
	}
	return k >= history.ExecutionStarted && k < history.ExecutionRewound
}
