package durable

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Ref names a payload that is stored apart, once, by the hash of its content.
// Inputs, results and entity states that hold a Ref instead of the value stay
// small however often the value is passed on.
type Ref struct {
	Hash history.Hash `json:"hash"`
	Size int          `json:"size"` // bytes
}

// IsZero reports whether the Ref names nothing.
func (r Ref) IsZero() bool { return r.Hash.IsZero() }

func refOf(data []byte) (Ref, engine.Piece) {
	h := history.HashOf(data)
	return Ref{h, len(data)}, engine.Piece{Hash: h, Data: data}
}

// Store keeps data as a payload from within an activity. It is on disk together
// with the activity's result, and not before; if the activity fails or the
// process ends, it was never stored. The caller must not change data afterwards.
func Store(ctx context.Context, data []byte) (Ref, error) {
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return Ref{}, errors.New("durable.Store is for activities: this context is not of one")
	}
	return Ref{c.Store(data), len(data)}, nil
}

// Load reads a payload from within an activity. The caller must not change it.
func Load(ctx context.Context, r Ref) ([]byte, error) {
	c, ok := ctx.Value(callKey{}).(*engine.Call)
	if !ok {
		return nil, errors.New("durable.Load is for activities: this context is not of one")
	}
	return load(ctx, c.Payloads, r)
}

func load(ctx context.Context, p engine.PayloadReader, r Ref) ([]byte, error) {
	if r.IsZero() {
		return nil, fmt.Errorf("payload: the reference is empty")
	}
	return p.Payload(ctx, r.Hash)
}

// Store keeps data as a payload, together with the turn.
func (ctx *Context) Store(data []byte) Ref {
	r, piece := refOf(data)
	if !ctx.x.replaying && !ctx.x.unwinding {
		ctx.x.turn.Pieces = append(ctx.x.turn.Pieces, piece)
		ctx.x.pieces = append(ctx.x.pieces, piece)
	}
	return r
}

// Load reads a payload. It waits for nothing but the disk, and gives the same in
// each replay, since a Ref names the content.
func (ctx *Context) Load(r Ref) ([]byte, error) {
	if ctx.x.unwinding {
		return nil, errUnwinding
	}
	for _, p := range ctx.x.pieces { // stored in this very turn
		if p.Hash == r.Hash {
			return p.Data, nil
		}
	}
	return load(context.Background(), ctx.x.turn.Payloads, r)
}

// Store keeps data as a payload, together with the operation.
func (ctx *EntityContext) Store(data []byte) Ref {
	r, piece := refOf(data)
	ctx.pieces = append(ctx.pieces, piece)
	return r
}

// Keep makes the entity an owner of a payload that was stored elsewhere and that
// its state refers to from now on: a payload lives as long as one owner does.
func (ctx *EntityContext) Keep(r Ref) { ctx.keep = append(ctx.keep, r.Hash) }

// Release ends the entity's ownership of a payload that it stored or kept, all places
// of its state that refer to it together: nobody counts them. The payload is gone from
// the store when its last owner has released it, has been deleted or purged. Storing or
// keeping it again, later in the operation or in another one, takes that back.
//
// Instances own what they and their activities stored, and what is in their histories,
// until they are purged ([Client.Purge]).
func (ctx *EntityContext) Release(r Ref) {
	ctx.keep = slices.DeleteFunc(ctx.keep, func(h history.Hash) bool { return h == r.Hash })
	ctx.pieces = slices.DeleteFunc(ctx.pieces, func(p engine.Piece) bool { return p.Hash == r.Hash })
	ctx.release = append(ctx.release, r.Hash)
}

// Load reads a payload.
func (ctx *EntityContext) Load(r Ref) ([]byte, error) {
	for _, p := range append(ctx.pieces, ctx.batch.Pieces...) {
		if p.Hash == r.Hash {
			return p.Data, nil
		}
	}
	return load(context.Background(), ctx.batch.Payloads, r)
}
