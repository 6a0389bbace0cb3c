package durable

import (
	"context"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Purge deletes an instance that has ended: its state, the histories of all its
// executions, the records of its effects, and the payloads that no other
// instance keeps. With recurse its descendants that have ended go too. It gives
// the number of instances that went. The error wraps ErrNotFound or ErrNotEnded
// if the instance itself did not go.
//
// The id is free when Purge returns; the disk is freed piece by piece after that,
// so that even the longest history does not hold up others.
func (c *Client) Purge(ctx context.Context, id string, recurse bool) (int, error) {
	s, err := c.hub.Get(ctx, id, false)
	if err != nil {
		return 0, err
	}
	n, err := c.hub.Purge(ctx, []string{id}, recurse)
	if err == nil && n == 0 && !s.Status.Ended() {
		err = &instanceError{id, ErrNotEnded}
	}
	return n, err
}

// instanceError is an error about an instance, worded as the engine does.
type instanceError struct {
	id  string
	err error
}

func (e *instanceError) Error() string { return e.id + ": " + e.err.Error() }
func (e *instanceError) Unwrap() error { return e.err }

// purgePiece is how many instances PurgeWhere purges at a time.
const purgePiece = 100

// PurgeWhere purges all instances that a query selects and that have ended, and
// gives their number. For those older than a month:
//
//	client.PurgeWhere(ctx, durable.Query{CompletedTo: time.Now().AddDate(0, -1, 0)}, true)
//
// It goes on in pieces until all are gone or ctx ends; the number counts also
// when there is an error.
func (c *Client) PurgeWhere(ctx context.Context, q Query, recurse bool) (purged int, err error) {
	if len(q.Statuses) == 0 {
		q.Statuses = []history.Status{history.Completed, history.Failed, history.Terminated, history.Canceled}
	}
	q.Data = false
	var ids []string
	flush := func() error {
		n, err := c.hub.Purge(ctx, ids, recurse)
		purged, ids = purged+n, ids[:0]
		return err
	}
	for s, err := range c.Query(ctx, q) {
		if err != nil {
			return purged, err
		}
		if !s.Status.Ended() {
			continue
		}
		if ids = append(ids, s.ID); len(ids) == purgePiece {
			if err := flush(); err != nil {
				return purged, err
			}
		}
	}
	return purged, flush()
}

// Retain purges instances of an orchestration by themselves when they have ended
// and d has passed, and with each its descendants that have ended; a child of an
// instance that is kept goes only if its own orchestration says so. d should leave
// clients the time to read the result: one that waits for an instance that is gone
// waits for the next one of that id. d counts for instances that end from now on;
// 0 keeps them, which is also the default.
func Retain(d time.Duration) OrchestrationOption {
	return func(o *orchestration) { o.retain = max(d, 0) }
}
