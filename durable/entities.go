package durable

import (
	"context"
	"iter"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
)

// EntityQuery selects entities; its zero value selects all that have a state.
type EntityQuery struct {
	Prefix       string    // of the id, such as "@approval@"
	ModifiedFrom time.Time // from <= modified
	ModifiedTo   time.Time // modified < to
	Transient    bool      // also those without a state: locked, or with a signal that is not due
	Data         bool      // with the states
}

// Entities lists entities, page by page as the sequence is read.
func (c *Client) Entities(ctx context.Context, q EntityQuery) iter.Seq2[*EntityState, error] {
	eq := engine.EntityQuery{Prefix: q.Prefix, ModifiedFrom: q.ModifiedFrom, ModifiedTo: q.ModifiedTo, Transient: q.Transient}
	return pages(func(token string) ([]*EntityState, string, error) {
		eq.Token = token
		return c.hub.Entities(ctx, eq, q.Data)
	})
}

// EntityCleaning says what [Client.CleanEntities] is to do.
type EntityCleaning = engine.EntityCleaning

// CleanedEntities counts what [Client.CleanEntities] has done.
type CleanedEntities = engine.CleanedEntities

// CleanEntities tidies up after programs that did not: it removes entities that
// are empty, and frees locks whose holder has ended or is gone. A hub of this
// package does both by itself, at once, so it has nothing to count but what an
// earlier version left behind.
func (c *Client) CleanEntities(ctx context.Context, what EntityCleaning) (CleanedEntities, error) {
	var sum CleanedEntities
	for token := ""; ; {
		done, next, err := c.hub.CleanEntities(ctx, what, token)
		sum.Empty += done.Empty
		sum.Locks += done.Locks
		if err != nil || next == "" {
			return sum, err
		}
		token = next
	}
}
