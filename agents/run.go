package agents

import (
	"cmp"
	"context"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/durable"
)

// Runtime runs agents, and orchestrations of them, in this process.
type Runtime struct {
	*durable.Runtime
	stream *Stream
}

// Open opens a runtime for agents and other definitions. Of the options, OnDelta,
// OnProgress and OnTurn may be set too: they are called beside the runtime's own.
func Open(ctx context.Context, url string, o Options, do durable.Options, list []*Agent, defs ...durable.Definition) (*Runtime, error) {
	s := NewStream()
	delta, progress, turn := o.OnDelta, o.OnProgress, do.OnTurn
	o.OnDelta = func(d Delta) {
		s.OnDelta(d)
		if delta != nil {
			delta(d)
		}
	}
	o.OnProgress = func(p Progress) {
		s.OnProgress(p)
		if progress != nil {
			progress(p)
		}
	}
	do.OnTurn = func(r durable.Recorded) {
		s.OnTurn(r)
		if turn != nil {
			turn(r)
		}
	}
	rt, err := durable.OpenWith(ctx, url, do, append([]durable.Definition{Define(o, list...)}, defs...)...)
	if err != nil {
		return nil, err
	}
	return &Runtime{rt, s}, nil
}

// Stream is the runtime's stream of events.
func (rt *Runtime) Stream() *Stream { return rt.stream }

// Schedule starts a run of the agent and gives its id. When it returns, the run
// is on disk.
func (a *Agent) Schedule(ctx context.Context, c *durable.Client, input any, opts ...CallOption) (string, error) {
	in, call, err := prepare(input, opts)
	if err != nil {
		return "", err
	}
	return a.run.Schedule(ctx, c, in, call...)
}

// Wait waits until a run has ended and gives its result.
func (a *Agent) Wait(ctx context.Context, c *durable.Client, id string) (Result, error) {
	return a.run.Wait(ctx, c, id)
}

// Run starts a run of the agent and gives its events as they come, see [Follow]; the
// last one is of kind EventEnd and has the result, or else the sequence ends with an
// error. Leaving the loop leaves the run going; it is in the store, and Follow goes on
// with the Cursor of the last event. It may be ranged over once.
func (a *Agent) Run(ctx context.Context, rt *Runtime, input any, opts ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		id, err := a.Schedule(ctx, rt.Client(), input, opts...)
		if err != nil {
			yield(Event{}, err)
			return
		}
		for ev, err := range Follow(ctx, rt.Client(), id, "") {
			if err == nil && ev.Kind == EventEnd && ev.Error != "" {
				_, err = a.Wait(ctx, rt.Client(), id) // it says more than the text
				err = cmp.Or(err, fmt.Errorf("agent %s: %s", a.config.Name, ev.Error))
			}
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// Events gives the events as they come, to that of the run's end.
func (f *Follower) Events(ctx context.Context, rt *Runtime) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			for _, ev := range f.Take() {
				if !yield(ev, nil) || ev.Kind == EventEnd {
					return
				}
			}
			select {
			case <-f.ready:
			case <-ctx.Done():
				yield(Event{}, ctx.Err())
				return
			case <-rt.Done():
				yield(Event{}, rt.Err())
				return
			}
		}
	}
}
