package sqlite

import (
	"context"
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"
)

// A purge is in two steps, since a long history lies in as many pages as it had
// commits, each of which a deletion writes to the log again. The batch that
// purges an instance deletes what makes it visible (its row, by which everything
// else is found, and its messages) and notes it in table purged. Sweep deletes
// the rest, a piece at a time.

// sweepRows bounds the rows that one sweep deletes: at worst each dirties a page
// of its own, which makes a transaction of 2 to 4 MiB.
const sweepRows = 128

// purger is the statements of purges and sweeps.
type purger struct {
	note, row, messages                 *sqlite.Stmt
	next, cut, chain, execution, forget *sqlite.Stmt
	refs, unref, payload                *sqlite.Stmt
	effects, uneffect, done             *sqlite.Stmt
}

func (p *purger) prepare(c *sqlite.Conn) error {
	for _, s := range []struct {
		st    **sqlite.Stmt
		query string
	}{
		{&p.note, `insert into purged(num, last) select num, last from instance where num = ?1`},
		{&p.messages, `delete from inbox where dst = (select id from instance where num = ?1 and not (id >= '@' and id < 'A')) returning k`},
		{&p.row, `delete from instance where num = ?1`},
		{&p.next, `select num, last from purged order by num limit 1`},
		{&p.cut, `delete from history where k = ?1 returning prev`},
		{&p.chain, `update purged set last = ?2 where num = ?1`},
		{&p.execution, `select generation, last from execution where num = ?1 order by generation limit 1`},
		{&p.forget, `delete from execution where num = ?1 and generation = ?2`},
		{&p.refs, `select hash from payload_ref where num = ?1 limit ?2`},
		{&p.unref, `delete from payload_ref where num = ?1 and hash = ?2`},
		{&p.payload, `delete from payload where hash = ?1 and not exists(select 1 from payload_ref where hash = ?1)`},
		{&p.effects, `select execution, id from effect where num = ?1 limit ?2`},
		{&p.uneffect, `delete from effect where num = ?1 and execution = ?2 and id = ?3`},
		{&p.done, `delete from purged where num = ?1`},
	} {
		st, err := c.Prepare(s.query)
		if err != nil {
			return err
		}
		*s.st = st
	}
	return nil
}

// mark makes an instance invisible. It adds the keys of the messages that go with
// it to gone.
func (p *purger) mark(c *sqlite.Conn, num int64, gone map[int64]bool) (map[int64]bool, error) {
	if err := withNums(p.note, num); err != nil {
		return gone, err
	}
	if c.Changes() == 0 {
		return gone, errNoRow
	}
	if gone == nil {
		gone = map[int64]bool{}
	}
	if _, err := rows(p.messages, func(st *sqlite.Stmt) { gone[st.ColumnInt64(0)] = true }, num); err != nil {
		return gone, err
	}
	return gone, withNums(p.row, num)
}

// Sweep deletes a piece of what is left of the purged instance that is oldest.
func (s *Store) Sweep(ctx context.Context, epoch uint64) (more bool, err error) {
	err = s.transact(ctx, func(w *writer) error {
		if err := w.fence(epoch); err != nil {
			return err
		}
		if more, err = w.purge.sweep(w.conn); err != nil {
			return fmt.Errorf("sweep: %w", err)
		}
		return nil
	})
	return more && err == nil, err
}

// sweep deletes up to sweepRows rows.
func (p *purger) sweep(c *sqlite.Conn) (more bool, err error) {
	var num, last int64
	found, err := rows(p.next, func(st *sqlite.Stmt) { num, last = st.ColumnInt64(0), st.ColumnInt64(1) })
	if err != nil || found == 0 {
		return false, err
	}
	left := sweepRows
	for left > 0 {
		if last == 0 { // that history is gone: the next one
			var generation int64
			n, err := rows(p.execution, func(st *sqlite.Stmt) { generation, last = st.ColumnInt64(0), st.ColumnInt64(1) }, num)
			if err != nil {
				return false, err
			}
			if n == 0 {
				break
			}
			if err := withNums(p.forget, num, generation); err != nil {
				return false, err
			}
			left--
			continue
		}
		if last, err = p.shorten(last); err != nil {
			return false, err
		}
		left--
	}
	if left == 0 {
		return true, withNums(p.chain, num, last)
	}
	n, err := p.dropRefs(num, left)
	if err != nil {
		return false, err
	}
	if left -= n; left > 0 {
		if n, err = p.dropEffects(num, left); err != nil {
			return false, err
		}
		left -= n
	}
	if left > 0 { // nothing was left over
		return true, withNums(p.done, num)
	}
	return true, withNums(p.chain, num, 0)
}

// dropRefs deletes up to limit references, and each payload that has no other.
func (p *purger) dropRefs(num int64, limit int) (int, error) {
	var hashes [][]byte
	if _, err := rows(p.refs, func(st *sqlite.Stmt) { hashes = append(hashes, columnBytes(st, 0)) }, num, int64(limit)); err != nil {
		return 0, err
	}
	for _, h := range hashes {
		if err := p.release(num, h); err != nil {
			return 0, err
		}
	}
	return len(hashes), nil
}

// release deletes a reference, and the payload if it has no other.
func (p *purger) release(num int64, hash []byte) error {
	p.unref.BindInt64(1, num)
	p.unref.BindBytes(2, hash)
	if err := execute(p.unref); err != nil {
		return err
	}
	p.payload.BindBytes(1, hash)
	return execute(p.payload)
}

// dropEffects deletes up to limit records of effects.
func (p *purger) dropEffects(num int64, limit int) (int, error) {
	type key struct {
		execution string
		id        int64
	}
	var keys []key
	if _, err := rows(p.effects, func(st *sqlite.Stmt) { keys = append(keys, key{st.ColumnText(0), st.ColumnInt64(1)}) }, num, int64(limit)); err != nil {
		return 0, err
	}
	for _, k := range keys {
		p.uneffect.BindInt64(1, num)
		p.uneffect.BindText(2, k.execution)
		p.uneffect.BindInt64(3, k.id)
		if err := execute(p.uneffect); err != nil {
			return 0, err
		}
	}
	return len(keys), nil
}

// shorten deletes the last row of a history and gives the one before it. A
// history that is damaged ends where its next row is missing.
func (p *purger) shorten(last int64) (prev int64, err error) {
	_, err = rows(p.cut, func(st *sqlite.Stmt) { prev = st.ColumnInt64(0) }, last)
	if prev >= last {
		prev = 0
	}
	return prev, err
}

// withNums runs a statement with these values.
func withNums(st *sqlite.Stmt, values ...int64) error {
	_, err := rows(st, func(*sqlite.Stmt) {}, values...)
	return err
}

// rows runs a statement with these values and calls f for each row.
func rows(st *sqlite.Stmt, f func(*sqlite.Stmt), values ...int64) (n int, err error) {
	for i, v := range values {
		st.BindInt64(i+1, v)
	}
	for {
		more, err := st.Step()
		if err != nil {
			return n, errors.Join(err, st.Reset())
		}
		if !more {
			return n, st.Reset()
		}
		n++
		f(st)
	}
}
