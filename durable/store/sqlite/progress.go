package sqlite

import (
	"context"
	"iter"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Progress streams every call's progress. The list is made when the iteration
// begins: it has one entry for a call that is not over.
func (s *Store) Progress(ctx context.Context) iter.Seq2[store.Progress, error] {
	return func(yield func(store.Progress, error) bool) {
		var list []store.Progress
		err := s.read(ctx, func(c *sqlite.Conn) error {
			return each(c, `select num, execution, call, at, data from progress order by num, execution, call`, nil,
				func(st *sqlite.Stmt) error {
					list = append(list, store.Progress{
						ProgressKey: store.ProgressKey{Num: st.ColumnInt64(0), Execution: st.ColumnText(1), Call: st.ColumnInt32(2)},
						At:          columnTime(st, 3), Data: columnBytes(st, 4),
					})
					return nil
				})
		})
		if err != nil {
			yield(store.Progress{}, err)
			return
		}
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
	}
}

// progressRow keeps a call's progress or forgets it.
func (w *writer) progressRow(p *store.ProgressWrite) error {
	st := w.progress
	if p.Gone {
		st = w.forget
	}
	st.BindInt64(1, p.Num)
	st.BindText(2, p.Execution)
	st.BindInt64(3, int64(p.Call))
	if !p.Gone {
		bindTime(st, 4, p.At)
		bindNullable(st, 5, p.Data)
	}
	return execute(st)
}
