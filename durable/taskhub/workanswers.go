package taskhub

import (
	"context"
	"errors"

	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// errPart ends a landing with nothing but another part of an answer.
var errPart = errors.New("the answer is not complete")

// maxTrace bounds what is kept of an execution's trace context, in bytes.
const maxTrace = 1024

// completeTurn takes a worker's answer to an orchestration's turn and returns when it is on disk.
func (w *Workers) completeTurn(ctx context.Context, m *protocol.OrchestratorResponse) error {
	return w.land(ctx, flightID{kind: worklist.Orchestration, instance: m.GetInstanceId()}, m.GetCompletionToken(), func(f *flight) error {
		whole, err := w.part(f, m)
		if err != nil {
			return err
		}
		if whole == nil {
			return errPart
		}
		if whole.GetRequiresHistory() {
			w.mu.Lock()
			defer w.mu.Unlock()
			n, _ := w.notes.get(f.subject)
			n.inline = true
			w.notes.put(f.subject, n, 1)
			return errAgain
		}
		err = answerTurn(f.turn, f.events, whole)
		if err == nil {
			w.keepTrace(f.turn, whole.GetOrchestrationTraceContext()) // before the next turn can begin
			err = w.submit(f.work.(turnWork), f.turn)
		}
		if errors.Is(err, engine.ErrInvalid) {
			return w.refuseTurn(f, err)
		}
		return err
	})
}

// maxInvalid is how many answers to one turn may be invalid. Orchestrations are deterministic, so
// most answer the same again; others may have been mended meanwhile.
const maxInvalid = 3

// refuseTurn gives a turn out again whose answer is invalid, or fails its orchestration if that
// helps nobody.
func (w *Workers) refuseTurn(f *flight, why error) error {
	w.mu.Lock()
	n, _ := w.notes.get(f.subject)
	n.invalid++
	w.notes.put(f.subject, n, 1)
	w.mu.Unlock()
	w.opts.Logger.Warn("a worker's answer to a turn is invalid", "instance", f.turn.Instance.ID, "orchestration", f.turn.Name, "times", n.invalid, "err", why)
	if n.invalid < maxInvalid {
		return why
	}
	t := f.turn
	t.CustomStatus, t.NewVersion, t.Carryover = nil, "", nil
	t.Actions = []*history.Event{{Kind: history.ExecutionCompleted, ID: history.FromOutside, Status: history.Failed, Failure: &history.Failure{
		Type: "InvalidAnswer", NonRetriable: true, Message: "the answers of workers to one turn were invalid, the last one because: " + why.Error(),
	}}}
	w.forgetPast(t.Instance)
	return w.submit(f.work.(turnWork), t)
}

// keepTrace remembers the span that the worker has made for an execution, which it gets with each
// later turn. It is kept in memory only, and not for ever: without it the worker makes a new span.
func (w *Workers) keepTrace(t *engine.Turn, m *protocol.OrchestrationTraceContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(t.Actions); n > 0 && t.Actions[n-1].Kind == history.ExecutionCompleted {
		w.traces.drop(t.Instance)
	} else if m != nil && proto.Size(m) <= maxTrace {
		w.traces.put(t.Instance, m, 1)
	}
}

// completeCall takes the outcome of an activity.
func (w *Workers) completeCall(ctx context.Context, m *protocol.ActivityResponse) error {
	id := flightID{kind: worklist.Activity, instance: m.GetInstanceId(), task: m.GetTaskId()}
	return w.land(ctx, id, m.GetCompletionToken(), func(f *flight) error {
		o, err := outcomeOf(payloadOf(m.GetResult()), m.GetFailureDetails())
		if err != nil {
			return err
		}
		return f.work.(callWork).Complete(w.ctx, f.call, o)
	})
}

// abandon takes back an item that a worker does not want to answer.
func (w *Workers) abandon(ctx context.Context, kind worklist.Kind, token string) error {
	if token == "" {
		return nil
	}
	return w.land(ctx, flightID{kind: kind}, token, func(*flight) error { return errAgain })
}
