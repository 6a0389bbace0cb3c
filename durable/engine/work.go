package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// ErrStale: the work was given to another worker since, or is no longer wanted. What a
// worker made of it is dropped, and nothing is to be done about it.
var ErrStale = errors.New("the work is another's, or no longer wanted")

// Workers run what the engine has no definition of: programs that are connected to a
// server.
//
// The engine calls the methods from whichever goroutine it is on, so they must return
// at once, and not call the work's methods before they have.
type Workers interface {
	// Offer tells that something waits for a worker. Until its Begin, or Withdraw, it
	// is the Workers' to keep; it is offered again after Release and, if there is more
	// to do, after Complete.
	Offer(w Work)
	// Withdraw tells that something which was offered, and perhaps not begun since, is
	// no longer wanted.
	Withdraw(w Work)
}

// Work is a *TurnWork, *CallWork or *BatchWork: what one worker at a time may do. Values
// are comparable: the same is the same work. The methods of each may be called from any goroutine.
type Work interface{ About() WorkInfo }

// WorkInfo says what is needed to choose a worker.
type WorkInfo struct {
	Name     string // of the orchestration, activity or entity
	Version  string // of an activity that has none: its orchestration's
	Instance string // id
	Priority int    // of an activity: 1 is served first, 3 is usual; else 0
}

// TurnWork is an orchestration that has something to do.
type TurnWork struct {
	e    *Engine
	info WorkInfo
}

// About tells what it is.
func (w *TurnWork) About() WorkInfo { return w.info }

// Begin gives the turn, built of what has come by now; New is never empty. ErrStale:
// there is nothing to do any more. Past is always set and holds PastEvents events; it
// may be read until Complete, from any goroutine, and more than once.
func (w *TurnWork) Begin() (*Turn, error) {
	c := &command{what: askBeginTurn, work: w}
	if err := w.e.ask(context.Background(), w.info.Instance, c); err != nil {
		return nil, err
	}
	return c.turn, nil
}

// Complete ends the turn with the results in t, and returns when they are on disk.
// Actions have their IDs set; an ExecutionTerminated among them, with Target, Data and
// Recurse, terminates another instance. An error that wraps ErrInvalid says what is
// wrong with the results: then nothing was done, and the turn is still the worker's.
func (w *TurnWork) Complete(ctx context.Context, t *Turn) error {
	return w.e.ask(ctx, w.info.Instance, &command{what: askCompleteTurn, turn: t})
}

// Release gives the turn back. It is offered again; until somebody begins it, t may
// still be completed. False: it was over, as after a termination, and nobody gets it.
func (w *TurnWork) Release(t *Turn) bool {
	err := w.e.ask(context.Background(), w.info.Instance, &command{what: askReleaseTurn, turn: t})
	return !errors.Is(err, ErrStale)
}

// BatchWork is operations that wait for an entity.
type BatchWork struct {
	e    *Engine
	info WorkInfo
}

// About tells what it is.
func (w *BatchWork) About() WorkInfo { return w.info }

// Begin gives the batch: State and Ops, of which there is at least one. ErrStale: there
// is nothing to do any more.
func (w *BatchWork) Begin() (*EntityBatch, error) {
	c := &command{what: askBeginBatch}
	if err := w.e.ask(context.Background(), w.info.Instance, c); err != nil {
		return nil, err
	}
	return c.batch, nil
}

// Complete ends the batch with State, Results and Sent, and returns when they are on
// disk. There may be fewer Results than Ops, but not none: the other operations stay
// the first in line. An error that wraps ErrInvalid is as that of TurnWork.Complete.
func (w *BatchWork) Complete(ctx context.Context, b *EntityBatch) error {
	return w.e.ask(ctx, w.info.Instance, &command{what: askCompleteBatch, batch: b})
}

// Release gives the batch back. It is offered again; until somebody begins it, b may
// still be completed. False: it was over, and nobody gets it.
func (w *BatchWork) Release(b *EntityBatch) bool {
	err := w.e.ask(context.Background(), w.info.Instance, &command{what: askReleaseBatch, batch: b})
	return !errors.Is(err, ErrStale)
}

// ask gives a worker's command to the owner of an instance, which the caller becomes if
// nobody is: so a step needs no hand-over to another goroutine.
func (e *Engine) ask(ctx context.Context, id string, c *command) error {
	if !e.calls.land() { // the engine is closing and no longer waits for results
		return e.stopError()
	}
	done := make(chan error, 1)
	m := &message{to: id, ev: &history.Event{Time: e.now()}, ask: c, ack: func(err error) { done <- err }}
	if in := e.post(id, []*message{m}); in != nil {
		e.own(in)
	}
	e.commits.drive(false)
	e.calls.landed()
	return e.answered(ctx, done)
}

// ofWorker reports whether a message is a worker's command, for which a turn is not made.
func (m *message) ofWorker() bool { return m.ask != nil && m.ask.what >= askBeginTurn }

// obeyWorker does what a worker's command says. The caller owns the instance.
func (e *Engine) obeyWorker(in *instance, m *message) {
	err := error(nil)
	switch c := m.ask; c.what {
	case askBeginTurn:
		c.turn, err = e.beginTurn(in, c.work)
	case askReleaseTurn:
		if o := in.out; o != nil && o.seq == c.turn.seq {
			o.given = false
		} else {
			err = ErrStale
		}
	case askCompleteTurn:
		if err = e.completeTurn(in, m); err == nil {
			return // answered after the commit
		}
	case askBeginBatch:
		c.batch, err = e.beginBatch(in)
	case askReleaseBatch:
		if o := in.batch; o != nil && o.seq == c.batch.seq {
			if o.given = false; in.grants() {
				in.wakeAgain()
			}
		} else {
			err = ErrStale
		}
	case askCompleteBatch:
		if err = e.completeBatch(in, m); err == nil {
			return
		}
	}
	m.ack(err)
}

// offer sees to it that the workers know whether the instance has something for them.
// The caller owns the instance.
func (e *Engine) offer(in *instance) {
	var wanted bool
	about := WorkInfo{Name: EntityName(in.id), Instance: in.id}
	if isEntity(in.id) {
		wanted = in.wantsBatch(e)
	} else {
		wanted = in.wantsTurn(e)
		about.Name, about.Version = in.row.Name, in.row.Version
	}
	same := in.work != nil && in.work.About() == about // another instance may have got the id
	if wanted && in.offered && same || !wanted && !in.offered {
		return
	}
	if in.offered {
		e.opts.Workers.Withdraw(in.work)
	}
	if in.offered = wanted; !wanted {
		return
	}
	if !same && isEntity(in.id) {
		in.work = &BatchWork{e, about}
	} else if !same {
		in.work = &TurnWork{e, about}
	}
	e.opts.Workers.Offer(in.work)
}

// invalid makes an error about what a worker answered.
func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}
