package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// read runs f on the data at one moment.
func (s *Store) read(ctx context.Context, f func(*data) error) error {
	if err := s.enter(ctx.Err()); err != nil {
		return err
	}
	defer s.leave()
	s.data.mu.RLock()
	defer s.data.mu.RUnlock()
	if err := f(s.data); err != nil {
		return fmt.Errorf("memory store: %w", err)
	}
	return nil
}

// Recover gives the last numbers in use and the handle's epoch.
func (s *Store) Recover(ctx context.Context) (r store.Recovery, err error) {
	err = s.read(ctx, func(d *data) error {
		r = store.Recovery{Epoch: s.epoch, LastNum: d.lastNum, LastRow: d.lastRow}
		for k := range d.inbox {
			r.LastMsg = max(r.LastMsg, k)
		}
		return nil
	})
	return r, err
}

// Runnable lists instances with activities pending or messages waiting.
func (s *Store) Runnable(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		err := s.read(ctx, func(d *data) error {
			ids = d.runnable()
			return nil
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

func (d *data) runnable() (ids []string) {
	nums := map[int64]bool{}
	for num, in := range d.instances {
		if in.Pending > 0 {
			nums[num] = true
		}
	}
	var unborn []string
	for _, k := range slices.Sorted(maps.Keys(d.inbox)) {
		to := d.inbox[k].To
		if num, exists := d.nums[to]; exists {
			if in := d.instances[num]; in.Status != history.Pending || in.Due.IsZero() {
				nums[num] = true
			}
		} else if !slices.Contains(unborn, to) {
			unborn = append(unborn, to)
		}
	}
	for _, num := range slices.Sorted(maps.Keys(nums)) {
		ids = append(ids, d.instances[num].ID)
	}
	return append(ids, unborn...)
}

// Due lists the instances with a timer, those due first first.
func (s *Store) Due(ctx context.Context, after store.Due, limit int) (list []store.Due, err error) {
	order := func(a, b store.Due) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Num, b.Num)) }
	err = s.read(ctx, func(d *data) error {
		for num, in := range d.instances {
			due := store.Due{At: in.Due, Num: num, ID: in.ID}
			if !in.Due.IsZero() && order(due, after) > 0 {
				list = append(list, due)
			}
		}
		return nil
	})
	slices.SortFunc(list, order)
	return list[:min(max(limit, 0), len(list))], err
}

// Instance gives an instance's row.
func (s *Store) Instance(ctx context.Context, id string) (in *store.Instance, err error) {
	err = s.read(ctx, func(d *data) error {
		num, exists := d.nums[id]
		if !exists {
			return fmt.Errorf("instance %q: %w", id, store.ErrNotFound)
		}
		in = copyInstance(d.instances[num])
		return nil
	})
	return in, err
}

// Executions gives the ended executions of an instance.
func (s *Store) Executions(ctx context.Context, num int64) (list []store.Execution, err error) {
	err = s.read(ctx, func(d *data) error {
		for k, e := range d.ended {
			if k.num == num {
				list = append(list, e)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b store.Execution) int { return cmp.Compare(a.Generation, b.Generation) })
	return list, err
}

// History streams the rows of one execution.
func (s *Store) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var rows [][]byte
		err := s.read(ctx, func(d *data) error {
			for k := last; k != 0; {
				r, exists := d.history[k]
				if !exists {
					return fmt.Errorf("history row %d: %w", k, store.ErrNotFound)
				}
				rows = append(rows, bytes.Clone(r.Data))
				k = r.Prev
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
			return
		}
		for _, r := range slices.Backward(rows) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Row gives one history row.
func (s *Store) Row(ctx context.Context, key int64) (row []byte, err error) {
	err = s.read(ctx, func(d *data) error {
		r, exists := d.history[key]
		if !exists {
			return fmt.Errorf("history row %d: %w", key, store.ErrNotFound)
		}
		row = bytes.Clone(r.Data)
		return nil
	})
	return row, err
}

// Inbox gives the messages that wait for an instance.
func (s *Store) Inbox(ctx context.Context, id string) (list []store.Message, err error) {
	err = s.read(ctx, func(d *data) error {
		for _, m := range d.inbox {
			if m.To == id {
				m.Data = bytes.Clone(m.Data)
				list = append(list, m)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b store.Message) int { return cmp.Compare(a.Key, b.Key) })
	return list, err
}

// Payload gives a payload by its hash.
func (s *Store) Payload(ctx context.Context, h history.Hash) (p []byte, err error) {
	err = s.read(ctx, func(d *data) error {
		stored, exists := d.payloads[h]
		if !exists {
			return fmt.Errorf("payload %s: %w", h, store.ErrNotFound)
		}
		p = bytes.Clone(stored)
		return nil
	})
	return p, err
}

// Effects gives the records of an instance's unsafe effects.
func (s *Store) Effects(ctx context.Context, num int64) (list []store.Effect, err error) {
	err = s.read(ctx, func(d *data) error {
		for k, e := range d.effects {
			if k.Num == num {
				list = append(list, e)
			}
		}
		return nil
	})
	slices.SortFunc(list, func(a, b store.Effect) int {
		return cmp.Or(a.Intent.Compare(b.Intent), cmp.Compare(a.Execution, b.Execution), cmp.Compare(a.ID, b.ID))
	})
	return list, err
}
