package taskhub

import (
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// maxParts bounds the messages that one answer comes in.
const maxParts = 1024

// parts are the messages of an answer that have come, in their order.
type parts struct {
	messages []*protocol.OrchestratorResponse
	size     int
}

// part takes one of the messages of an answer. SDKs send a large one in several, all but the last
// of them marked as partial, and may repeat one whose receipt they did not see. It gives the whole
// answer when it is complete, and nil before. It is called while f lands.
func (w *Workers) part(f *flight, m *protocol.OrchestratorResponse) (*protocol.OrchestratorResponse, error) {
	//lint:ignore SA1019 two SDKs send answers in parts
	partial, index := m.GetIsPartial(), m.GetChunkIndex()
	p := &f.parts
	next := len(p.messages)
	if !partial && index == nil && next == 0 {
		return m, nil
	}
	switch at := int(index.GetValue()); {
	case index == nil:
		return nil, invalid("part %d of an answer has no index", next)
	case at < 0 || at > next:
		return nil, invalid("an answer has part %d after %d parts", at, next)
	case at < next:
		if !partial {
			return nil, invalid("the last part of an answer has the index %d after %d parts", at, next)
		}
		return nil, nil // again
	case next >= maxParts:
		return nil, invalid("an answer has more than %d parts", maxParts)
	}
	size := proto.Size(m)
	if p.size+size > w.opts.MaxResponse {
		return nil, invalid("an answer has more than %d bytes", w.opts.MaxResponse)
	}
	if partial {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.partial+size > 4*w.opts.MaxResponse {
			return nil, status.Errorf(codes.ResourceExhausted, "all answers that are incomplete have more than %d bytes", 4*w.opts.MaxResponse)
		}
		w.partial += size
		p.size += size
		p.messages = append(p.messages, m)
		return nil, nil
	}
	whole := &protocol.OrchestratorResponse{}
	for _, x := range append(p.messages, m) {
		whole.Actions = append(whole.Actions, x.GetActions()...)
		if v := x.GetCustomStatus(); v != nil {
			whole.CustomStatus = v
		}
		if v := x.GetOrchestrationTraceContext(); v != nil {
			whole.OrchestrationTraceContext = v
		}
		if v := x.GetNumEventsProcessed(); v != nil {
			whole.NumEventsProcessed = v
		}
		whole.RequiresHistory = whole.RequiresHistory || x.GetRequiresHistory()
	}
	return whole, nil
}

// dropParts forgets what has come of an answer; w.mu is held.
func (w *Workers) dropParts(f *flight) {
	w.partial -= f.parts.size
	f.parts = parts{}
}
