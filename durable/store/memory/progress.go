package memory

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Progress streams every call's progress.
func (s *Store) Progress(ctx context.Context) iter.Seq2[store.Progress, error] {
	return func(yield func(store.Progress, error) bool) {
		var list []store.Progress
		err := s.read(ctx, func(d *data) error {
			for _, p := range d.progress {
				p.Data = bytes.Clone(p.Data)
				list = append(list, p)
			}
			return nil
		})
		if err != nil {
			yield(store.Progress{}, err)
			return
		}
		slices.SortFunc(list, func(a, b store.Progress) int {
			return cmp.Or(cmp.Compare(a.Num, b.Num), cmp.Compare(a.Execution, b.Execution), cmp.Compare(a.Call, b.Call))
		})
		for _, p := range list {
			if !yield(p, nil) {
				return
			}
		}
	}
}
