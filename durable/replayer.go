package durable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Replay runs the orchestration that a recorded history is of, as defs have it
// today, through that history, and gives the first step at which it does something
// else: another action, fewer, more, or another end. nil means that it did all
// the same. A history that has not ended is compared as far as it goes.
//
// Nothing but the orchestration's own code runs: answers come from the history,
// nothing is logged, traced or stored. payloads gives the data that the code loads
// by a [Ref] and that events hold by hash only; it may be nil for a history that
// has none. An error says that the history could not be replayed at all.
func Replay(ctx context.Context, past iter.Seq2[*history.Event, error], payloads func(history.Hash) ([]byte, error), defs ...Definition) (*history.Difference, error) {
	r, err := newReplayRegistry(defs)
	if err != nil {
		return nil, err
	}
	load := payloadFunc(payloads)
	whole, err := load.events(ctx, past)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	if whole.begun == nil {
		return nil, errors.New("replay: the history has no ExecutionStarted event")
	}
	d, err := whole.replay(r, load)
	if err != nil {
		return nil, fmt.Errorf("replay: %w", err)
	}
	return d, nil
}

// newReplayRegistry is a registry of definitions that nobody hears.
func newReplayRegistry(defs []Definition) (*registry, error) {
	return newRegistry(slog.New(slog.DiscardHandler), defs)
}

// recording is the history of one execution.
type recording struct {
	events []*history.Event
	begun  *history.Event // nil before it began
}

// events reads a history with all its data.
func (f payloadFunc) events(ctx context.Context, past iter.Seq2[*history.Event, error]) (r recording, err error) {
	for ev, err := range past {
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			ev, err = f.resolve(ctx, ev)
		}
		if err != nil {
			return r, fmt.Errorf("event %d: %w", len(r.events), err)
		}
		if ev.Kind == history.ExecutionStarted {
			if r.begun != nil {
				return r, fmt.Errorf("event %d: an execution begins once, and this one has begun before", len(r.events))
			}
			r.begun = ev
		}
		r.events = append(r.events, ev)
	}
	return r, nil
}

// replay runs the definition that the recording is of through it.
func (h recording) replay(r *registry, load payloadFunc) (*history.Difference, error) {
	def, err := r.find(h.begun.Name, h.begun.Version)
	if err != nil {
		return nil, fmt.Errorf("the history is of %w", err)
	}
	x := def.New().(*executor)
	defer x.Close()
	x.instance = h.begun.Instance
	x.turn = &engine.Turn{Name: h.begun.Name, Instance: h.begun.Instance, Payloads: load}
	if err := x.replayPast(sequence(h.events)); err != nil {
		return nil, err
	}
	return x.replay.diverged, nil
}

func sequence(events []*history.Event) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

// payloadFunc is an engine.PayloadReader.
type payloadFunc func(history.Hash) ([]byte, error)

func (f payloadFunc) Payload(_ context.Context, h history.Hash) ([]byte, error) {
	if f == nil {
		return nil, fmt.Errorf("payload %s is not part of the recording", h)
	}
	return f(h)
}

// resolve gives the event with its data.
func (f payloadFunc) resolve(ctx context.Context, ev *history.Event) (*history.Event, error) {
	if ev.Data != nil || ev.DataRef.IsZero() {
		return ev, nil
	}
	b, err := f.Payload(ctx, ev.DataRef)
	if err != nil {
		return nil, err
	}
	whole := *ev
	whole.Data, whole.DataRef = b, history.Hash{}
	return &whole, nil
}
