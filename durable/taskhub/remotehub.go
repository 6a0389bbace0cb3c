package taskhub

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// Start schedules a new instance and gives its id.
func (r *Remote) Start(ctx context.Context, s engine.Start) (string, error) {
	req := &protocol.CreateInstanceRequest{
		InstanceId:         s.ID,
		Name:               s.Name,
		Version:            wrapText(s.Version),
		Input:              wrapPayload(s.Input),
		Tags:               s.Tags,
		ParentTraceContext: wrapTrace(s.Trace),

		ScheduledStartTimestamp: wrapTime(s.At),
	}
	if len(s.Reuse) > 0 {
		req.OrchestrationIdReusePolicy = &protocol.OrchestrationIdReusePolicy{}
		for _, status := range s.Reuse {
			req.OrchestrationIdReusePolicy.ReplaceableStatus = append(req.OrchestrationIdReusePolicy.ReplaceableStatus, protocol.OrchestrationStatus(status))
		}
	}
	m, err := unary(ctx, r, r.callWithin, r.hub.StartInstance, req)
	return m.GetInstanceId(), err
}

// Raise sends an external event.
func (r *Remote) Raise(ctx context.Context, id, name string, data history.Payload) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.RaiseEvent, &protocol.RaiseEventRequest{InstanceId: id, Name: name, Input: wrapPayload(data)})
	return err
}

// Terminate ends an instance, and with recurse its children.
func (r *Remote) Terminate(ctx context.Context, id string, output history.Payload, recurse bool) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.TerminateInstance, &protocol.TerminateRequest{InstanceId: id, Output: wrapPayload(output), Recursive: recurse})
	return err
}

// Suspend keeps an instance from running until Resume.
func (r *Remote) Suspend(ctx context.Context, id string, reason history.Payload) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.SuspendInstance, &protocol.SuspendRequest{InstanceId: id, Reason: wrapPayload(reason)})
	return err
}

// Resume ends a suspension.
func (r *Remote) Resume(ctx context.Context, id string, reason history.Payload) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.ResumeInstance, &protocol.ResumeRequest{InstanceId: id, Reason: wrapPayload(reason)})
	return err
}

// Signal sends an operation to an entity, which gets it at the given time, or at once.
func (r *Remote) Signal(ctx context.Context, id, op string, input history.Payload, at time.Time) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.SignalEntity, &protocol.SignalEntityRequest{
		InstanceId: id, Name: op, Input: wrapPayload(input), ScheduledTime: wrapTime(at)})
	return err
}

// Purge deletes instances that have ended. It sends them in batches as the protocol bounds them.
func (r *Remote) Purge(ctx context.Context, ids []string, recurse bool) (purged int, err error) {
	for batch := range slices.Chunk(ids, maxBatch) {
		m, err := unary(ctx, r, r.callWithin, r.hub.PurgeInstances, &protocol.PurgeInstancesRequest{
			Request:   &protocol.PurgeInstancesRequest_InstanceBatch{InstanceBatch: &protocol.InstanceBatch{InstanceIds: batch}},
			Recursive: recurse, IsOrchestration: true,
		})
		purged += int(m.GetDeletedInstanceCount())
		if err != nil {
			return purged, err
		}
	}
	return purged, nil
}

// Restart begins an instance anew and gives the id of the new run.
func (r *Remote) Restart(ctx context.Context, id string, newID bool) (string, error) {
	m, err := unary(ctx, r, r.callWithin, r.hub.RestartInstance, &protocol.RestartInstanceRequest{InstanceId: id, RestartWithNewInstanceId: newID})
	return m.GetInstanceId(), err
}

// Rewind lets a failed instance go on from its failure.
func (r *Remote) Rewind(ctx context.Context, id, reason string) error {
	_, err := unary(ctx, r, r.callWithin, r.hub.RewindInstance, &protocol.RewindInstanceRequest{InstanceId: id, Reason: wrapText(reason)})
	if errors.Is(err, engine.ErrNotEnded) { // the protocol has one code for what cannot be done now
		err = &callError{err.Error(), engine.ErrCannotRewind}
	}
	return err
}

// Get gives the committed state of an instance, with data also its input, output and failure.
func (r *Remote) Get(ctx context.Context, id string, data bool) (*engine.State, error) {
	m, err := unary(ctx, r, r.callWithin, r.hub.GetInstance, &protocol.GetInstanceRequest{InstanceId: id, GetInputsAndOutputs: data})
	if err != nil {
		return nil, err
	}
	if !m.GetExists() {
		return nil, fmt.Errorf("%s: %w", id, engine.ErrNotFound)
	}
	s, err := stateOf(m.GetOrchestrationState())
	if err != nil {
		return nil, err
	}
	if !data {
		s.Failure = nil
	}
	return s, nil
}

// Wait waits until an instance has ended and gives its state. It waits as long as ctx allows and
// the holder lives.
func (r *Remote) Wait(ctx context.Context, id string) (*engine.State, error) {
	return r.wait(ctx, id, r.hub.WaitForInstanceCompletion)
}

// WaitStart waits until an instance has begun, in the same way.
func (r *Remote) WaitStart(ctx context.Context, id string) (*engine.State, error) {
	return r.wait(ctx, id, r.hub.WaitForInstanceStart)
}

func (r *Remote) wait(ctx context.Context, id string, rpc func(context.Context, *protocol.GetInstanceRequest, ...grpc.CallOption) (*protocol.GetInstanceResponse, error)) (*engine.State, error) {
	m, err := unary(ctx, r, 0, rpc, &protocol.GetInstanceRequest{InstanceId: id, GetInputsAndOutputs: true})
	if err != nil {
		return nil, err
	}
	return stateOf(m.GetOrchestrationState())
}

// Query lists instances.
func (r *Remote) Query(ctx context.Context, q store.Query, data bool) (states []*engine.State, token string, err error) {
	req := wrapQuery(q)
	req.Data = data
	m, err := unary(ctx, r, r.callWithin, r.local.Query, req)
	if err != nil {
		return nil, "", err
	}
	for _, x := range m.GetInstances() {
		s, err := stateOf(x)
		if err != nil {
			return nil, "", err
		}
		states = append(states, s)
	}
	return states, m.GetToken(), nil
}

// Entity gives an entity's state.
func (r *Remote) Entity(ctx context.Context, id string) (*engine.EntityState, error) {
	m, err := unary(ctx, r, r.callWithin, r.hub.GetEntity, &protocol.GetEntityRequest{InstanceId: id, IncludeState: true})
	if err != nil {
		return nil, err
	}
	if !m.GetExists() {
		return nil, fmt.Errorf("%s: %w", id, engine.ErrNotFound)
	}
	return entityOf(m.GetEntity()), nil
}

// Entities lists entities, with data also their states.
func (r *Remote) Entities(ctx context.Context, q engine.EntityQuery, data bool) (states []*engine.EntityState, token string, err error) {
	m, err := unary(ctx, r, r.callWithin, r.hub.QueryEntities, &protocol.QueryEntitiesRequest{Query: wrapEntityQuery(q, data)})
	if err != nil {
		return nil, "", err
	}
	for _, x := range m.GetEntities() {
		states = append(states, entityOf(x))
	}
	return states, m.GetContinuationToken().GetValue(), nil
}

// CleanEntities removes empty entities and frees orphaned locks, on one page of entities.
func (r *Remote) CleanEntities(ctx context.Context, what engine.EntityCleaning, token string) (done engine.CleanedEntities, next string, err error) {
	m, err := unary(ctx, r, r.callWithin, r.hub.CleanEntityStorage, &protocol.CleanEntityStorageRequest{
		ContinuationToken: wrapText(token), RemoveEmptyEntities: what.Empty, ReleaseOrphanedLocks: what.Locks})
	done = engine.CleanedEntities{Empty: int(m.GetEmptyEntitiesRemoved()), Locks: int(m.GetOrphanedLocksReleased())}
	return done, m.GetContinuationToken().GetValue(), err
}

// Executions lists the executions of an instance, oldest first, the current one last.
func (r *Remote) Executions(ctx context.Context, id string) ([]string, error) {
	m, err := unary(ctx, r, r.callWithin, r.local.Executions, &protocol.ExecutionsRequest{InstanceId: id})
	return m.GetExecutionIds(), err
}

// History streams the committed history of one execution; "" is the current one.
func (r *Remote) History(ctx context.Context, id, execution string) iter.Seq2[*history.Event, error] {
	return r.HistoryFrom(ctx, id, execution, 0)
}

// HistoryFrom is History from the event with a number on.
func (r *Remote) HistoryFrom(ctx context.Context, id, execution string, number int) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		skip, begun := 0, false
		for part, err := range stream(ctx, r, r.local.History, &protocol.HistoryRequest{InstanceId: id, ExecutionId: execution, From: int64(number)}) {
			rows := part.GetRows()
			if err == nil {
				if !begun {
					skip, begun = number-int(part.GetFirst()), true
				}
				rows, skip, err = history.SkipRows(rows, skip)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for ev, err := range history.DecodeRows(rows) {
				if err != nil {
					err = fmt.Errorf("history of %s: %w", id, err)
				}
				if !yield(ev, err) || err != nil {
					return
				}
			}
		}
	}
}

// Payload gives a payload by its hash.
func (r *Remote) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	b := []byte{}
	for part, err := range stream(ctx, r, r.local.Payload, &protocol.PayloadRequest{Hash: h[:]}) {
		if errors.Is(err, engine.ErrNotFound) { // it is the store's that is meant
			err = &callError{err.Error(), store.ErrNotFound}
		}
		if err != nil {
			return nil, err
		}
		b = append(b, part.GetData()...)
	}
	return b, nil
}
