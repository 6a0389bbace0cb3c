package durable

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/live"
)

// Watch follows some instances and entities, see [Client.Watch].
type Watch = live.Watch

// Change is what is new of one of them.
type Change = live.Change

// Watch follows instances and entities, those that do not exist yet too: whoever
// reads their state and history first, and again after each change, misses nothing.
// A change also brings what was published for those who watch, as far as it is still
// kept; see [Publish]. The watch ends with ctx, and when the hub's program does.
//
// Nothing is asked again and again: the hub tells. Only a program of a version that
// cannot is looked at once a second.
func (c *Client) Watch(ctx context.Context, ids ...string) (Watch, error) {
	w, err := c.hub.Watch(ctx)
	if err != nil {
		return nil, fmt.Errorf("watch: %w", err)
	}
	if err := w.Add(ids...); err != nil {
		_ = w.Close() // it is the other error that tells
		return nil, fmt.Errorf("watch: %w", err)
	}
	return w, nil
}

// Publish tells those who watch an instance, in whichever process, something that is
// of use right now only, at most 256 KiB. It is kept in the memory of the program that
// holds the hub, up to 4 MiB for each instance that has not ended and 64 MiB in all; it is in no
// history, and nobody may depend on it. The caller must not change data afterwards.
func (c *Client) Publish(ctx context.Context, id string, data []byte) error {
	if err := c.hub.Publish(ctx, id, data); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// Publish is [Client.Publish] from within an activity, for the orchestration that
// called it. It waits for nobody.
func Publish(ctx context.Context, data []byte) error {
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return fmt.Errorf("publish: %w", errNoCall)
	}
	if err := c.Publish(data); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}
