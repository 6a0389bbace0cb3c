package durable

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Entity is state with a name that outlives every run: an account, a
// conversation, a counter. One operation at a time runs on it, in the order in
// which they were sent. It begins with the zero value of its state.
type Entity[S any] struct {
	def *entity
}

// entity is the untyped definition.
type entity struct {
	name string
	ops  map[string]operationFunc
}

// operationFunc runs one operation: the state before and after, and the result.
type operationFunc func(ctx *EntityContext, state history.Payload, input history.Payload) (newState, result history.Payload, err error)

// NewEntity defines an entity. Its name is lower-cased, as in the protocol, and
// must not be empty or hold an "@".
func NewEntity[S any](name string) *Entity[S] {
	name = strings.ToLower(name)
	if name == "" || strings.Contains(name, "@") {
		panic(fmt.Sprintf("durable: %q is no name for an entity: it must not be empty or hold an @", name))
	}
	return &Entity[S]{&entity{name: name, ops: map[string]operationFunc{}}}
}

func (n *Entity[S]) define(r *registry) error { return r.addEntity(n.def) }

// Name is the entity's name.
func (n *Entity[S]) Name() string { return n.def.name }

// ID is the id of the entity with the given key: @name@key.
func (n *Entity[S]) ID(key string) string { return "@" + n.def.name + "@" + key }

// Get reads the committed state of one entity; false if it has none.
func (n *Entity[S]) Get(ctx context.Context, c *Client, key string) (S, bool, error) {
	var zero S
	s, err := c.Entity(ctx, n.ID(key))
	if IsNotFound(err) || err == nil && s.State == nil { // it may be locked all the same
		return zero, false, nil
	}
	if err != nil {
		return zero, false, err
	}
	v, err := decode[S](s.State, "state of "+n.ID(key))
	return v, err == nil, err
}

// Op is an operation on an entity.
type Op[S, In, Out any] struct {
	entity *Entity[S]
	name   string
}

// Operation defines an operation; its name compares without regard to case. The
// function changes the state in place. If it returns an error or panics, the
// state and everything that it sent are as if it had not run. Define all
// operations before a runtime is opened.
func Operation[S, In, Out any](n *Entity[S], name string, fn func(ctx *EntityContext, state *S, in In) (Out, error)) *Op[S, In, Out] {
	key := strings.ToLower(name)
	if n.def.ops[key] != nil {
		panic(fmt.Sprintf("durable: entity %s has two operations named %s", n.def.name, name))
	}
	n.def.ops[key] = func(ctx *EntityContext, state, input history.Payload) (history.Payload, history.Payload, error) {
		s, err := decode[S](state, "state of ", ctx.id)
		if err != nil {
			return nil, nil, err
		}
		in, err := decode[In](input, "input of operation ", name, " of ", ctx.id)
		if err != nil {
			return nil, nil, err
		}
		out, err := fn(ctx, &s, in)
		if err != nil {
			return nil, nil, err
		}
		result, err := encode(out)
		if err != nil || ctx.deleted {
			return nil, result, err
		}
		next, err := encode(s)
		return next, result, err
	}
	return &Op[S, In, Out]{n, name}
}

// Call runs the operation on the entity with the given key and waits for its
// result.
func (o *Op[S, In, Out]) Call(ctx *Context, key string, in In) (Out, error) {
	return o.Start(ctx, key, in).Await()
}

// Start runs the operation beside what follows.
func (o *Op[S, In, Out]) Start(ctx *Context, key string, in In) *Task[Out] {
	return StartEntity[Out](ctx, o.entity.ID(key), o.name, in)
}

// Signal sends the operation and does not wait: its result is dropped.
func (o *Op[S, In, Out]) Signal(ctx *Context, key string, in In, opts ...SignalOption) error {
	return SignalEntity(ctx, o.entity.ID(key), o.name, in, opts...)
}

// Send signals the entity from a client. When it returns, the operation is on
// disk and runs in its turn.
func (o *Op[S, In, Out]) Send(ctx context.Context, c *Client, key string, in In, opts ...SignalOption) error {
	return c.Signal(ctx, o.entity.ID(key), o.name, in, opts...)
}

// SignalFrom sends the operation from within an operation of an entity. It is sent
// when that operation has succeeded, and not if it fails.
func (o *Op[S, In, Out]) SignalFrom(ctx *EntityContext, key string, in In, opts ...SignalOption) error {
	return ctx.Signal(o.entity.ID(key), o.name, in, opts...)
}

// StartFrom starts an instance from within an operation of an entity. An id that
// is taken drops it.
func (o *Orchestration[In, Out]) StartFrom(ctx *EntityContext, in In, opts ...CallOption) error {
	input, err := encode(in)
	if err != nil {
		return fmt.Errorf("input of orchestration %s: %w", o.def.name, err)
	}
	c, err := optionsOf(ofEntity, o.def.options(opts))
	if err != nil {
		return fmt.Errorf("start %s: %w", o.def.name, err)
	}
	if c.instance != "" {
		if err := engine.CheckInstanceID(c.instance); err != nil {
			return fmt.Errorf("start %s: %w", o.def.name, NonRetriable(err))
		}
	}
	ctx.sent = append(ctx.sent, &history.Event{
		Kind: history.ExecutionStarted, Name: o.def.name, Version: c.version, Data: input, Tags: c.tags,
		Instance: history.Instance{ID: c.instance},
	})
	return nil
}

// EntityContext is what an operation may use beside its state. It is good for
// one operation.
type EntityContext struct {
	id      string
	now     time.Time
	batch   *engine.EntityBatch
	deleted bool
	sent    []*history.Event
	pieces  []engine.Piece
	keep    []history.Hash
	release []history.Hash
}

// ID is the entity's id, @name@key.
func (ctx *EntityContext) ID() string { return ctx.id }

// Key is the key in the entity's id.
func (ctx *EntityContext) Key() string {
	_, key, _ := strings.Cut(ctx.id[1:], "@")
	return key
}

// Now is the time at which the operation was dispatched.
func (ctx *EntityContext) Now() time.Time { return ctx.now }

// Delete removes the entity's state when the operation has succeeded. An entity
// without a state, a lock and messages that wait for it is gone, with the payloads
// that only it kept.
func (ctx *EntityContext) Delete() { ctx.deleted = true }

// run executes a batch for the engine. It does so on a goroutine of its own,
// which an operation may end (runtime.Goexit, as t.FailNow does): that fails the
// operation, and another goroutine goes on with the rest.
func (n *entity) run(r *registry, b *engine.EntityBatch) {
	for len(b.Results) < len(b.Ops) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			for len(b.Results) < len(b.Ops) {
				n.runOne(r, b, b.Ops[len(b.Results)])
			}
		}()
		<-done
	}
}

// errOperationExit is what becomes of an operation that does not return.
var errOperationExit = errors.New("the operation ended its goroutine (runtime.Goexit)")

// runOne executes an operation: all of it, or none where it fails.
func (n *entity) runOne(rt *registry, b *engine.EntityBatch, op *history.Event) {
	ctx := &EntityContext{id: b.ID, now: b.Now, batch: b}
	var state, result history.Payload
	err := errOperationExit
	defer func() {
		if r := recover(); r != nil {
			err = panicError(r)
		}
		if err != nil {
			b.Results = append(b.Results, engine.Outcome{Failure: rt.errors.failure(err)})
			return
		}
		b.State = state
		b.Results = append(b.Results, engine.Outcome{Result: result})
		b.Sent = append(b.Sent, ctx.sent...)
		b.Take(ctx.pieces, ctx.keep, ctx.release)
	}()
	fn := n.ops[strings.ToLower(op.Name)]
	if fn == nil {
		err = NonRetriable(fmt.Errorf("entity %s has no operation %q", n.name, op.Name))
		return
	}
	state, result, err = rt.runOperation(fn, ctx, b.State, op)
}
