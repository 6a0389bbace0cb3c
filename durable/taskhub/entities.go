package taskhub

import (
	"context"
	"errors"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// SignalEntity sends an operation to an entity.
func (c *sidecar) SignalEntity(ctx context.Context, m *protocol.SignalEntityRequest) (*protocol.SignalEntityResponse, error) {
	if err := onlyNow(m.GetScheduledTime()); err != nil {
		return nil, err
	}
	err := c.s.hub.Signal(ctx, m.GetInstanceId(), m.GetName(), payloadOf(m.GetInput()))
	return &protocol.SignalEntityResponse{}, toStatus(err)
}

// GetEntity gives an entity's state.
func (c *sidecar) GetEntity(ctx context.Context, m *protocol.GetEntityRequest) (*protocol.GetEntityResponse, error) {
	s, err := c.s.hub.Entity(ctx, m.GetInstanceId())
	if errors.Is(err, engine.ErrNotFound) {
		return &protocol.GetEntityResponse{}, nil
	}
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.GetEntityResponse{Exists: true, Entity: wrapEntity(s, m.GetIncludeState())}, nil
}

// QueryEntities lists entities that have a state. Those modified outside the range asked for are
// left out of the pages they are on, so a page may be short, or empty, and not be the last.
func (c *sidecar) QueryEntities(ctx context.Context, m *protocol.QueryEntitiesRequest) (*protocol.QueryEntitiesResponse, error) {
	in := m.GetQuery()
	q := store.Query{
		Prefix: in.GetInstanceIdStartsWith().GetValue(),
		Limit:  int(in.GetPageSize().GetValue()),
		Token:  in.GetContinuationToken().GetValue(),
	}
	entities, token, err := c.s.entities(ctx, q, in.GetIncludeState())
	if err != nil {
		return nil, toStatus(err)
	}
	from, to := timeOf(in.GetLastModifiedFrom()), timeOf(in.GetLastModifiedTo())
	entities = slices.DeleteFunc(entities, func(e *protocol.EntityMetadata) bool {
		at := timeOf(e.GetLastModifiedTime())
		return at.Before(from) || !to.IsZero() && !at.Before(to)
	})
	return &protocol.QueryEntitiesResponse{Entities: entities, ContinuationToken: wrapText(token)}, nil
}
