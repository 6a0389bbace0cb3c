package taskhub

import (
	"context"
	"slices"

	"google.golang.org/grpc/metadata"

	"github.com/agentrun-dev/agentrun/durable/taskhub/access"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// What there is to make, delete and list whole hubs.

// CreateTaskHub makes the hub that the call's header names.
func (c *sidecar) CreateTaskHub(ctx context.Context, m *protocol.CreateTaskHubRequest) (*protocol.CreateTaskHubResponse, error) {
	name, err := hubOf(ctx)
	if err == nil {
		err = c.s.directory.Create(ctx, name, m.GetRecreateIfExists())
	}
	return &protocol.CreateTaskHubResponse{}, toStatus(err)
}

// DeleteTaskHub deletes the hub that the call's header names, with all that is in it.
func (c *sidecar) DeleteTaskHub(ctx context.Context, _ *protocol.DeleteTaskHubRequest) (*protocol.DeleteTaskHubResponse, error) {
	name, err := hubOf(ctx)
	if err == nil {
		err = c.s.directory.Delete(ctx, name)
	}
	return &protocol.DeleteTaskHubResponse{}, toStatus(err)
}

// ListHubs lists the hubs that the caller may see.
func (l *local) ListHubs(ctx context.Context, _ *protocol.ListHubsRequest) (*protocol.ListHubsResponse, error) {
	names, err := l.s.directory.Names(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	if token, ok := access.FromContext(ctx); ok {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !token.Covers(name) })
	}
	return &protocol.ListHubsResponse{Names: names}, nil
}

// Hubs lists the hubs that the other program serves; [ErrOneHub] if there is only this one.
func (r *Remote) Hubs(ctx context.Context) ([]string, error) {
	m, err := unary(ctx, r, r.callWithin, r.local.ListHubs, &protocol.ListHubsRequest{})
	return m.GetNames(), err
}

// CreateHub makes a hub beside this one, see [Directory].
func (r *Remote) CreateHub(ctx context.Context, name string, recreate bool) error {
	_, err := unary(named(ctx, name), r, r.callWithin, r.hub.CreateTaskHub, &protocol.CreateTaskHubRequest{RecreateIfExists: recreate})
	return err
}

// DeleteHub deletes a hub beside this one, see [Directory].
func (r *Remote) DeleteHub(ctx context.Context, name string) error {
	_, err := unary(named(ctx, name), r, r.callWithin, r.hub.DeleteTaskHub, &protocol.DeleteTaskHubRequest{})
	return err
}

// named makes calls be for a hub.
func named(ctx context.Context, hub string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, hubHeader, hub)
}
