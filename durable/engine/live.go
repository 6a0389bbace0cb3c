package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/live"
)

// MaxLive bounds one message of Publish, in bytes.
const MaxLive = 256 << 10

// Publish tells those who watch an instance something that is kept in memory only, and
// not for long. The caller must not change data afterwards. It neither waits nor asks
// whether there is such an instance.
func (e *Engine) Publish(_ context.Context, id string, data []byte) error {
	if err := checkLive(id, data); err != nil {
		return err
	}
	if e.closing.Load() {
		return e.stopError()
	}
	e.live.Publish(id, data)
	return nil
}

func checkLive(id string, data []byte) error {
	if len(data) > MaxLive {
		return fmt.Errorf("%w: a live message has %d bytes, and may have %d", ErrInvalid, len(data), MaxLive)
	}
	return checkID(id)
}

// Publish tells those who watch the call's instance something, see [Engine.Publish].
func (c *Call) Publish(data []byte) error {
	if c.engine == nil {
		return errNotRunning // nobody's call: a test has made it
	}
	return c.engine.Publish(context.Background(), c.Instance.ID, data)
}

// Watch follows instances and entities: each change says that something of it was
// committed, and brings what was published. It ends with ctx.
func (e *Engine) Watch(ctx context.Context) (live.Watch, error) {
	if e.closing.Load() {
		return nil, e.stopError()
	}
	w := &watch{Watch: e.live.Watch(), e: e, ctx: ctx}
	w.stop = context.AfterFunc(ctx, func() { _ = w.Watch.Close() })
	return w, nil
}

// watch is a bus's watch with the errors of the engine.
type watch struct {
	live.Watch
	e    *Engine
	ctx  context.Context
	stop func() bool
}

func (w *watch) Add(ids ...string) error {
	for _, id := range ids {
		if err := checkID(id); err != nil {
			return err
		}
	}
	return w.explain(w.Watch.Add(ids...))
}

func (w *watch) Next(ctx context.Context) (live.Change, error) {
	c, err := w.Watch.Next(ctx)
	return c, w.explain(err)
}

func (w *watch) Close() error {
	w.stop()
	return w.Watch.Close()
}

func (w *watch) explain(err error) error {
	switch {
	case !errors.Is(err, live.ErrClosed):
		return err
	case w.ctx.Err() != nil:
		return w.ctx.Err()
	case w.e.Err() != nil:
		return w.e.Err()
	}
	return err
}

// tell lets those who watch the change set's instance know that it is committed.
func (e *Engine) tell(cs *changeSet) {
	if cs.in == nil || cs.row == nil {
		return
	}
	e.live.Touch(cs.in.id)
	if cs.wakes && cs.row.Status.Ended() {
		e.live.Forget(cs.in.id)
	}
}
