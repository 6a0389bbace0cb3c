package taskhub

import (
	"context"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// sidecar is the durable task protocol's service: its methods for clients. Those that it does not
// have answer UNIMPLEMENTED.
type sidecar struct {
	protocol.UnimplementedTaskHubSidecarServiceServer
	s *Server
}

// Hello says that somebody is there.
func (c *sidecar) Hello(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

// StartInstance starts an instance. The execution id is the server's to make, and the request's own
// time is only informative.
func (c *sidecar) StartInstance(ctx context.Context, m *protocol.CreateInstanceRequest) (*protocol.CreateInstanceResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	id, err := hub.Start(ctx, engine.Start{
		ID:      m.GetInstanceId(),
		Name:    m.GetName(),
		Version: m.GetVersion().GetValue(),
		Input:   payloadOf(m.GetInput()),
		Tags:    m.GetTags(),
		Trace:   traceOf(m.GetParentTraceContext()),
		At:      timeOf(m.GetScheduledStartTimestamp()),
		Reuse:   statusesOf(m.GetOrchestrationIdReusePolicy().GetReplaceableStatus()),
	})
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.CreateInstanceResponse{InstanceId: id}, nil
}

// GetInstance gives an instance's state.
func (c *sidecar) GetInstance(ctx context.Context, m *protocol.GetInstanceRequest) (*protocol.GetInstanceResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	data := m.GetGetInputsAndOutputs()
	s, err := hub.Get(ctx, m.GetInstanceId(), data)
	if err == nil && s.Status == history.Failed && !data {
		s, err = hub.Get(ctx, m.GetInstanceId(), true)
	}
	if errors.Is(err, engine.ErrNotFound) {
		return &protocol.GetInstanceResponse{}, nil
	}
	return instanceResponse(s, err, data)
}

// instanceResponse answers with a state. The protocol shows a failure also to those who do not ask
// for data.
func instanceResponse(s *engine.State, err error, data bool) (*protocol.GetInstanceResponse, error) {
	if err != nil {
		return nil, toStatus(err)
	}
	state, err := wrapState(s)
	if err != nil {
		return nil, toStatus(err)
	}
	if !data {
		state.Input, state.Output = nil, nil
	}
	return &protocol.GetInstanceResponse{Exists: true, OrchestrationState: state}, nil
}

// WaitForInstanceStart waits until an instance is no longer pending; one that is unknown is waited
// for.
func (c *sidecar) WaitForInstanceStart(ctx context.Context, m *protocol.GetInstanceRequest) (*protocol.GetInstanceResponse, error) {
	return c.wait(ctx, m, Hub.WaitStart)
}

// WaitForInstanceCompletion waits until an instance has ended; one that is unknown is waited for.
func (c *sidecar) WaitForInstanceCompletion(ctx context.Context, m *protocol.GetInstanceRequest) (*protocol.GetInstanceResponse, error) {
	return c.wait(ctx, m, Hub.Wait)
}

func (c *sidecar) wait(ctx context.Context, m *protocol.GetInstanceRequest, until func(Hub, context.Context, string) (*engine.State, error)) (*protocol.GetInstanceResponse, error) {
	ctx, stop := c.s.whileServing(ctx)
	defer stop()
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	s, err := until(hub, ctx, m.GetInstanceId())
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return instanceResponse(s, err, m.GetGetInputsAndOutputs())
}

// RaiseEvent sends an external event.
func (c *sidecar) RaiseEvent(ctx context.Context, m *protocol.RaiseEventRequest) (*protocol.RaiseEventResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Raise(ctx, m.GetInstanceId(), m.GetName(), payloadOf(m.GetInput()))
	return &protocol.RaiseEventResponse{}, toStatus(err)
}

// TerminateInstance ends an instance.
func (c *sidecar) TerminateInstance(ctx context.Context, m *protocol.TerminateRequest) (*protocol.TerminateResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Terminate(ctx, m.GetInstanceId(), payloadOf(m.GetOutput()), m.GetRecursive())
	return &protocol.TerminateResponse{}, toStatus(err)
}

// SuspendInstance keeps an instance from running.
func (c *sidecar) SuspendInstance(ctx context.Context, m *protocol.SuspendRequest) (*protocol.SuspendResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Suspend(ctx, m.GetInstanceId(), payloadOf(m.GetReason()))
	return &protocol.SuspendResponse{}, toStatus(err)
}

// ResumeInstance ends a suspension.
func (c *sidecar) ResumeInstance(ctx context.Context, m *protocol.ResumeRequest) (*protocol.ResumeResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Resume(ctx, m.GetInstanceId(), payloadOf(m.GetReason()))
	return &protocol.ResumeResponse{}, toStatus(err)
}

// QueryInstances lists instances, oldest first.
func (c *sidecar) QueryInstances(ctx context.Context, m *protocol.QueryInstancesRequest) (*protocol.QueryInstancesResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	in := m.GetQuery()
	q := store.Query{
		Prefix:      in.GetInstanceIdPrefix().GetValue(),
		Statuses:    statusesOf(in.GetRuntimeStatus()),
		CreatedFrom: timeOf(in.GetCreatedTimeFrom()),
		CreatedTo:   timeOf(in.GetCreatedTimeTo()),
		Limit:       int(in.GetMaxInstanceCount()),
		Token:       in.GetContinuationToken().GetValue(),
	}
	states, token, err := instances(ctx, hub, q, in.GetFetchInputsAndOutputs())
	if err != nil {
		return nil, toStatus(err)
	}
	for _, s := range states {
		if s.OrchestrationStatus != protocol.OrchestrationStatus_ORCHESTRATION_STATUS_FAILED || s.FailureDetails != nil {
			continue
		}
		full, err := hub.Get(ctx, s.InstanceId, true)
		if err == nil {
			s.FailureDetails, err = wrapFailure(full.Failure)
		}
		if err != nil {
			return nil, toStatus(err)
		}
	}
	return &protocol.QueryInstancesResponse{OrchestrationState: states, ContinuationToken: wrapText(token)}, nil
}

// ListInstanceIds gives a page of the ids of instances that ended, in that order. The key of its last
// instance is opaque to clients, and absent at the end.
func (c *sidecar) ListInstanceIds(ctx context.Context, m *protocol.ListInstanceIdsRequest) (*protocol.ListInstanceIdsResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	q := store.Query{
		Ended:         true,
		Statuses:      statusesOf(m.GetRuntimeStatus()),
		CompletedFrom: timeOf(m.GetCompletedTimeFrom()),
		CompletedTo:   timeOf(m.GetCompletedTimeTo()),
		Limit:         int(m.GetPageSize()),
		Token:         m.GetLastInstanceKey().GetValue(),
	}
	states, key, err := instances(ctx, hub, q, false)
	if err != nil {
		return nil, toStatus(err)
	}
	ids := make([]string, len(states))
	for i, s := range states {
		ids[i] = s.InstanceId
	}
	return &protocol.ListInstanceIdsResponse{InstanceIds: ids, LastInstanceKey: wrapText(key)}, nil
}

// StreamInstanceHistory streams an execution's history. A client that asks for an unknown instance
// gets nothing, as the SDKs expect; where the history is for work, or the execution is named, it is
// an error. For work it is the history that the worker's item left out: without what workers do not
// get, and as far as it went when the item was made.
func (c *sidecar) StreamInstanceHistory(m *protocol.StreamInstanceHistoryRequest, out protocol.TaskHubSidecarService_StreamInstanceHistoryServer) error {
	service, err := c.s.service(out.Context())
	if err != nil {
		return err
	}
	hub, work := service.Hub, m.GetForWorkItemProcessing()
	execution := m.GetExecutionId().GetValue()
	events, left := hub.History(out.Context(), m.GetInstanceId(), execution), int64(math.MaxInt64)
	if work {
		past, n := service.Workers.workerPast(history.Instance{ID: m.GetInstanceId(), Execution: execution})
		if past != nil {
			events, left = past, n
		}
	}
	chunk := &protocol.HistoryChunk{}
	size := 0
	for ev, err := range events {
		if errors.Is(err, engine.ErrNotFound) && execution == "" && !work {
			return nil
		}
		if err != nil {
			return toStatus(err)
		}
		if left--; left < 0 {
			break
		}
		if work && !forWorkers(ev.Kind) {
			continue
		}
		e, err := history.ToProto(ev)
		if err != nil {
			return toStatus(fmt.Errorf("%s: %w", m.GetInstanceId(), err))
		}
		n := sizeInList(e)
		if size+n > maxChunk && size > 0 {
			if err := out.Send(chunk); err != nil {
				return err
			}
			chunk, size = &protocol.HistoryChunk{}, 0
		}
		chunk.Events, size = append(chunk.Events, e), size+n
	}
	if size == 0 {
		return nil
	}
	return out.Send(chunk)
}
