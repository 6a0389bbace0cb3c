package durabletest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/live"
)

// Publish reaches those who watch in this life; a crash takes it.
func (h *hub) Publish(ctx context.Context, id string, data []byte) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Publish(ctx, id, data) })
}

func (h *hub) Watch(ctx context.Context) (live.Watch, error) {
	return &watch{h: h, ctx: ctx, ids: map[string]bool{}}, nil
}

// watch goes on in the next life, where everything that it watches may have changed.
type watch struct {
	h   *hub
	ctx context.Context

	mu     sync.Mutex
	ids    map[string]bool
	engine *engine.Engine
	inner  live.Watch // of the engine; nil before the first
}

// of gives the watch of a life.
func (w *watch) of(e *engine.Engine) (live.Watch, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.engine == e {
		return w.inner, nil
	}
	inner, err := e.Watch(w.ctx)
	if err != nil {
		return nil, err
	}
	w.engine, w.inner = e, inner
	return inner, inner.Add(slices.Collect(maps.Keys(w.ids))...)
}

func (w *watch) Add(ids ...string) error {
	return w.change(true, ids, func(inner live.Watch) error { return inner.Add(ids...) })
}

func (w *watch) Remove(ids ...string) error {
	return w.change(false, ids, func(inner live.Watch) error { return inner.Remove(ids...) })
}

func (w *watch) change(wanted bool, ids []string, change func(live.Watch) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		if delete(w.ids, id); wanted {
			w.ids[id] = true
		}
	}
	if w.inner == nil {
		return nil
	}
	if err := change(w.inner); errors.Is(err, engine.ErrInvalid) {
		return err
	}
	return nil // or the life is over, however it found out, and the next one will know
}

func (w *watch) Next(ctx context.Context) (live.Change, error) {
	return ask(ctx, w.h, func(ctx context.Context, e *engine.Engine, _ int) (live.Change, error) {
		inner, err := w.of(e)
		if err != nil {
			return live.Change{}, err
		}
		return inner.Next(ctx)
	})
}

func (w *watch) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inner == nil {
		return nil
	}
	return w.inner.Close()
}
