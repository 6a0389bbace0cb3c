package durable

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Context is what an orchestration may use of the world. Everything that it
// gives is the same each time the orchestration is replayed; what comes from
// elsewhere (the clock, random numbers, files, goroutines) is not, and belongs
// into activities.
//
// A Context belongs to one execution of one orchestration and must be used only
// by its function. It has a scope, which may be cancelled: see [Context.WithCancel]
// and [Client.Cancel].
type Context struct {
	x     *executor
	scope *scope
}

// InstanceID is the id of the instance that runs.
func (ctx *Context) InstanceID() string { return ctx.x.instance.ID }

// ExecutionID is the id of the current execution: 32 hex digits, new after each
// ContinueAsNew. One that was rewound keeps the id here that it had at first.
func (ctx *Context) ExecutionID() string { return ctx.x.instance.Execution }

// Name is the orchestration's name.
func (ctx *Context) Name() string { return ctx.x.def.name }

// Version is the version of the definition that the instance asked for, or "".
func (ctx *Context) Version() string { return ctx.x.begun.version }

// Parent is the id of the instance that started this one as a child, or "".
func (ctx *Context) Parent() string {
	if p := ctx.x.begun.parent; p != nil {
		return p.ID
	}
	return ""
}

// Tags are those that the instance was started with. The caller must not change
// the map.
func (ctx *Context) Tags() map[string]string { return ctx.x.begun.tags }

// Now is the orchestration's clock: the time at which the current turn was
// dispatched. It never runs backwards.
func (ctx *Context) Now() time.Time { return ctx.x.now }

// IsReplaying tells whether the code that runs now ran before, in an earlier
// turn. Nothing that the orchestration decides may depend on it.
func (ctx *Context) IsReplaying() bool { return ctx.x.replaying }

// NewGUID gives a new UUID, the same in each replay.
func (ctx *Context) NewGUID() string { return ctx.x.guid() }

// guid derives UUIDs from the execution and a counter.
func (x *executor) guid() string {
	x.guids++
	b := make([]byte, 0, 64)
	b = append(b, x.instance.ID...)
	b = append(b, 0)
	b = append(b, x.instance.Execution...)
	b = binary.BigEndian.AppendUint64(b, x.guids)
	sum := sha256.Sum256(b)
	return engine.FormatUUID([16]byte(sum[:16]))
}

// Rand is a source of pseudo-random numbers, seeded from the execution: the same in
// each replay. Its numbers are not secret.
func (ctx *Context) Rand() *rand.Rand {
	x := ctx.x
	if x.rand == nil {
		sum := sha256.Sum256([]byte(x.instance.ID + "\x00" + x.instance.Execution))
		x.rand = rand.New(rand.NewPCG(binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])))
	}
	return x.rand
}

// SetCustomStatus sets what clients see as the instance's custom status, as JSON.
// nil, which is null to them, takes back an earlier one. A value that has no JSON form
// fails the orchestration.
func (ctx *Context) SetCustomStatus(v any) {
	p, err := encode(v)
	if p == nil && err == nil {
		p = history.Payload("null") // absent would leave the earlier one
	}
	if err != nil {
		ctx.x.fail(fmt.Errorf("custom status: %w", err))
		return
	}
	ctx.x.custom = p
}

// SendEvent sends an external event to another instance. One that does not exist
// or has ended drops it.
func (ctx *Context) SendEvent(instance, name string, v any) error {
	p, err := encode(v)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	ctx.x.emit(&history.Event{Kind: history.EventSent, Target: instance, Name: name, Data: p})
	return nil
}

// ContinueAsNew ends the execution and begins the next one of the same instance,
// with an empty history and a new input. Return its error as the orchestration's:
//
//	return nil, ctx.ContinueAsNew(next)
//
// External events that nobody has taken go over to the next execution, unless
// [DropEvents] says otherwise; answers to what this one started do not. An
// orchestration that was asked to cancel itself is still asked to in its next
// execution. [WithVersion] makes the next execution one of another version; without
// it the version stays. Other options mean nothing here and are an error.
func (ctx *Context) ContinueAsNew(input any, opts ...CallOption) error {
	p, err := encode(input)
	if err != nil {
		return fmt.Errorf("continue as new: %w", err)
	}
	o, err := optionsOf(ofContinue, opts)
	if err != nil {
		return fmt.Errorf("continue as new: %w", err)
	}
	return &continueAsNew{input: p, version: o.version, dropEvents: o.dropEvents}
}

// continueAsNew travels through the body as an error.
type continueAsNew struct {
	input      history.Payload
	version    string
	dropEvents bool
}

func (*continueAsNew) Error() string { return "the orchestration continues as new" }

// Logger writes log records once: while the orchestration is replayed they are
// dropped. Records carry the instance and the orchestration's name.
func (ctx *Context) Logger() *slog.Logger {
	return slog.New(replaySafe{ctx.x.rt.logger().Handler(), ctx.x}).With("orchestration", ctx.Name(), "instance", ctx.InstanceID())
}

type replaySafe struct {
	slog.Handler
	x *executor
}

func (h replaySafe) Enabled(ctx context.Context, l slog.Level) bool {
	return !h.x.replaying && !h.x.unwinding && h.Handler.Enabled(ctx, l)
}

func (h replaySafe) WithAttrs(a []slog.Attr) slog.Handler {
	return replaySafe{h.Handler.WithAttrs(a), h.x}
}

func (h replaySafe) WithGroup(name string) slog.Handler {
	return replaySafe{h.Handler.WithGroup(name), h.x}
}
