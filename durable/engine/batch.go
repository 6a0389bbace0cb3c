package engine

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// rowBuilder gathers what a batch writes for one instance: several turns become
// one history row and one row update.
type rowBuilder struct {
	in    *instance
	turns [][]byte // the events of each, which belong to its change set
	row   *store.Instance

	// What follows the turn that row is of was written ahead: the row ends before it.
	ahead       bool
	first, last int64
}

// maxArena bounds the memory that is kept from one batch to the next.
const maxArena = 4 << 20

// room gives n bytes that last until the next batch is built.
func (l *commitLog) room(n int) []byte {
	if cap(l.arena)-len(l.arena) < n {
		l.arena = make([]byte, 0, max(n, 2*cap(l.arena), maxRow))
	}
	at := len(l.arena)
	l.arena = l.arena[:at+n]
	return l.arena[at : at : at+n]
}

// builder gives the row of an instance in this batch.
func (l *commitLog) builder(in *instance) *rowBuilder {
	i, ok := l.index[in]
	if !ok {
		i = len(l.rows)
		l.index[in] = i
		if i < cap(l.rows) {
			l.rows = l.rows[:i+1]
			l.rows[i] = rowBuilder{in: in, turns: l.rows[i].turns[:0]}
		} else {
			l.rows = append(l.rows, rowBuilder{in: in})
		}
	}
	return &l.rows[i]
}

// build makes a batch of a prefix of the log; nil if nothing of it needs the
// disk. A message that was sent and consumed within the batch is never written.
// The batch is valid until the next call: it is built once and tried until it
// commits, so that what is noted on the way (keys, stored, known) needs no undo.
func (l *commitLog) build(q []*changeSet) (*store.Batch, error) {
	n := l.batches.Load() + 1
	clear(l.index)
	l.rows = l.rows[:0]
	if l.arena = l.arena[:0]; cap(l.arena) > maxArena {
		l.arena = nil
	}
	b := &l.batch
	*b = store.Batch{
		Epoch: l.epoch, Instances: b.Instances[:0], History: b.History[:0], Ended: b.Ended[:0], Inbox: b.Inbox[:0],
		Consumed: b.Consumed[:0], Purged: b.Purged[:0], Payloads: b.Payloads[:0], Refs: b.Refs[:0], Released: b.Released[:0], Effects: b.Effects[:0],
		Progress: b.Progress[:0],
	}
	for _, cs := range q {
		for _, m := range cs.used {
			m.usedBatch = n
		}
	}
	for _, cs := range q {
		if cs.purged != 0 {
			l.purge(cs, n)
		}
		if cs.gone {
			l.forget(cs)
		} else if cs.row != nil || len(cs.events) > 0 {
			if err := l.addTurn(cs); err != nil {
				return nil, err
			}
		}
		for _, m := range cs.out {
			if m.usedBatch != n {
				m.stored, m.batch = true, n
				b.Inbox = append(b.Inbox, store.Message{Key: m.key, To: m.to, Data: m.encode()})
			}
		}
		for _, m := range cs.hold {
			if m.usedBatch != n {
				m.stored, m.batch = true, n
				b.Inbox = append(b.Inbox, store.Message{Key: m.key, To: m.to, Data: m.encode()})
			}
		}
		for _, m := range cs.used {
			if m.stored && !cs.in.purgedSince(m, n) && !l.overtaken(cs.in, m) {
				b.Consumed = append(b.Consumed, m.key)
			}
		}
		for _, h := range cs.release {
			l.unref(store.PayloadRef{Hash: h, Num: cs.num})
		}
		for _, p := range cs.pieces {
			b.Payloads = append(b.Payloads, store.Payload(p))
			if cs.in != nil {
				l.ref(store.PayloadRef{Hash: p.Hash, Num: cs.num})
			}
		}
		for _, h := range cs.keep {
			l.ref(store.PayloadRef{Hash: h, Num: cs.num})
		}
		if cs.intent != nil && cs.intent.aborted() {
			cs.void = errAborted
			continue
		}
		b.Effects = append(b.Effects, cs.effects...)
		b.Progress = append(b.Progress, cs.progress...)
	}
	l.dropLost()
	for i := range l.rows {
		r := &l.rows[i]
		if err := l.flush(r); err != nil {
			return nil, err
		}
		if r.row == nil {
			continue // gone, or only written ahead
		}
		if r.row.First, r.row.Last = r.in.first, r.in.lastRow; r.ahead {
			r.row.First, r.row.Last = r.first, r.last
		}
		b.Instances = append(b.Instances, store.InstanceRow{Instance: r.row, New: !r.in.known})
		r.in.known = true
	}
	if len(b.Instances)+len(b.History)+len(b.Inbox)+len(b.Consumed)+len(b.Effects)+len(b.Payloads)+len(b.Released)+len(b.Purged)+len(b.Progress) == 0 {
		return nil, nil
	}
	return b, nil
}

func (l *commitLog) addTurn(cs *changeSet) error {
	r := l.builder(cs.in)
	if len(cs.closing) > 0 {
		r.turns = append(r.turns, cs.closing)
	}
	if cs.replaced != nil {
		if err := l.archive(r, cs.replaced); err != nil {
			return err
		}
	}
	if cs.row == nil && r.row != nil && !r.ahead {
		if err := l.flush(r); err != nil {
			return err
		}
		r.ahead, r.first, r.last = true, r.in.first, r.in.lastRow
	}
	if len(cs.events) > 0 {
		r.turns = append(r.turns, cs.events)
	}
	if cs.row != nil {
		r.row, r.ahead = cs.row, false
	}
	if cs.ended != nil {
		return l.archive(r, cs.ended)
	}
	return nil
}

// forget lets an entity go: from the store if it is there, else from the batch,
// where its row and references come from earlier turns.
func (l *commitLog) forget(cs *changeSet) {
	in, b := cs.in, &l.batch
	if i, ok := l.index[in]; ok {
		l.rows[i].row = nil
	}
	if in.known {
		b.Purged = append(b.Purged, cs.row.Num)
		in.known = false
		l.litter()
	}
	b.Refs = slices.DeleteFunc(b.Refs, func(r store.PayloadRef) bool {
		if r.Num == cs.row.Num {
			l.lost = append(l.lost, r.Hash)
		}
		return r.Num == cs.row.Num
	})
}

// ref puts a reference into the batch, in the place of its release by an earlier turn.
func (l *commitLog) ref(r store.PayloadRef) {
	b := &l.batch
	if len(b.Released) > 0 {
		b.Released = slices.DeleteFunc(b.Released, func(x store.PayloadRef) bool { return x == r })
	}
	b.Refs = append(b.Refs, r)
}

// unref puts the release of a reference into the batch, in the place of what earlier
// turns made of it.
func (l *commitLog) unref(r store.PayloadRef) {
	b := &l.batch
	b.Refs = slices.DeleteFunc(b.Refs, func(x store.PayloadRef) bool { return x == r })
	b.Released = append(b.Released, r)
}

// dropLost leaves out payloads of entities that came and went within the batch,
// unless somebody else keeps them by its end.
func (l *commitLog) dropLost() {
	for _, h := range l.lost {
		if !slices.ContainsFunc(l.batch.Refs, func(r store.PayloadRef) bool { return r.Hash == h }) {
			l.batch.Payloads = slices.DeleteFunc(l.batch.Payloads, func(p store.Payload) bool { return p.Hash == h })
		}
	}
	l.lost = l.lost[:0]
}

// archive closes the rows of an execution; those that follow are the next one's.
func (l *commitLog) archive(r *rowBuilder, x *store.Execution) error {
	if err := l.flush(r); err != nil {
		return err
	}
	x.First, x.Last = r.in.first, r.in.lastRow
	l.batch.Ended = append(l.batch.Ended, *x)
	r.in.first, r.in.lastRow = 0, 0
	return nil
}

// flush writes the gathered events as history rows, cut between events.
func (l *commitLog) flush(r *rowBuilder) error {
	for rest := l.joined(r.turns); len(rest) > 0; {
		n := len(rest)
		if n > maxRow {
			n = 0
			for n < len(rest) {
				size, w := binary.Uvarint(rest[n:])
				if w <= 0 || size > uint64(len(rest)-n-w) {
					return errors.New("a history row was encoded wrongly")
				}
				if n > 0 && n+w+int(size) > maxRow {
					break
				}
				n += w + int(size)
			}
		}
		l.rowKey++
		l.batch.History = append(l.batch.History, store.HistoryRow{Key: l.rowKey, Prev: r.in.lastRow, Data: rest[:n]})
		r.in.lastRow = l.rowKey
		if r.in.first == 0 {
			r.in.first = l.rowKey
		}
		rest = rest[n:]
	}
	clear(r.turns)
	r.turns = r.turns[:0]
	return nil
}

// joined gives the events of some turns in one piece.
func (l *commitLog) joined(turns [][]byte) []byte {
	if len(turns) == 1 {
		return turns[0]
	}
	size := 0
	for _, t := range turns {
		size += len(t)
	}
	all := l.room(size)
	for _, t := range turns {
		all = append(all, t...)
	}
	return all
}
