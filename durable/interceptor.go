package durable

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Interceptor is code around everything of a kind that a program does: checks,
// counters, log records, values that travel along. Fields that are nil are left out.
// Each function but Call is given the next one, calls it once, more often or not at
// all, and may change what goes in and what comes out. [Options.Interceptors] has
// them in order, the first one outermost.
//
// Values that are to travel, as headers do, are put into tags: those of an instance
// go over to its children by themselves, and Call puts them on activities.
//
// Inputs and results are bytes here, as they are stored: JSON. The functions may be
// called from several goroutines at once.
type Interceptor struct {
	// Client wraps the calls of a [Client] that change something.
	Client func(ctx context.Context, c *ClientCall, next ClientFunc) error
	// Orchestration wraps the function of each execution. It is replayed with it, so
	// the rules of orchestrations hold for it too, and the steps that it takes are
	// steps of the instance. The error may be that of [Context.ContinueAsNew], see
	// [ContinuesAsNew].
	Orchestration func(ctx *Context, c *OrchestrationCall, next OrchestrationFunc) (history.Payload, error)
	// Call is told of each activity and child that an orchestration is about to
	// start, also in replays, and may change its tags.
	Call func(ctx *Context, c *OutgoingCall)
	// Activity wraps the function of an activity, each attempt of it. [Info] knows
	// more of the call.
	Activity func(ctx context.Context, c *ActivityCall, next ActivityFunc) (history.Payload, error)
	// Entity wraps one operation on an entity. What it does with ctx, it does as a
	// part of the operation.
	Entity func(ctx *EntityContext, c *EntityCall, next EntityFunc) (history.Payload, error)
}

// What interceptors are given to go on with.
type (
	// ClientFunc goes on with a client's call.
	ClientFunc func(context.Context, *ClientCall) error
	// OrchestrationFunc goes on with an orchestration.
	OrchestrationFunc func(*Context, *OrchestrationCall) (history.Payload, error)
	// ActivityFunc goes on with an activity.
	ActivityFunc func(context.Context, *ActivityCall) (history.Payload, error)
	// EntityFunc goes on with an operation.
	EntityFunc func(*EntityContext, *EntityCall) (history.Payload, error)
)

// OrchestrationCall is an execution of an orchestration that begins. Its context
// knows the rest.
type OrchestrationCall struct{ Input history.Payload }

// ActivityCall is an attempt at an activity.
type ActivityCall struct {
	Name  string
	Input history.Payload
}

// EntityCall is an operation on an entity.
type EntityCall struct {
	Operation string // as the caller wrote it
	Input     history.Payload
	Signal    bool // nobody waits for the result
}

// OutgoingCall is an activity or a child that an orchestration is about to start.
type OutgoingCall struct {
	Name  string            // of the activity or orchestration
	Child bool              // it is an orchestration
	Tags  map[string]string // what it gets; never nil, and its own
}

// ContinuesAsNew reports whether an orchestration's error is the one that makes it
// continue as new.
func ContinuesAsNew(err error) bool {
	var again *continueAsNew
	return errors.As(err, &again)
}

// around puts interceptors around a function, the first one outermost.
func around[F any](list []Interceptor, inner F, wrap func(i *Interceptor, next F) F) F {
	for i := range slices.Backward(list) {
		inner = wrap(&list[i], inner)
	}
	return inner
}

// runBody runs the function of an execution.
func (r *registry) runBody(def *orchestration, ctx *Context, input history.Payload) (history.Payload, error) {
	if len(r.interceptors) == 0 {
		return def.body(ctx, input)
	}
	var inner OrchestrationFunc = func(ctx *Context, c *OrchestrationCall) (history.Payload, error) { return def.body(ctx, c.Input) }
	return around(r.interceptors, inner, func(i *Interceptor, next OrchestrationFunc) OrchestrationFunc {
		if i.Orchestration == nil {
			return next
		}
		return func(ctx *Context, c *OrchestrationCall) (history.Payload, error) {
			return i.Orchestration(ctx, c, next)
		}
	})(ctx, &OrchestrationCall{input})
}

// runActivity runs the function of an activity.
func (r *registry) runActivity(ctx context.Context, def *activity, input history.Payload) (history.Payload, error) {
	if len(r.interceptors) == 0 {
		return def.run(ctx, input)
	}
	var inner ActivityFunc = func(ctx context.Context, c *ActivityCall) (history.Payload, error) { return def.run(ctx, c.Input) }
	return around(r.interceptors, inner, func(i *Interceptor, next ActivityFunc) ActivityFunc {
		if i.Activity == nil {
			return next
		}
		return func(ctx context.Context, c *ActivityCall) (history.Payload, error) { return i.Activity(ctx, c, next) }
	})(ctx, &ActivityCall{def.name, input})
}

// runOperation runs the function of an operation. The state after is that of its
// last call; an operation that no interceptor let through leaves it as it was.
func (r *registry) runOperation(fn operationFunc, ctx *EntityContext, before history.Payload, op *history.Event) (state, result history.Payload, err error) {
	if len(r.interceptors) == 0 {
		return fn(ctx, before, op.Data)
	}
	return r.interceptOperation(fn, ctx, before, op)
}

func (r *registry) interceptOperation(fn operationFunc, ctx *EntityContext, before history.Payload, op *history.Event) (state, result history.Payload, err error) {
	state = before
	var inner EntityFunc = func(ctx *EntityContext, c *EntityCall) (result history.Payload, err error) {
		state, result, err = fn(ctx, before, c.Input)
		return result, err
	}
	result, err = around(r.interceptors, inner, func(i *Interceptor, next EntityFunc) EntityFunc {
		if i.Entity == nil {
			return next
		}
		return func(ctx *EntityContext, c *EntityCall) (history.Payload, error) { return i.Entity(ctx, c, next) }
	})(ctx, &EntityCall{op.Name, op.Data, op.Kind == history.EntityOperationSignaled})
	return state, result, err
}

// outgoing gives the tags of an activity or child that is about to start.
func (r *registry) outgoing(ctx *Context, name string, child bool, tags map[string]string) map[string]string {
	if len(r.interceptors) == 0 || ctx.x.unwinding {
		return tags
	}
	c := &OutgoingCall{Name: name, Child: child, Tags: maps.Clone(tags)}
	if c.Tags == nil {
		c.Tags = map[string]string{}
	}
	for i := range r.interceptors {
		if call := r.interceptors[i].Call; call != nil {
			call(ctx, c)
		}
	}
	if len(c.Tags) == 0 {
		return nil
	}
	return c.Tags
}
