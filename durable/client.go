package durable

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// Errors of a client; use errors.Is.
var (
	// ErrNotFound: there is no such instance or entity.
	ErrNotFound = engine.ErrNotFound
	// ErrExists: the instance id is taken.
	ErrExists = engine.ErrExists
	// ErrNotEnded: the instance runs, or waits, and what was asked for is for those
	// that have ended.
	ErrNotEnded = engine.ErrNotEnded
	// ErrSetAside: what the store has of the instance cannot be read. Everything else
	// goes on; when its data is repaired and the program started again, so does it.
	ErrSetAside = engine.ErrSetAside
	// ErrCannotRewind: the instance has not failed, or its code does not replay
	// without its failures.
	ErrCannotRewind = engine.ErrCannotRewind
	// ErrInvalid: an argument cannot be right, whatever the state of the hub.
	ErrInvalid = engine.ErrInvalid
)

// IsNotFound reports whether err says that there is no such instance, entity or
// payload.
func IsNotFound(err error) bool {
	return errors.Is(err, ErrNotFound) || errors.Is(err, store.ErrNotFound)
}

// Client starts and steers instances of a task hub, in this process or another.
// Its methods may be called from any goroutine. Those that change something
// return when the change is on disk; when their context ends first, it may still
// take effect.
type Client struct {
	hub  taskhub.Hub
	defs *registry // of the program that it is in
}

// State is what a client sees of an instance.
type State struct {
	engine.State
	errors *errorTable
}

// EntityState is what a client sees of an entity.
type EntityState = engine.EntityState

// Schedule starts an instance of the orchestration with this name.
func (c *Client) Schedule(ctx context.Context, name string, in any, opts ...CallOption) (string, error) {
	input, err := encode(in)
	if err != nil {
		return "", fmt.Errorf("input of orchestration %s: %w", name, err)
	}
	o, err := optionsOf(ofStart, opts)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	trace, end := startCreateSpan(ctx, name, o.version)
	id, err := c.hub.Start(ctx, engine.Start{ID: o.instance, Name: name, Version: o.version, Input: input, Tags: o.tags, Trace: trace, At: o.startAt, Reuse: o.reuse})
	end(id, err)
	if err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	return id, nil
}

// RaiseEvent sends an external event to an instance. One that has ended drops it.
func (c *Client) RaiseEvent(ctx context.Context, id, name string, data any) error {
	p, err := encode(data)
	if err != nil {
		return fmt.Errorf("event %s: %w", name, err)
	}
	return c.hub.Raise(ctx, id, name, p)
}

// Cancel asks an instance to end itself: the scope of its Context is cancelled, so
// that what it waits for ends with an error for which errors.Is(err,
// [context.Canceled]) is true, and its children are asked likewise. It may clean up,
// see [Context.WithoutCancel]. If it then gives such an error back, its status is
// Canceled; whatever else it gives back counts as usual. The reason is part of the
// error; "" is none.
//
// It is cooperative: an orchestration that goes on does so, and one in another
// language sees the external event [CancelEvent]. One that has ended stays as it is.
func (c *Client) Cancel(ctx context.Context, id, reason string) error {
	return c.RaiseEvent(ctx, id, CancelEvent, reason)
}

// Terminate ends an instance without running more of its code; output, any JSON
// value, becomes its output. With recurse its children end likewise, at every
// depth. An instance that has ended stays as it is.
func (c *Client) Terminate(ctx context.Context, id string, output any, recurse bool) error {
	p, err := encode(output)
	if err != nil {
		return fmt.Errorf("output of %s: %w", id, err)
	}
	return c.hub.Terminate(ctx, id, p, recurse)
}

// Suspend keeps an instance from going on until Resume. What arrives meanwhile is
// recorded and waits.
func (c *Client) Suspend(ctx context.Context, id, reason string) error {
	return c.hub.Suspend(ctx, id, history.Payload(reason))
}

// Resume lets a suspended instance go on.
func (c *Client) Resume(ctx context.Context, id, reason string) error {
	return c.hub.Resume(ctx, id, history.Payload(reason))
}

// Signal sends an operation to an entity, by id and name; see [Op.Send].
func (c *Client) Signal(ctx context.Context, entityID, op string, in any, opts ...SignalOption) error {
	p, err := encode(in)
	if err != nil {
		return fmt.Errorf("input of operation %s: %w", op, err)
	}
	return c.hub.Signal(ctx, entityID, op, p, signalOptionsOf(opts).at)
}

// Get gives an instance's state, with its input and output.
func (c *Client) Get(ctx context.Context, id string) (*State, error) {
	return c.state(c.hub.Get(ctx, id, true))
}

// Wait waits until an instance has ended and gives its state. It waits also for
// one that does not exist yet.
func (c *Client) Wait(ctx context.Context, id string) (*State, error) {
	return c.state(c.hub.Wait(ctx, id))
}

func (c *Client) state(s *engine.State, err error) (*State, error) {
	if err != nil {
		return nil, err
	}
	return &State{*s, &c.defs.errors}, nil
}

// Query selects instances; its zero value selects all.
type Query struct {
	TopLevel    bool             // without children
	Parent      string           // id of the instance that started them as children; "": any
	Prefix      string           // of the id
	Names       []string         // any of these orchestrations
	Statuses    []history.Status // any of these
	CreatedFrom time.Time        // from <= created
	CreatedTo   time.Time        // created < to
	// CompletedFrom <= completed < CompletedTo: with either, only those that ended.
	CompletedFrom, CompletedTo time.Time

	Tags   map[string]string // all of these
	Newest bool              // newest first, instead of oldest first
	Data   bool              // with inputs and outputs
}

func (q *Query) inStore() store.Query {
	return store.Query{
		TopLevel: q.TopLevel, Parent: q.Parent, Prefix: q.Prefix, Names: q.Names, Statuses: q.Statuses,
		CreatedFrom: q.CreatedFrom, CreatedTo: q.CreatedTo, CompletedFrom: q.CompletedFrom, CompletedTo: q.CompletedTo,
		Tags: q.Tags, Newest: q.Newest,
	}
}

// Query lists instances, page by page as the sequence is read.
func (c *Client) Query(ctx context.Context, q Query) iter.Seq2[*State, error] {
	sq := q.inStore()
	return pages(func(token string) ([]*State, string, error) {
		sq.Token = token
		return c.page(ctx, sq, q.Data)
	})
}

// Entity gives an entity's state; an error for which IsNotFound is true if it has
// none.
func (c *Client) Entity(ctx context.Context, id string) (*EntityState, error) {
	return c.hub.Entity(ctx, id)
}

// pages makes one sequence of a paged answer.
func pages[T any](page func(token string) ([]T, string, error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for token := ""; ; {
			items, next, err := page(token)
			if err != nil {
				var zero T
				yield(zero, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}

// Executions lists the ids of an instance's executions, oldest first; the last
// one is the current.
func (c *Client) Executions(ctx context.Context, id string) ([]string, error) {
	return c.hub.Executions(ctx, id)
}

// History streams the committed history of one execution of an instance; "" is
// the current one.
func (c *Client) History(ctx context.Context, id, execution string) iter.Seq2[*history.Event, error] {
	return c.hub.History(ctx, id, execution)
}

// HistoryFrom is History from the event with a number on, counted from 0: those before
// it cost next to nothing.
func (c *Client) HistoryFrom(ctx context.Context, id, execution string, number int) iter.Seq2[*history.Event, error] {
	return c.hub.HistoryFrom(ctx, id, execution, number)
}

// Load reads a payload. The caller must not change it.
func (c *Client) Load(ctx context.Context, r Ref) ([]byte, error) { return c.hub.Payload(ctx, r.Hash) }
