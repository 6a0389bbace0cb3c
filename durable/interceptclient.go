package durable

import (
	"context"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// ClientOp is a call of a client that changes something.
type ClientOp string

// The calls that [Interceptor.Client] wraps.
const (
	ClientSchedule  ClientOp = "schedule"
	ClientRaise     ClientOp = "raise"
	ClientSignal    ClientOp = "signal"
	ClientTerminate ClientOp = "terminate"
	ClientSuspend   ClientOp = "suspend"
	ClientResume    ClientOp = "resume"
	ClientRestart   ClientOp = "restart"
	ClientRewind    ClientOp = "rewind"
	ClientPurge     ClientOp = "purge" // one call for each instance
)

// ClientCall is one of them.
type ClientCall struct {
	Op ClientOp
	// Instance is whom it is for: an orchestration or, for a signal, an entity. For
	// ClientSchedule it may be "" until next has returned, and for ClientRestart it is
	// the id of the new run then.
	Instance string
	Name     string            // of the orchestration, event or operation
	Version  string            // ClientSchedule
	Tags     map[string]string // ClientSchedule; nil for none
	Input    history.Payload   // or event data, output, reason
	Recurse  bool              // ClientTerminate, ClientPurge
	At       time.Time         // ClientSchedule, ClientSignal: not before; zero: at once
}

// newClient makes the client of a program with the definitions of r.
func newClient(h taskhub.Hub, r *registry) *Client {
	for _, i := range r.interceptors {
		if i.Client != nil {
			return &Client{&interceptedHub{h, r.interceptors}, r}
		}
	}
	return &Client{h, r}
}

// interceptedHub is a hub with interceptors before what changes something.
type interceptedHub struct {
	taskhub.Hub
	list []Interceptor
}

func (h *interceptedHub) do(ctx context.Context, c *ClientCall, call ClientFunc) error {
	return around(h.list, call, func(i *Interceptor, next ClientFunc) ClientFunc {
		if i.Client == nil {
			return next
		}
		return func(ctx context.Context, c *ClientCall) error { return i.Client(ctx, c, next) }
	})(ctx, c)
}

func (h *interceptedHub) Start(ctx context.Context, s engine.Start) (string, error) {
	c := &ClientCall{Op: ClientSchedule, Instance: s.ID, Name: s.Name, Version: s.Version, Tags: s.Tags, Input: s.Input, At: s.At}
	err := h.do(ctx, c, func(ctx context.Context, c *ClientCall) (err error) {
		s.ID, s.Name, s.Version, s.Tags, s.Input, s.At = c.Instance, c.Name, c.Version, c.Tags, c.Input, c.At
		c.Instance, err = h.Hub.Start(ctx, s)
		return err
	})
	return c.Instance, err
}

func (h *interceptedHub) Raise(ctx context.Context, id, name string, data history.Payload) error {
	return h.do(ctx, &ClientCall{Op: ClientRaise, Instance: id, Name: name, Input: data}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Raise(ctx, c.Instance, c.Name, c.Input)
	})
}

func (h *interceptedHub) Signal(ctx context.Context, id, op string, input history.Payload, at time.Time) error {
	return h.do(ctx, &ClientCall{Op: ClientSignal, Instance: id, Name: op, Input: input, At: at}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Signal(ctx, c.Instance, c.Name, c.Input, c.At)
	})
}

func (h *interceptedHub) Restart(ctx context.Context, id string, newID bool) (string, error) {
	c := &ClientCall{Op: ClientRestart, Instance: id}
	err := h.do(ctx, c, func(ctx context.Context, c *ClientCall) (err error) {
		c.Instance, err = h.Hub.Restart(ctx, c.Instance, newID)
		return err
	})
	return c.Instance, err
}

func (h *interceptedHub) Rewind(ctx context.Context, id, reason string) error {
	return h.do(ctx, &ClientCall{Op: ClientRewind, Instance: id, Input: history.Payload(reason)}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Rewind(ctx, c.Instance, string(c.Input))
	})
}

func (h *interceptedHub) Purge(ctx context.Context, ids []string, recurse bool) (purged int, err error) {
	for _, id := range ids {
		err = h.do(ctx, &ClientCall{Op: ClientPurge, Instance: id, Recurse: recurse}, func(ctx context.Context, c *ClientCall) error {
			n, err := h.Hub.Purge(ctx, []string{c.Instance}, c.Recurse)
			purged += n
			return err
		})
		if err != nil {
			return purged, err
		}
	}
	return purged, nil
}

func (h *interceptedHub) Terminate(ctx context.Context, id string, output history.Payload, recurse bool) error {
	return h.do(ctx, &ClientCall{Op: ClientTerminate, Instance: id, Input: output, Recurse: recurse}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Terminate(ctx, c.Instance, c.Input, c.Recurse)
	})
}

func (h *interceptedHub) Suspend(ctx context.Context, id string, reason history.Payload) error {
	return h.do(ctx, &ClientCall{Op: ClientSuspend, Instance: id, Input: reason}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Suspend(ctx, c.Instance, c.Input)
	})
}

func (h *interceptedHub) Resume(ctx context.Context, id string, reason history.Payload) error {
	return h.do(ctx, &ClientCall{Op: ClientResume, Instance: id, Input: reason}, func(ctx context.Context, c *ClientCall) error {
		return h.Hub.Resume(ctx, c.Instance, c.Input)
	})
}
