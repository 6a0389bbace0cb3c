package sqlite

import (
	"context"
	"fmt"
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Recover gives the last numbers in use and the epoch of the lease.
func (s *Store) Recover(ctx context.Context) (store.Recovery, error) {
	r := store.Recovery{Epoch: s.epoch}
	err := s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `select max(ifnull((select max(num) from instance), 0), ifnull((select max(num) from purged), 0)), (select max(k) from history), (select max(k) from inbox)`, nil,
			func(st *sqlite.Stmt) error {
				r.LastNum, r.LastRow, r.LastMsg = st.ColumnInt64(0), st.ColumnInt64(1), st.ColumnInt64(2)
				return nil
			})
	})
	return r, err
}

// runnable sorts instances that exist by number, then others by their oldest
// message. Status 6 is history.Pending.
const runnable = `
select id, 0 as unborn, num as place from instance where runnable = 1
union
select dst, i.num is null, ifnull(i.num, d.k)
	from (select dst, min(k) as k from inbox group by dst) d left join instance i on i.id = d.dst
	where i.num is null or i.due is null or i.status <> 6
order by unborn, place`

// Runnable lists instances with activities pending or messages waiting. The list
// is made when the iteration begins.
func (s *Store) Runnable(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		err := s.read(ctx, func(c *sqlite.Conn) error {
			return each(c, runnable, nil, func(st *sqlite.Stmt) error {
				ids = append(ids, st.ColumnText(0))
				return nil
			})
		})
		if err != nil {
			yield("", err)
			return
		}
		for _, id := range ids {
			if !yield(id, nil) {
				return
			}
		}
	}
}

// Due lists the instances with a timer, those due first first.
func (s *Store) Due(ctx context.Context, after store.Due, limit int) (list []store.Due, err error) {
	at := nano(after.At)
	if after.At.IsZero() {
		at = nano(minTime)
	}
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `select due, num, id from instance where due is not null and (due, num) > (?1, ?2) order by due, num limit ?3`,
			func(st *sqlite.Stmt) {
				st.BindInt64(1, at)
				st.BindInt64(2, after.Num)
				st.BindInt64(3, int64(max(limit, 0)))
			},
			func(st *sqlite.Stmt) error {
				list = append(list, store.Due{At: columnTime(st, 0), Num: st.ColumnInt64(1), ID: st.ColumnText(2)})
				return nil
			})
	})
	return list, err
}

// Executions gives the ended executions of an instance.
func (s *Store) Executions(ctx context.Context, num int64) (list []store.Execution, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `select generation, id, first, last, events, started from execution where num = ?1 order by generation`,
			func(st *sqlite.Stmt) { st.BindInt64(1, num) },
			func(st *sqlite.Stmt) error {
				list = append(list, store.Execution{Num: num, Generation: st.ColumnInt32(0), ID: st.ColumnText(1),
					First: st.ColumnInt64(2), Last: st.ColumnInt64(3), Events: st.ColumnInt32(4), Started: columnTime(st, 5)})
				return nil
			})
	})
	return list, err
}

// Inbox gives the messages that wait for an instance.
func (s *Store) Inbox(ctx context.Context, id string) (list []store.Message, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `select k, data from inbox where dst = ?1 order by k`,
			func(st *sqlite.Stmt) { st.BindText(1, id) },
			func(st *sqlite.Stmt) error {
				list = append(list, store.Message{Key: st.ColumnInt64(0), To: id, Data: columnBytes(st, 1)})
				return nil
			})
	})
	return list, err
}

// Payload gives a payload by its hash.
func (s *Store) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	return s.blob(ctx, `select data from payload where hash = ?1`,
		func(st *sqlite.Stmt) { st.BindBytes(1, h[:]) },
		func() error { return fmt.Errorf("payload %s: %w", h, store.ErrNotFound) })
}

// Row gives one history row.
func (s *Store) Row(ctx context.Context, key int64) ([]byte, error) {
	return s.blob(ctx, `select data from history where k = ?1`,
		func(st *sqlite.Stmt) { st.BindInt64(1, key) },
		func() error { return fmt.Errorf("history row %d: %w", key, store.ErrNotFound) })
}

// blob reads one value.
func (s *Store) blob(ctx context.Context, query string, bind func(*sqlite.Stmt), missing func() error) (b []byte, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		err := each(c, query, bind, func(st *sqlite.Stmt) error {
			b = columnBytes(st, 0)
			return nil
		})
		if err == nil && b == nil {
			err = missing()
		}
		return err
	})
	return b, err
}

// Effects gives the records of an instance's unsafe effects.
func (s *Store) Effects(ctx context.Context, num int64) (list []store.Effect, err error) {
	err = s.read(ctx, func(c *sqlite.Conn) error {
		return each(c, `select execution, id, activity, key, intent, receipt, failed from effect where num = ?1
			order by intent, execution, id`,
			func(st *sqlite.Stmt) { st.BindInt64(1, num) },
			func(st *sqlite.Stmt) error {
				list = append(list, store.Effect{
					EffectKey: store.EffectKey{Num: num, Execution: st.ColumnText(0), ID: st.ColumnInt32(1)},
					Activity:  st.ColumnText(2), IdempotencyKey: st.ColumnText(3),
					Intent: columnTime(st, 4), Receipt: columnTime(st, 5), Failed: st.ColumnBool(6),
				})
				return nil
			})
	})
	return list, err
}
