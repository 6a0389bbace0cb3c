package durable

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Orchestration is a function that coordinates activities, other orchestrations,
// entities, timers and people, for seconds or months. Its progress survives the
// process: it is replayed from its history, so it must take the same steps each
// time it sees the same history (see [Context]).
type Orchestration[In, Out any] struct {
	def *orchestration
}

// orchestration is the untyped definition.
type orchestration struct {
	name    string
	version string
	body    func(*Context, history.Payload) (history.Payload, error)

	retain time.Duration // see Retain
	note   any           // see Annotate
}

// OrchestrationOption says more about an orchestration at its definition.
type OrchestrationOption func(*orchestration)

// Annotate keeps a value with a definition, for tools that have nothing but
// definitions and want to know what one is made of. It changes nothing else.
func Annotate(v any) OrchestrationOption { return func(o *orchestration) { o.note = v } }

// Annotations gives what the orchestrations among definitions were annotated with, by
// their names. Of several versions, one that is annotated counts.
func Annotations(defs ...Definition) (map[string]any, error) {
	r, err := newRegistry(nil, defs)
	if err != nil {
		return nil, err
	}
	notes := map[string]any{}
	for _, o := range r.orchestrations {
		if o.note != nil {
			notes[o.name] = o.note
		}
	}
	return notes, nil
}

// NewOrchestration defines an orchestration. Its name is how histories refer to
// it.
func NewOrchestration[In, Out any](name string, fn func(ctx *Context, in In) (Out, error), opts ...OrchestrationOption) *Orchestration[In, Out] {
	def := &orchestration{name: name, body: func(ctx *Context, p history.Payload) (history.Payload, error) {
		in, err := decode[In](p, "input of orchestration ", name)
		if err != nil {
			return nil, err
		}
		out, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		return encode(out)
	}}
	for _, o := range opts {
		o(def)
	}
	return &Orchestration[In, Out]{def}
}

func (o *Orchestration[In, Out]) define(r *registry) error { return r.addOrchestration(o.def) }

// Name is the orchestration's name.
func (o *Orchestration[In, Out]) Name() string { return o.def.name }

// Call runs the orchestration as a child and waits for its result.
func (o *Orchestration[In, Out]) Call(ctx *Context, in In, opts ...CallOption) (Out, error) {
	return o.Start(ctx, in, opts...).Await()
}

// Start runs the orchestration as a child, beside what follows. A child goes on
// when its parent ends first, unless the parent is terminated with recurse. When
// the task or its scope is cancelled, the child is asked to cancel itself, as by
// [Client.Cancel].
func (o *Orchestration[In, Out]) Start(ctx *Context, in In, opts ...CallOption) *Task[Out] {
	return StartOrchestration[Out](ctx, o.def.name, in, o.def.options(opts)...)
}

// CallOrchestration calls an orchestration by its name.
func CallOrchestration[Out any](ctx *Context, name string, in any, opts ...CallOption) (Out, error) {
	return StartOrchestration[Out](ctx, name, in, opts...).Await()
}

// StartOrchestration starts an orchestration by its name.
func StartOrchestration[Out any](ctx *Context, name string, in any, opts ...CallOption) *Task[Out] {
	label := label{kind: "orchestration", name: name}
	x := ctx.x
	c := ctx.newCompletion(label)
	t := &Task[Out]{c, func(p history.Payload) (Out, error) { return decode[Out](p, "result of orchestration ", name) }}
	if c.done {
		return t
	}
	o, err := optionsOf(ofChild, opts)
	if err != nil {
		c.complete(nil, fmt.Errorf("%s: %w", label, err))
		return t
	}
	input, err := encode(in)
	if err != nil {
		c.complete(nil, fmt.Errorf("input of %s: %w", label, err))
		return t
	}
	id, tags := o.instance, x.rt.outgoing(ctx, name, true, inherit(x.begun.tags, o.tags))
	a := &attempts{c: c, from: fromChild, policy: o.retry, start: func(int, *history.Event) *history.Event {
		x.replay.anyVersion = o.byDefinition
		target := id // retries reuse a chosen id: a finished child is replaced
		if target == "" {
			target = fmt.Sprintf("%s:%04x", x.instance.Execution, x.nextID)
		}
		return x.emit(&history.Event{
			Kind: history.ChildCreated, Name: name, Version: o.version, Target: target, Data: input, Tags: tags,
		})
	}}
	a.try()
	return t
}

// inherit gives a child its parent's tags, with its own on top, as the SDKs of the
// protocol do.
func inherit(parent, own map[string]string) map[string]string {
	if len(parent) == 0 {
		return own
	}
	tags := maps.Clone(parent)
	maps.Copy(tags, own)
	return tags
}

// Schedule starts an instance and gives its id. When it returns, the instance is
// on disk.
func (o *Orchestration[In, Out]) Schedule(ctx context.Context, c *Client, in In, opts ...CallOption) (string, error) {
	return c.Schedule(ctx, o.def.name, in, o.def.options(opts)...)
}

// Wait waits until an instance has ended and gives its result; a failure is a
// *TaskFailedError (of one that was cancelled, for which errors.Is(err,
// context.Canceled) is true), a termination wraps ErrTerminated. The error of
// ctx says nothing of the instance; errors.As with a *TaskFailedError tells a
// cancelled instance from a cancelled ctx.
func (o *Orchestration[In, Out]) Wait(ctx context.Context, c *Client, id string) (Out, error) {
	var zero Out
	s, err := c.Wait(ctx, id)
	if err != nil {
		return zero, err
	}
	if err := s.Err(); err != nil {
		return zero, err
	}
	return decode[Out](s.Output, "result of orchestration ", o.def.name)
}

// Run schedules an instance and waits for its result.
func (o *Orchestration[In, Out]) Run(ctx context.Context, c *Client, in In, opts ...CallOption) (Out, error) {
	id, err := o.Schedule(ctx, c, in, opts...)
	if err != nil {
		var zero Out
		return zero, err
	}
	return o.Wait(ctx, c, id)
}

// ErrTerminated is wrapped by what Wait gives for an instance that was terminated.
var ErrTerminated = errors.New("the orchestration was terminated")

// Err is the error that an ended instance amounts to; nil when it completed or
// has not ended. It says why only if the state was read with its data, as
// [Client.Get] and [Client.Wait] do, and [Client.Query] with Query.Data.
func (s *State) Err() error {
	switch s.Status {
	case history.Failed:
		f := s.Failure
		if f == nil {
			f = &history.Failure{Message: "read it with its data for the reason"}
		}
		return s.errors.failed("orchestration "+s.Name, f)
	case history.Canceled:
		f := s.Failure
		if f == nil {
			f = &history.Failure{Type: failureCanceled, Message: "it was canceled"}
		}
		return s.errors.failed("orchestration "+s.Name, f)
	case history.Terminated:
		if len(s.Output) > 0 {
			return fmt.Errorf("%w: %s", ErrTerminated, s.Output)
		}
		return ErrTerminated
	}
	return nil
}

// engineOrchestration adapts the definition for the engine.
func (r *registry) engineOrchestration(def *orchestration) engine.Orchestration {
	return engine.Orchestration{Name: def.name, Version: def.version, Retain: def.retain, New: func() engine.Executor { return newExecutor(r, def) }}
}
