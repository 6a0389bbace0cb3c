package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// ErrNotEnded: the instance has not ended, which what was asked for needs.
var ErrNotEnded = errors.New("the instance has not ended")

// Purge deletes instances that have ended, and gives their number: rows,
// histories of all executions, effects, and the payloads that nobody else keeps.
// Those that do not exist or have not ended are passed over. With recurse the
// descendants of each go with it, before it, so that a purge that was cut off can
// be asked for again; a descendant that has not ended stays, with its own. An entity
// has ended, in this sense, while it is not locked and nothing waits for it.
//
// The ids are free when Purge returns. What may be long goes from the disk
// piece by piece after that, between commits.
func (e *Engine) Purge(ctx context.Context, ids []string, recurse bool) (int, error) {
	ids = slices.Clone(ids)
	for i, id := range ids {
		err := checkID(id)
		if isEntity(id) {
			ids[i], err = EntityID(id)
		}
		if err != nil {
			return 0, err
		}
	}
	return e.purgeAll(ctx, ids, recurse, askPurge)
}

// purgePiece bounds how many instances are asked at once.
const purgePiece = 100

func (e *Engine) purgeAll(ctx context.Context, ids []string, recurse bool, how commandKind) (purged int, err error) {
	for part := range slices.Chunk(ids, purgePiece) {
		if recurse {
			for _, id := range part {
				n, err := e.purgeBelow(ctx, id)
				if purged += n; err != nil {
					return purged, err
				}
			}
		}
		answers := make([]<-chan error, len(part))
		for i, id := range part {
			c := &command{what: how}
			if isEntity(id) {
				c.what = askPurgeEntity
			}
			answers[i] = e.request(&message{to: id, ev: &history.Event{Time: e.now()}, ask: c})
		}
		for _, a := range answers {
			switch err := e.answered(ctx, a); {
			case err == nil:
				purged++
			case !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrNotEnded):
				return purged, err
			}
		}
	}
	return purged, nil
}

// purgeBelow purges the descendants of an instance, if it has ended itself.
func (e *Engine) purgeBelow(ctx context.Context, id string) (purged int, err error) {
	row, err := e.store.Instance(ctx, id)
	if errors.Is(err, store.ErrNotFound) || err == nil && !row.Status.Ended() {
		return 0, nil
	}
	for q := (store.Query{Parent: id}); err == nil; {
		var page store.Page
		if page, err = e.store.Query(ctx, q); err != nil {
			break
		}
		ids := make([]string, 0, len(page.Instances))
		for _, in := range page.Instances {
			if in.Status.Ended() {
				ids = append(ids, in.ID)
			}
		}
		n, err := e.purgeAll(ctx, ids, true, askPurge)
		if purged += n; err != nil {
			return purged, err
		}
		if q.Token = page.Token; q.Token == "" {
			return purged, nil
		}
	}
	return purged, fmt.Errorf("purge below %s: %w", id, err)
}

// purge is the owner's part.
func (t *turn) purge() error {
	switch {
	case !t.in.exists:
		return ErrNotFound
	case !t.in.row.Status.Ended():
		return ErrNotEnded
	}
	t.forget()
	return nil
}

// purge is the owner's part for an entity: what is left of it goes with this turn.
func (v *visit) purge() error {
	in := v.in
	switch {
	case !in.exists || in.row.State == nil && len(in.waiting)+len(in.scheduled)+len(v.b.Ops) == 0 && in.held == nil:
		return ErrNotFound
	case in.held != nil || in.batch != nil || len(in.waiting)+len(in.scheduled)+len(v.b.Ops) > 0:
		return ErrNotEnded
	}
	in.row.State, v.changed = nil, true
	return nil
}

// drop is the owner's part for an entity that is to go if it is empty, as it then does.
func (v *visit) drop() error {
	in := v.in
	switch {
	case !in.exists:
		return ErrNotFound
	case in.row.State != nil || in.held != nil || len(in.waiting)+len(in.scheduled)+len(v.b.Ops) > 0:
		return ErrNotEnded
	}
	return nil
}

// forget drops the instance that has the id, whatever its state: from here on the
// turn is one of an id that nobody has.
func (t *turn) forget() {
	in := t.in
	if in.exists && !t.born {
		t.cs.purged = in.row.Num
	}
	num := in.row.Num
	t.cs.effects = slices.DeleteFunc(t.cs.effects, func(w store.EffectWrite) bool { return w.Num == num })
	t.e.payloads.unpin(t.cs.pieces)
	t.cs.pieces, t.cs.hold, t.new, t.terminated, t.changed = nil, nil, nil, nil, false
	t.cs.replaced = nil // it goes with the others
	in.exists, in.row, in.parent = false, store.Instance{}, nil
	in.reset()
	t.born = true
}

var errAborted = errors.New("the call was given up")

// unmixed gives how many of the next change sets may become one batch. A batch
// purges before it writes, so a purge may not follow, in the same batch, what
// was done to the instance before.
func unmixed(q []*changeSet) int {
	for i, cs := range q {
		if i > 0 && cs.purged != 0 && slices.ContainsFunc(q[:i], func(x *changeSet) bool { return x.in == cs.in }) {
			return i
		}
	}
	return len(q)
}

// purge puts a purge into the batch that is being built.
func (l *commitLog) purge(cs *changeSet, batch uint64) {
	l.batch.Purged = append(l.batch.Purged, cs.purged)
	in := cs.in
	in.known, in.first, in.lastRow, in.purged = false, 0, 0, batch
	l.litter()
}

// litter notes that there is something to sweep.
func (l *commitLog) litter() {
	l.mu.Lock()
	l.garbage = true
	l.mu.Unlock()
}

// purgedSince reports whether a message that a turn of this batch consumed went
// from the inbox with a purge after it was written.
func (in *instance) purgedSince(m *message, batch uint64) bool {
	return in != nil && m.batch < in.purged && in.purged < batch
}

// overtaken finds the same for an instance that came into memory after the message
// was written. That is so where its sender got to deliver it only after that, and the
// id may have been purged and forgotten in between: only the store knows.
func (l *commitLog) overtaken(in *instance, m *message) bool {
	if in == nil || m.batch == 0 || m.batch > in.since {
		return false
	}
	waiting, err := l.e.store.Inbox(context.Background(), in.id)
	return err == nil && !slices.ContainsFunc(waiting, func(s store.Message) bool { return s.Key == m.key })
}

// sweeper is the committer's other work: to delete what purged instances have
// left, a piece after each commit, and one after the other when there is nothing
// to commit. It is guarded by commitLog.mu.
type sweeper struct {
	garbage bool // there is, or may be, something to sweep
	failed  bool // the last sweep failed: the next one comes after a commit
	swept   bool // a sweep came after the last commit
}

// sweeps reports whether there is something to sweep now. The caller holds mu.
func (l *commitLog) sweeps() bool { return l.garbage && !l.failed && !l.e.closing.Load() }

// sweepNow reports whether it is the turn of a sweep. The caller holds mu.
func (l *commitLog) sweepNow() bool {
	l.swept = l.sweeps() && (len(l.queue) == 0 || !l.swept)
	if !l.swept {
		l.failed = false
	}
	return l.swept
}

// beginSweep looks for what an earlier engine has left.
func (l *commitLog) beginSweep() {
	l.litter()
	go l.drive(false)
}

// sweep deletes one piece. The caller has the role, which is given up.
func (l *commitLog) sweep() {
	more, err := l.e.store.Sweep(context.Background(), l.epoch)
	switch {
	case errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrFenced):
		l.e.halt(err)
	case err != nil:
		l.e.log.Warn("purged instances could not be deleted; tried again after the next commit", "err", err)
	case !more:
		l.e.payloads.forget()
	}
	l.mu.Lock()
	l.garbage, l.failed = more || err != nil, err != nil
	l.pass()
}
