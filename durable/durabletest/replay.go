package durabletest

import (
	"context"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Replay runs today's definitions through everything that an instance of c's hub
// did, one execution after the other, and gives the first difference; nil if there
// is none. See [durable.Replay].
func Replay(ctx context.Context, c *durable.Client, id string, defs ...durable.Definition) (*history.Difference, error) {
	executions, err := c.Executions(ctx, id)
	if err != nil {
		return nil, err
	}
	load := func(h history.Hash) ([]byte, error) { return c.Load(ctx, durable.Ref{Hash: h}) }
	for _, x := range executions {
		d, err := durable.Replay(ctx, c.History(ctx, id, x), load, defs...)
		if err != nil {
			return nil, fmt.Errorf("execution %s of %s: %w", x, id, err)
		}
		if d != nil {
			return d, nil
		}
	}
	return nil, nil
}

// Events makes of recorded events what [durable.Replay] reads.
func Events(events ...*history.Event) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}
