package taskhub

import (
	"context"
	"errors"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// SignalEntity sends an operation to an entity, which gets it at its scheduled time, or at once.
func (c *sidecar) SignalEntity(ctx context.Context, m *protocol.SignalEntityRequest) (*protocol.SignalEntityResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Signal(ctx, m.GetInstanceId(), m.GetName(), payloadOf(m.GetInput()), timeOf(m.GetScheduledTime()))
	return &protocol.SignalEntityResponse{}, toStatus(err)
}

// GetEntity gives an entity's state.
func (c *sidecar) GetEntity(ctx context.Context, m *protocol.GetEntityRequest) (*protocol.GetEntityResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	s, err := hub.Entity(ctx, m.GetInstanceId())
	if errors.Is(err, engine.ErrNotFound) {
		return &protocol.GetEntityResponse{}, nil
	}
	if err != nil {
		return nil, toStatus(err)
	}
	if !m.GetIncludeState() {
		s.State = nil
	}
	return &protocol.GetEntityResponse{Exists: true, Entity: wrapEntity(s)}, nil
}

// QueryEntities lists entities.
func (c *sidecar) QueryEntities(ctx context.Context, m *protocol.QueryEntitiesRequest) (*protocol.QueryEntitiesResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	q, data := entityQueryOf(m.GetQuery())
	list, token, err := entities(ctx, hub, q, data)
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.QueryEntitiesResponse{Entities: list, ContinuationToken: wrapText(token)}, nil
}

// CleanEntityStorage removes empty entities and frees orphaned locks, on one page of entities.
func (c *sidecar) CleanEntityStorage(ctx context.Context, m *protocol.CleanEntityStorageRequest) (*protocol.CleanEntityStorageResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	q := store.Query{Token: m.GetContinuationToken().GetValue()}
	if _, err := q.After(); err != nil {
		return nil, toStatus(&callError{err.Error(), engine.ErrInvalid})
	}
	done, next, err := hub.CleanEntities(ctx, engine.EntityCleaning{Empty: m.GetRemoveEmptyEntities(), Locks: m.GetReleaseOrphanedLocks()}, q.Token)
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.CleanEntityStorageResponse{
		EmptyEntitiesRemoved: int32(done.Empty), OrphanedLocksReleased: int32(done.Locks), ContinuationToken: wrapText(next)}, nil
}
