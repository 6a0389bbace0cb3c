package durable

import (
	"context"

	"github.com/agentrun-dev/agentrun/durable/engine"
)

// Effects is what a client can be told of an instance's effects outside: the records of its
// at-most-once activities and, as Keys, what the idempotency keys of all its activities are
// made from.
type Effects = engine.Effects

// EffectRecord is the record of one attempt of an at-most-once activity: its intent, and
// its receipt if it is known how it ended.
type EffectRecord = engine.EffectRecord

// EffectKeys makes the idempotency keys of the activities of one execution, from their
// TaskScheduled events.
type EffectKeys = engine.Keys

// Effects tells what is known of an instance's effects outside. An intent without a receipt
// is one whose function runs now, in the process that has the hub, or one whose outcome
// is unknown.
func (c *Client) Effects(ctx context.Context, id string) (*Effects, error) {
	return c.hub.OutsideEffects(ctx, id)
}
