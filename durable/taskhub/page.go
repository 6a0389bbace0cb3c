package taskhub

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// instances gives a page of instances that fits in a message.
func instances(ctx context.Context, hub Hub, q store.Query, data bool) ([]*protocol.OrchestrationState, string, error) {
	return page(q, func(q store.Query) (list []*protocol.OrchestrationState, token string, err error) {
		states, token, err := hub.Query(ctx, q, data)
		if err != nil {
			return nil, "", err
		}
		for _, state := range states {
			m, err := wrapState(state)
			if err != nil {
				return nil, "", fmt.Errorf("%s: %w", state.ID, err)
			}
			list = append(list, m)
		}
		return list, token, nil
	})
}

// entities gives a page of entities that fits in a message.
func entities(ctx context.Context, hub Hub, q engine.EntityQuery, data bool) ([]*protocol.EntityMetadata, string, error) {
	return page(store.Query{Limit: q.Limit, Token: q.Token}, func(part store.Query) (list []*protocol.EntityMetadata, token string, err error) {
		q.Limit, q.Token = part.Limit, part.Token
		states, token, err := hub.Entities(ctx, q, data)
		for _, e := range states {
			list = append(list, wrapEntity(e))
		}
		return list, token, err
	})
}

// page asks for what the query says, at most maxPageItems, and where that is too large asks again
// for as many as fit: the token of a page comes from the store, so a page cannot just be cut.
// One item alone is sent however large it is.
func page[M proto.Message](q store.Query, list func(store.Query) ([]M, string, error)) ([]M, string, error) {
	if q.Limit < 0 {
		return nil, "", fmt.Errorf("%w: a page of %d cannot be given; 0 means 100", engine.ErrInvalid, q.Limit)
	}
	if _, err := q.After(); err != nil {
		return nil, "", &callError{err.Error(), engine.ErrInvalid}
	}
	q.Limit = min(q.PageSize(), maxPageItems)
	for {
		items, token, err := list(q)
		if err != nil {
			return nil, "", err
		}
		n := fitting(items)
		if n == len(items) {
			return items, token, nil
		}
		q.Limit = n // less than before, so this ends
	}
}

// fitting counts the items from the first on that fit in a page: one at least.
func fitting[M proto.Message](items []M) int {
	size := 0
	for i, m := range items {
		if size += sizeInList(m); size > maxPageBytes && i > 0 {
			return i
		}
	}
	return len(items)
}

// sizeInList is what a message takes as an element of a repeated field with a small number.
func sizeInList(m proto.Message) int { return 1 + protowire.SizeBytes(proto.Size(m)) }
