package durable

import (
	"context"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Broken is an unfinished instance that today's definitions cannot go on with.
type Broken struct {
	*State
	// Difference is the first step at which the code does something else than the
	// history has; nil where there is no code for it.
	Difference *history.Difference
	// Err says what is wrong: it is the Difference, or wraps [ErrNotDefined] where
	// the orchestration, or the version of it, is missing.
	Err error
}

// ReplayOpen runs defs through the history of every unfinished instance of c's hub,
// and gives those that a program with these definitions would break or leave
// waiting, oldest first. Run it before a deploy: in a test or a check, against the
// hub that the deploy is for, also while a program runs it.
//
// What a hub knows of an instance is its past, so this finds code that took other
// steps than its histories have; it cannot find that code will take wrong ones.
// Versions are matched, and interceptors run, as the options of c's runtime or
// connection say. An error ends the sequence: something could not be read.
func ReplayOpen(ctx context.Context, c *Client, defs ...Definition) iter.Seq2[*Broken, error] {
	return func(yield func(*Broken, error) bool) {
		r, err := newReplayRegistry(defs)
		if err != nil {
			yield(nil, err)
			return
		}
		r.versions, r.interceptors = c.defs.versions, c.defs.interceptors
		open := Query{Statuses: []history.Status{history.Running, history.Pending, history.Suspended}}
		for s, err := range c.Query(ctx, open) {
			var b *Broken
			if err == nil {
				b, err = c.replayOpen(ctx, r, s)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if b != nil && !yield(b, nil) {
				return
			}
		}
	}
}

// replayOpen checks one instance.
func (c *Client) replayOpen(ctx context.Context, r *registry, s *State) (*Broken, error) {
	if _, err := r.find(s.Name, s.Version); err != nil {
		return &Broken{State: s, Err: fmt.Errorf("it is of %w", err)}, nil
	}
	load := payloadFunc(func(h history.Hash) ([]byte, error) { return c.Load(ctx, Ref{Hash: h}) })
	past, err := load.events(ctx, c.History(ctx, s.ID, s.Execution))
	if IsNotFound(err) {
		return nil, nil // it was purged meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", s.ID, err)
	}
	if past.begun == nil {
		return nil, nil // it has not begun
	}
	d, err := past.replay(r, load)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.ID, err)
	}
	if d == nil {
		return nil, nil
	}
	return &Broken{State: s, Difference: d, Err: d}, nil
}
