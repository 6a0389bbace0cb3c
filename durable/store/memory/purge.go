package memory

import (
	"context"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// purge deletes everything of an instance at once: in memory that costs nothing
// that would have to be spread over commits.
func (d *data) purge(num int64) {
	in := d.instances[num]
	delete(d.instances, num)
	delete(d.nums, in.ID)
	d.chain(in.Last)
	for k, e := range d.ended {
		if k.num == num {
			d.chain(e.Last)
			delete(d.ended, k)
		}
	}
	for k, m := range d.inbox {
		if m.To == in.ID && !strings.HasPrefix(in.ID, "@") {
			delete(d.inbox, k)
		}
	}
	for k := range d.effects {
		if k.Num == num {
			delete(d.effects, k)
		}
	}
	var kept []store.PayloadRef
	for r := range d.refs {
		if r.Num == num {
			kept = append(kept, r)
		}
	}
	d.release(kept)
}

// release deletes references, and the payloads that have no other.
func (d *data) release(refs []store.PayloadRef) {
	if len(refs) == 0 {
		return
	}
	for _, r := range refs {
		delete(d.refs, r)
	}
	others := map[history.Hash]bool{}
	for r := range d.refs {
		others[r.Hash] = true
	}
	for _, r := range refs {
		if !others[r.Hash] {
			delete(d.payloads, r.Hash)
		}
	}
}

// chain deletes the history that ends with a row.
func (d *data) chain(last int64) {
	for k := last; k != 0; {
		r := d.history[k]
		delete(d.history, k)
		k = r.Prev
	}
}

// Sweep finds nothing: Commit has deleted all.
func (s *Store) Sweep(ctx context.Context, epoch uint64) (more bool, err error) {
	return false, s.read(ctx, func(d *data) error {
		if epoch != d.epoch || s.epoch != d.epoch {
			return fmt.Errorf("%w: it is of epoch %d, the sweep of %d", store.ErrFenced, d.epoch, epoch)
		}
		return nil
	})
}
