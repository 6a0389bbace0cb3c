package durabletest

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

// hub is a client's way to whichever life is the current one.
type hub struct{ run *crashRun }

var _ taskhub.Hub = (*hub)(nil)

// ask makes a call, and makes it again if a crash took its answer. again counts
// the calls before this one.
func ask[T any](ctx context.Context, h *hub, call func(ctx context.Context, e *engine.Engine, again int) (T, error)) (T, error) {
	for again := 0; ; again++ {
		l, err := h.run.current()
		if err != nil {
			var zero T
			return zero, err
		}
		during, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(l.ctx, cancel)
		v, err := call(during, l.engine, again)
		stop()
		cancel()
		if l.ctx.Err() == nil || ctx.Err() != nil {
			return v, err
		}
	}
}

// do is ask for calls without a result.
func do(ctx context.Context, h *hub, call func(ctx context.Context, e *engine.Engine) error) error {
	_, err := ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (struct{}, error) {
		return struct{}{}, call(ctx, e)
	})
	return err
}

// newID makes an id for an instance, the same in each run of the program.
func (r *crashRun) newID(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ids[name]++
	return fmt.Sprintf("%s-%d", name, r.ids[name])
}

func (h *hub) Start(ctx context.Context, s engine.Start) (string, error) {
	if s.ID == "" {
		s.ID = h.run.newID(s.Name)
	}
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, again int) (string, error) {
		id, err := e.Start(ctx, s)
		if again > 0 && errors.Is(err, engine.ErrExists) {
			return s.ID, nil // by the call whose answer was lost
		}
		return id, err
	})
}

func (h *hub) Raise(ctx context.Context, id, name string, data history.Payload) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Raise(ctx, id, name, data) })
}

func (h *hub) Terminate(ctx context.Context, id string, output history.Payload, recurse bool) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Terminate(ctx, id, output, recurse) })
}

func (h *hub) Suspend(ctx context.Context, id string, reason history.Payload) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Suspend(ctx, id, reason) })
}

func (h *hub) Resume(ctx context.Context, id string, reason history.Payload) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Resume(ctx, id, reason) })
}

func (h *hub) Signal(ctx context.Context, id, op string, input history.Payload, at time.Time) error {
	return do(ctx, h, func(ctx context.Context, e *engine.Engine) error { return e.Signal(ctx, id, op, input, at) })
}

func (h *hub) Purge(ctx context.Context, ids []string, recurse bool) (int, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (int, error) { return e.Purge(ctx, ids, recurse) })
}

// Restart gives a new run an id that is the same in each run of the program.
func (h *hub) Restart(ctx context.Context, id string, newID bool) (string, error) {
	if newID {
		s, err := h.Get(ctx, id, true)
		if err != nil {
			return "", err
		}
		return h.Start(ctx, engine.Start{Name: s.Name, Version: s.Version, Input: s.Input, Tags: s.Tags})
	}
	before, err := h.Get(ctx, id, false)
	if err != nil {
		return "", err
	}
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, again int) (string, error) {
		if s, err := e.Get(ctx, id, false); again > 0 && err == nil && s.Execution != before.Execution {
			return id, nil // by the call whose answer was lost
		}
		return e.Restart(ctx, id, false)
	})
}

func (h *hub) Rewind(ctx context.Context, id, reason string) error {
	before, err := h.Get(ctx, id, false)
	if err != nil {
		return err
	}
	_, err = ask(ctx, h, func(ctx context.Context, e *engine.Engine, again int) (struct{}, error) {
		if s, err := e.Get(ctx, id, false); again > 0 && err == nil && s.Execution != before.Execution {
			return struct{}{}, nil
		}
		return struct{}{}, e.Rewind(ctx, id, reason)
	})
	return err
}

func (h *hub) Get(ctx context.Context, id string, data bool) (*engine.State, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (*engine.State, error) { return e.Get(ctx, id, data) })
}

func (h *hub) WaitStart(ctx context.Context, id string) (*engine.State, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (*engine.State, error) { return e.WaitStart(ctx, id) })
}

func (h *hub) Wait(ctx context.Context, id string) (*engine.State, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (*engine.State, error) { return e.Wait(ctx, id) })
}

func (h *hub) Query(ctx context.Context, q store.Query, data bool) (states []*engine.State, token string, err error) {
	err = do(ctx, h, func(ctx context.Context, e *engine.Engine) (err error) {
		states, token, err = e.Query(ctx, q, data)
		return err
	})
	return states, token, err
}

func (h *hub) Entity(ctx context.Context, id string) (*engine.EntityState, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (*engine.EntityState, error) {
		return e.Entity(ctx, id)
	})
}

func (h *hub) Entities(ctx context.Context, q engine.EntityQuery, data bool) (states []*engine.EntityState, token string, err error) {
	err = do(ctx, h, func(ctx context.Context, e *engine.Engine) (err error) {
		states, token, err = e.Entities(ctx, q, data)
		return err
	})
	return states, token, err
}

func (h *hub) CleanEntities(ctx context.Context, what engine.EntityCleaning, token string) (done engine.CleanedEntities, next string, err error) {
	err = do(ctx, h, func(ctx context.Context, e *engine.Engine) (err error) {
		done, next, err = e.CleanEntities(ctx, what, token)
		return err
	})
	return done, next, err
}

func (h *hub) Executions(ctx context.Context, id string) ([]string, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) ([]string, error) { return e.Executions(ctx, id) })
}

func (h *hub) History(ctx context.Context, id, execution string) iter.Seq2[*history.Event, error] {
	return h.HistoryFrom(ctx, id, execution, 0)
}

func (h *hub) HistoryFrom(ctx context.Context, id, execution string, number int) iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		events, err := ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (events []*history.Event, err error) {
			for ev, err := range e.HistoryFrom(ctx, id, execution, number) {
				if err != nil {
					return nil, err
				}
				events = append(events, ev)
			}
			return events, nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
}

func (h *hub) Payload(ctx context.Context, hash history.Hash) ([]byte, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) ([]byte, error) { return e.Payload(ctx, hash) })
}

func (h *hub) OutsideEffects(ctx context.Context, id string) (*engine.Effects, error) {
	return ask(ctx, h, func(ctx context.Context, e *engine.Engine, _ int) (*engine.Effects, error) {
		return e.OutsideEffects(ctx, id)
	})
}
