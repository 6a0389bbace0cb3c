package sqlite

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// chunkBytes is about how much of a history is read at once.
const chunkBytes = 256 << 10

// History streams the rows of one execution. It first walks back over the keys,
// which stand before the data in each row, then reads the data forward in
// chunks. No connection is held while the loop's body runs: it may read from the
// store itself, and however slow it is it keeps the log from nothing. Rows never
// change once written, so the chunks belong to one moment all the same.
func (s *Store) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var keys []int64
		err := s.read(ctx, func(c *sqlite.Conn) (err error) {
			keys, err = walk(c, last)
			return err
		})
		var ch chunk
		for err == nil && len(keys) > 0 {
			err = s.read(ctx, func(c *sqlite.Conn) error { return ch.load(c, keys) })
			if err != nil {
				break
			}
			from := 0
			for _, to := range ch.ends {
				if !yield(ch.data[from:to:to], nil) {
					return
				}
				from = to
			}
			keys = keys[len(ch.ends):]
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// walk gives the keys of an execution's rows, oldest first.
func walk(c *sqlite.Conn, last int64) (keys []int64, err error) {
	st, err := c.Prepare(`select prev from history where k = ?1`)
	if err != nil {
		return nil, err
	}
	defer st.Reset()
	for k := last; k != 0; {
		keys = append(keys, k)
		st.BindInt64(1, k)
		found, err := st.Step()
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, fmt.Errorf("history row %d: %w", k, store.ErrNotFound)
		}
		prev := st.ColumnInt64(0)
		if prev >= k {
			return nil, fmt.Errorf("history row %d points forward to %d: the store is damaged; restore a backup", k, prev)
		}
		if err := st.Reset(); err != nil {
			return nil, err
		}
		k = prev
	}
	slices.Reverse(keys)
	return keys, nil
}

// chunk is some rows in one buffer, which the next chunk uses again.
type chunk struct {
	data []byte
	ends []int
}

// load reads at least one of the rows.
func (ch *chunk) load(c *sqlite.Conn, keys []int64) error {
	ch.data, ch.ends = ch.data[:0], ch.ends[:0]
	st, err := c.Prepare(`select data from history where k = ?1`)
	if err != nil {
		return err
	}
	defer st.Reset()
	for _, k := range keys {
		st.BindInt64(1, k)
		found, err := st.Step()
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("history row %d: %w", k, store.ErrNotFound)
		}
		n := st.ColumnLen(0)
		if len(ch.ends) > 0 && len(ch.data)+n > chunkBytes {
			return nil
		}
		at := len(ch.data)
		ch.data = slices.Grow(ch.data, n)[:at+n]
		st.ColumnBytes(0, ch.data[at:])
		ch.ends = append(ch.ends, at+n)
		if err := st.Reset(); err != nil {
			return err
		}
	}
	return nil
}
