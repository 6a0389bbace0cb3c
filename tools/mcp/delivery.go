package mcp

import (
	"context"
	"sync/atomic"
)

// delivery is how far the request of one call has come. It decides whether a call that failed may be made again.
type delivery struct {
	state atomic.Int32
	code  atomic.Int32                // HTTP status, if there was one
	lost  atomic.Pointer[atomic.Bool] // whether the connection that it went through is; nil: there is no telling
}

// States of a delivery, each after the one before.
const (
	unsent   = iota // nothing has left
	sent            // it may have arrived
	refused         // it has arrived, and was turned away unread
	accepted        // it has arrived, or there is no telling more
)

type deliveryKey struct{}

// withDelivery notes in d what becomes of the request that is made with the context.
func withDelivery(ctx context.Context, d *delivery) context.Context {
	return context.WithValue(ctx, deliveryKey{}, d)
}

func deliveryOf(ctx context.Context) *delivery {
	d, _ := ctx.Value(deliveryKey{}).(*delivery)
	return d
}

func (d *delivery) left() { d.state.CompareAndSwap(unsent, sent) }

func (d *delivery) accepted() {
	if !d.state.CompareAndSwap(sent, accepted) {
		d.state.CompareAndSwap(refused, accepted) // by its status only
	}
}

// status takes the answer to the request over HTTP. Only the first counts: a cancellation comes with the same
// context.
func (d *delivery) status(code int) {
	if !d.code.CompareAndSwap(0, int32(code)) {
		return
	}
	switch {
	case code >= 200 && code < 300:
		d.state.Store(accepted)
	case code >= 400 && code < 500:
		d.state.Store(refused)
	}
}

// harmless reports whether the server cannot have done what it was asked to.
func (d *delivery) harmless() bool {
	s := d.state.Load()
	return s == unsent || s == refused
}

// kept reports whether nothing has left.
func (d *delivery) kept() bool { return d.state.Load() == unsent }

// answered reports whether an error from the server can be its answer to the call.
func (d *delivery) answered() bool { return d.state.Load() == accepted }

// unreadable reports whether what failed can only be the answer: the connection that it came through is there.
func (d *delivery) unreadable() bool {
	lost := d.lost.Load()
	return lost != nil && !lost.Load()
}

// forgotten reports whether the server no longer knows the session: it says 404, or 400 as older servers do.
func (d *delivery) forgotten() bool {
	code := d.code.Load()
	return d.state.Load() == refused && (code == 404 || code == 400)
}
