package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// errChanged: the instance is not the one that was read.
var errChanged = errors.New("the instance has changed since")

// Restart begins an instance anew, with the name, version, input and tags that it
// has (after a continue-as-new: the input of the last execution), and gives the id
// of the new run. It has no parent, and idempotency keys of its own. Under the
// same id everything of the old run goes, which must have ended (ErrNotEnded);
// under a new id one that runs may be restarted too.
func (e *Engine) Restart(ctx context.Context, id string, newID bool) (string, error) {
	if err := CheckInstanceID(id); err != nil {
		return "", err
	}
	for {
		s, err := e.Get(ctx, id, true)
		if err != nil {
			return "", err
		}
		start := Start{Name: s.Name, Version: s.Version, Input: s.Input, Tags: s.Tags}
		if newID {
			return e.Start(ctx, start)
		}
		if !s.Status.Ended() {
			return "", fmt.Errorf("%s: %w", id, ErrNotEnded)
		}
		err = e.answered(ctx, e.request(&message{to: id, ev: &history.Event{Time: e.now()},
			ask: &command{what: askRestart, execution: s.Execution, start: &start}}))
		if !errors.Is(err, errChanged) {
			return id, err
		}
	}
}

// restart is the owner's part.
func (t *turn) restart(execution string, s *Start) error {
	in := t.in
	switch {
	case !in.exists:
		return ErrNotFound
	case !in.row.Status.Ended():
		return ErrNotEnded
	case in.row.Execution != execution:
		return errChanged
	}
	t.forget()
	t.start(&message{to: in.id, ev: &history.Event{
		Kind: history.ExecutionStarted, ID: history.FromOutside, Time: t.now, Name: s.Name, Version: s.Version, Data: s.Input, Tags: s.Tags,
	}})
	return nil
}
