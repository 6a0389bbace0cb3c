package durable

import (
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// SignalOption changes one signal to an entity.
type SignalOption func(*signalOptions)

type signalOptions struct{ at time.Time }

func signalOptionsOf(opts []SignalOption) (o signalOptions) {
	for _, f := range opts {
		f(&o)
	}
	return o
}

// WithDeliverAt keeps a signal back until a point in time; one that is past means
// now. The signal is on disk all the while and costs nothing else; the entity
// does not exist because of it before it is delivered. Signals that are due at the
// same time are delivered in the order in which they were sent.
func WithDeliverAt(t time.Time) SignalOption {
	return func(o *signalOptions) { o.at = t.UTC().Round(0) }
}

// CallEntity calls an operation of an entity by the entity's id, @name@key, and
// the operation's name, and waits for its result. It is for entities that are
// defined elsewhere; see [Op.Call] for those defined here.
func CallEntity[Out any](ctx *Context, id, op string, in any) (Out, error) {
	return StartEntity[Out](ctx, id, op, in).Await()
}

// StartEntity is CallEntity beside what follows.
func StartEntity[Out any](ctx *Context, id, op string, in any) *Task[Out] {
	x := ctx.x
	label := label{kind: "operation", name: op, of: id}
	c := ctx.newCompletion(label)
	t := &Task[Out]{c, func(p history.Payload) (Out, error) { return decode[Out](p, "result of operation ", op, " of ", id) }}
	if c.done {
		return t
	}
	target, err := engine.EntityID(id)
	if err == nil {
		err = x.section.mayCall(target)
	}
	if err != nil {
		c.complete(nil, fmt.Errorf("%s: %w", label, NonRetriable(err)))
		return t
	}
	input, err := encode(in)
	if err != nil {
		c.complete(nil, fmt.Errorf("input of %s: %w", label, err))
		return t
	}
	ev := x.emit(&history.Event{Kind: history.EntityOperationCalled, Name: op, Target: target, Request: x.guid(), Data: input,
		Sender: x.instance})
	c.source, c.target = fromEntity, ev.Request
	if x.requests == nil {
		x.requests = map[string]*completion{}
	}
	x.requests[ev.Request] = c
	x.section.called(target, ev.Request)
	return t
}

// SignalEntity sends an operation to an entity, by the entity's id, @name@key, and
// the operation's name, and does not wait: its result is dropped.
func SignalEntity(ctx *Context, id, op string, in any, opts ...SignalOption) error {
	ev, err := signal(id, op, in, opts)
	if err == nil {
		if err = ctx.x.section.maySignal(ev.Target); err != nil {
			err = fmt.Errorf("signal %s: %w", op, err)
		}
	}
	if err != nil {
		return err
	}
	ev.Request = ctx.x.guid()
	ctx.x.emit(ev)
	return nil
}

// Signal sends an operation to another entity, or to this one, by the entity's id,
// @name@key, and the operation's name. It is sent when the operation has
// succeeded, and not if it fails.
func (ctx *EntityContext) Signal(id, op string, in any, opts ...SignalOption) error {
	ev, err := signal(id, op, in, opts)
	if err == nil {
		ctx.sent = append(ctx.sent, ev)
	}
	return err
}

// signal makes the event of a signal, without its request.
func signal(id, op string, in any, opts []SignalOption) (*history.Event, error) {
	target, err := engine.EntityID(id)
	if err != nil {
		return nil, fmt.Errorf("signal %s: %w", op, NonRetriable(err))
	}
	input, err := encode(in)
	if err != nil {
		return nil, fmt.Errorf("input of operation %s: %w", op, err)
	}
	return &history.Event{Kind: history.EntityOperationSignaled, Name: op, Target: target, Data: input, FireAt: signalOptionsOf(opts).at}, nil
}
