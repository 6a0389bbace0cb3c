package taskhub

import (
	"context"
	"net"

	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// ServeService serves a hub together with its workers.
func ServeService(lis net.Listener, s *Service) *Server {
	return ServeAll(lis, alone{s}, ServerOptions{})
}

// Stream serves a worker whose messages go to send.
func (w *Workers) Stream(ctx context.Context, m *protocol.GetWorkItemsRequest, send func(*protocol.WorkItem) error) error {
	return w.serve(ctx, m, sendFunc(send))
}

type sendFunc func(*protocol.WorkItem) error

func (f sendFunc) Send(m *protocol.WorkItem) error { return f(m) }

// The answers of workers, without a connection between.

func (w *Workers) CompleteTurn(ctx context.Context, m *protocol.OrchestratorResponse) error {
	return w.completeTurn(ctx, m)
}

func (w *Workers) CompleteCall(ctx context.Context, m *protocol.ActivityResponse) error {
	return w.completeCall(ctx, m)
}

func (w *Workers) CompleteBatch(ctx context.Context, m *protocol.EntityBatchResult) error {
	return w.completeBatch(ctx, m)
}

// Remembered counts what Workers keep beyond what waits.
func (w *Workers) Remembered() (tokens, orphans, notes, partial int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.tokens), len(w.orphans.places), len(w.notes.places), w.partial
}

func (w *Workers) Abandon(ctx context.Context, token string) error {
	return w.abandon(ctx, worklist.Orchestration, token)
}

// Landing counts the answers that the engine takes at the moment.
func (w *Workers) Landing() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, f := range w.tokens {
		if f.state == landing {
			n++
		}
	}
	return n
}

// ServeServiceWith is ServeService with options.
func ServeServiceWith(lis net.Listener, s *Service, o ServerOptions) *Server {
	return ServeAll(lis, alone{s}, o)
}
