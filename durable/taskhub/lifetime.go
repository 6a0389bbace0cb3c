package taskhub

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// What the protocol has to end an instance's life, and to begin it again.

// maxBatch is how many instances the protocol lets one request purge.
const maxBatch = 500

// PurgeInstances deletes instances that have ended: one, some, or those that a filter selects. One
// that is unknown or runs counts nothing. With a timeout it stops after that time, in the middle of
// a filter's instances, and says so.
func (c *sidecar) PurgeInstances(ctx context.Context, m *protocol.PurgeInstancesRequest) (*protocol.PurgeInstancesResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	var n int
	complete := true
	switch {
	case m.GetInstanceBatch() != nil && len(m.GetInstanceBatch().GetInstanceIds()) > maxBatch:
		err = fmt.Errorf("%w: one request purges up to %d instances, not %d", engine.ErrInvalid, maxBatch, len(m.GetInstanceBatch().GetInstanceIds()))
	case m.GetInstanceBatch() != nil:
		n, err = hub.Purge(ctx, m.GetInstanceBatch().GetInstanceIds(), m.GetRecursive())
	case m.GetPurgeInstanceFilter() != nil:
		n, complete, err = purgeWhere(ctx, hub, m.GetPurgeInstanceFilter(), m.GetRecursive())
	default:
		n, err = hub.Purge(ctx, []string{m.GetInstanceId()}, m.GetRecursive())
	}
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.PurgeInstancesResponse{DeletedInstanceCount: int32(n), IsComplete: wrapperspb.Bool(complete)}, nil
}

func purgeWhere(ctx context.Context, hub Hub, f *protocol.PurgeInstanceFilter, recurse bool) (purged int, complete bool, err error) {
	q := store.Query{CreatedFrom: timeOf(f.GetCreatedTimeFrom()), CreatedTo: timeOf(f.GetCreatedTimeTo()), Statuses: statusesOf(f.GetRuntimeStatus())}
	if len(q.Statuses) == 0 {
		q.Statuses = []history.Status{history.Completed, history.Failed, history.Terminated, history.Canceled}
	}
	during := ctx
	if d := f.GetTimeout().AsDuration(); d > 0 {
		var cancel context.CancelFunc
		during, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	for {
		states, token, err := hub.Query(during, q, false)
		var ids []string
		for _, s := range states {
			if s.Status.Ended() {
				ids = append(ids, s.ID)
			}
		}
		if err == nil {
			var n int
			n, err = hub.Purge(during, ids, recurse)
			purged += n
		}
		switch {
		case err != nil && ctx.Err() == nil && errors.Is(during.Err(), context.DeadlineExceeded):
			return purged, false, nil
		case err != nil:
			return purged, false, err
		case token == "":
			return purged, true, nil
		}
		q.Token = token
	}
}

// RestartInstance begins an instance anew.
func (c *sidecar) RestartInstance(ctx context.Context, m *protocol.RestartInstanceRequest) (*protocol.RestartInstanceResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	id, err := hub.Restart(ctx, m.GetInstanceId(), m.GetRestartWithNewInstanceId())
	if err != nil {
		return nil, toStatus(err)
	}
	return &protocol.RestartInstanceResponse{InstanceId: id}, nil
}

// RewindInstance lets a failed instance go on from its failure.
func (c *sidecar) RewindInstance(ctx context.Context, m *protocol.RewindInstanceRequest) (*protocol.RewindInstanceResponse, error) {
	hub, err := c.s.hub(ctx)
	if err != nil {
		return nil, err
	}
	err = hub.Rewind(ctx, m.GetInstanceId(), m.GetReason().GetValue())
	return &protocol.RewindInstanceResponse{}, toStatus(err)
}
