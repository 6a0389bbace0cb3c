package memory

import (
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Deletion is what [Delete] takes.
type Deletion struct {
	Version int64 `json:"version,omitempty"` // that the conversation must have; 0: any
}

// Delete ends a conversation: its state is gone, and with it every payload that nobody
// else keeps. Forks stay, and runs keep what their histories have, as after [Redact].
// The id is free again.
var Delete = durable.Operation(Conversation, "delete", func(ctx *durable.EntityContext, s *State, in Deletion) (struct{}, error) {
	if err := s.at(ctx, in.Version); err != nil {
		return struct{}{}, err
	}
	s.delete(ctx)
	return struct{}{}, nil
})

// delete removes the state. While a signal of the entity to itself is under way, of a time
// to live that was longer once or of a conversation that had the id before, the entity does
// not vanish, so it gives its payloads up by itself. What cannot be read of the list must
// not keep it from being deleted: that goes with the entity.
func (s *State) delete(ctx *durable.EntityContext) {
	ctx.Delete()
	if s.Head.Length > 0 {
		_ = owned(ctx.Load, s.Head, ctx.Release)
	}
}

// Lifetime is what [SetTTL] takes.
type Lifetime struct {
	// TTL is how long the conversation lives after its last change, from now on; 0 is for
	// ever.
	TTL     time.Duration `json:"ttl"`               // nanoseconds
	Version int64         `json:"version,omitempty"` // that the conversation must have; 0: any
}

// SetTTL gives a conversation a time to live. When that has passed since its last change,
// it deletes itself, at the moment or when a program has the hub open again.
var SetTTL = durable.Operation(Conversation, "ttl", func(ctx *durable.EntityContext, s *State, in Lifetime) (struct{}, error) {
	if err := s.at(ctx, in.Version); err != nil {
		return struct{}{}, err
	}
	switch {
	case s.Version == 0:
		return struct{}{}, fmt.Errorf("conversation %s does not exist", ctx.Key())
	case in.TTL < 0:
		return struct{}{}, fmt.Errorf("a time to live of %v is in the past: delete the conversation", in.TTL)
	}
	if s.TTL = in.TTL; s.TTL == 0 {
		s.Touched = time.Time{}
	}
	s.changed(ctx)
	return struct{}{}, s.arm(ctx)
})

// expireName is the signal that a conversation with a time to live sends to itself.
const expireName = "expire"

var _ = durable.Operation(Conversation, expireName, func(ctx *durable.EntityContext, s *State, _ struct{}) (struct{}, error) {
	switch {
	case s.Version == 0: // deleted since
		ctx.Delete()
		return struct{}{}, nil
	case ctx.Now().Before(s.Timer): // of an earlier timer, or of a conversation that had the id before
		return struct{}{}, nil
	}
	s.Timer = time.Time{}
	if s.TTL > 0 && !ctx.Now().Before(s.Touched.Add(s.TTL)) {
		s.delete(ctx)
		return struct{}{}, nil
	}
	return struct{}{}, s.arm(ctx)
})

// arm sees to it that the entity looks after its time to live when that may have passed.
// One signal is under way at a time, however often the conversation changes, but for a
// time to live that becomes shorter.
func (s *State) arm(ctx *durable.EntityContext) error {
	if s.TTL == 0 {
		return nil
	}
	due := s.Touched.Add(s.TTL)
	if !s.Timer.IsZero() && !s.Timer.After(due) {
		return nil
	}
	s.Timer = due
	return ctx.Signal(ctx.ID(), expireName, struct{}{}, durable.WithDeliverAt(due))
}
