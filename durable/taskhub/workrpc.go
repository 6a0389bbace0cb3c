package taskhub

import (
	"context"
	"errors"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/internal/protocol"
	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// workers gives those of the hub that a call is for.
func (s *Server) workers(ctx context.Context) (*Workers, error) {
	service, err := s.service(ctx)
	if err != nil {
		return nil, err
	}
	if service.Workers == nil {
		return nil, status.Error(codes.FailedPrecondition, "this hub runs only the definitions of the program that serves it: it has no work for others")
	}
	return service.Workers, nil
}

// GetWorkItems gives a worker what it can do, until it goes or the server ends.
func (c *sidecar) GetWorkItems(m *protocol.GetWorkItemsRequest, out protocol.TaskHubSidecarService_GetWorkItemsServer) error {
	ctx, stop := c.s.whileServing(out.Context())
	defer stop()
	w, err := c.s.workers(ctx)
	if err != nil {
		return err
	}
	return w.serve(ctx, m, out)
}

// CompleteOrchestratorTask takes what an orchestration did in a turn.
func (c *sidecar) CompleteOrchestratorTask(ctx context.Context, m *protocol.OrchestratorResponse) (*protocol.CompleteTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.CompleteTaskResponse{}, w.completeTurn(ctx, m)
}

// CompleteActivityTask takes what an activity came to.
func (c *sidecar) CompleteActivityTask(ctx context.Context, m *protocol.ActivityResponse) (*protocol.CompleteTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.CompleteTaskResponse{}, w.completeCall(ctx, m)
}

// CompleteEntityTask takes what operations on an entity did.
func (c *sidecar) CompleteEntityTask(ctx context.Context, m *protocol.EntityBatchResult) (*protocol.CompleteTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.CompleteTaskResponse{}, w.completeBatch(ctx, m)
}

// AbandonTaskOrchestratorWorkItem takes back an orchestration that a worker does not want.
func (c *sidecar) AbandonTaskOrchestratorWorkItem(ctx context.Context, m *protocol.AbandonOrchestrationTaskRequest) (*protocol.AbandonOrchestrationTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.AbandonOrchestrationTaskResponse{}, w.abandon(ctx, worklist.Orchestration, m.GetCompletionToken())
}

// AbandonTaskActivityWorkItem takes back an activity.
func (c *sidecar) AbandonTaskActivityWorkItem(ctx context.Context, m *protocol.AbandonActivityTaskRequest) (*protocol.AbandonActivityTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.AbandonActivityTaskResponse{}, w.abandon(ctx, worklist.Activity, m.GetCompletionToken())
}

// AbandonTaskEntityWorkItem takes back operations on an entity.
func (c *sidecar) AbandonTaskEntityWorkItem(ctx context.Context, m *protocol.AbandonEntityTaskRequest) (*protocol.AbandonEntityTaskResponse, error) {
	w, err := c.s.workers(ctx)
	if err != nil {
		return nil, err
	}
	return &protocol.AbandonEntityTaskResponse{}, w.abandon(ctx, worklist.Entity, m.GetCompletionToken())
}

// maxSkipped bounds the instances of a SkipGracefulOrchestrationTerminations.
const maxSkipped = 500

// SkipGracefulOrchestrationTerminations ends instances without asking a worker, and without their
// children, and gives those that it could not end: finished, missing, or entities. That is how
// every instance is terminated here. The protocol also leaves out those that hold entities' locks,
// which would stay locked elsewhere; here the end of an instance frees them.
func (c *sidecar) SkipGracefulOrchestrationTerminations(ctx context.Context, m *protocol.SkipGracefulOrchestrationTerminationsRequest) (*protocol.SkipGracefulOrchestrationTerminationsResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	ids := m.GetInstanceBatch().GetInstanceIds()
	if len(ids) > maxSkipped {
		return nil, toStatus(invalid("there are %d instances in the batch, of which there may be %d", len(ids), maxSkipped))
	}
	r := &protocol.SkipGracefulOrchestrationTerminationsResponse{}
	for _, id := range ids {
		ended, err := skipGraceful(ctx, hub, id, m)
		if err != nil {
			return nil, toStatus(err)
		}
		if !ended {
			r.UnterminatedInstanceIds = append(r.UnterminatedInstanceIds, id)
		}
	}
	return r, nil
}

func skipGraceful(ctx context.Context, hub Hub, id string, m *protocol.SkipGracefulOrchestrationTerminationsRequest) (ended bool, err error) {
	if engine.CheckInstanceID(id) != nil {
		return false, nil
	}
	state, err := hub.Get(ctx, id, false)
	if err == nil {
		if state.Status.Ended() {
			return false, nil
		}
		err = hub.Terminate(ctx, id, payloadOf(m.GetReason()), false)
	}
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}
