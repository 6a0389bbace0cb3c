package memory

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Commit makes b visible, whole, or fails and changes nothing: it first checks
// everything that can be wrong and only then writes.
func (s *Store) Commit(ctx context.Context, b *store.Batch) error {
	if err := s.enter(ctx.Err()); err != nil {
		return err
	}
	defer s.leave()
	d := s.data
	d.mu.Lock()
	defer d.mu.Unlock()
	if b.Epoch != d.epoch || s.epoch != d.epoch {
		return fmt.Errorf("memory store: %w: it is of epoch %d, the batch of %d", store.ErrFenced, d.epoch, b.Epoch)
	}
	if err := d.check(b); err != nil {
		return fmt.Errorf("memory store: %w", err)
	}
	d.apply(b)
	return nil
}

// check reports what a database would refuse by its constraints.
func (d *data) check(b *store.Batch) error {
	purged, messages := map[int64]bool{}, map[int64]bool{}
	for _, num := range b.Purged {
		in := d.instances[num]
		if in == nil || purged[num] {
			return fmt.Errorf("purge of instance %d, which does not exist", num)
		}
		purged[num] = true
		for k, m := range d.inbox {
			if m.To == in.ID && !strings.HasPrefix(in.ID, "@") {
				messages[k] = true
			}
		}
	}
	nums, ids := map[int64]bool{}, map[string]bool{}
	for _, r := range b.Instances {
		_, exists := d.instances[r.Num]
		exists = exists && !purged[r.Num]
		if nums[r.Num] {
			return fmt.Errorf("instance %d is twice in the batch", r.Num)
		}
		nums[r.Num] = true
		if !r.New {
			if !exists {
				return fmt.Errorf("update of instance %d, which does not exist", r.Num)
			}
			continue
		}
		if num, taken := d.nums[r.ID]; exists || taken && !purged[num] || ids[r.ID] {
			return fmt.Errorf("instance %d (%q) exists", r.Num, r.ID)
		}
		ids[r.ID] = true
	}
	rows := map[int64]bool{}
	for _, r := range b.History {
		if _, exists := d.history[r.Key]; exists || rows[r.Key] {
			return fmt.Errorf("history row %d exists", r.Key)
		}
		rows[r.Key] = true
	}
	ended := map[endedKey]bool{}
	for _, e := range b.Ended {
		k := endedKey{e.Num, e.Generation}
		if _, exists := d.ended[k]; exists || ended[k] {
			return fmt.Errorf("generation %d of instance %d exists", e.Generation, e.Num)
		}
		ended[k] = true
	}
	msgs := map[int64]bool{}
	for _, m := range b.Inbox {
		if _, exists := d.inbox[m.Key]; exists && !messages[m.Key] || msgs[m.Key] {
			return fmt.Errorf("message %d exists", m.Key)
		}
		msgs[m.Key] = true
	}
	gone := map[int64]bool{}
	for _, k := range b.Consumed {
		if _, exists := d.inbox[k]; (!exists && !msgs[k]) || gone[k] {
			return fmt.Errorf("message %d was consumed but is not stored", k)
		}
		gone[k] = true
	}
	return nil
}

func (d *data) apply(b *store.Batch) {
	for _, num := range b.Purged {
		d.purge(num)
	}
	for _, r := range b.Instances {
		in := copyInstance(r.Instance)
		if old := d.instances[r.Num]; old != nil {
			in.ID, in.Name, in.Parent, in.Origin = old.ID, old.Name, old.Parent, old.Origin
			in.Created, in.Tags = old.Created, old.Tags
		}
		d.instances[in.Num] = in
		d.nums[in.ID] = in.Num
		d.lastNum = max(d.lastNum, in.Num)
	}
	for _, r := range b.History {
		r.Data = bytes.Clone(r.Data)
		d.history[r.Key] = r
		d.lastRow = max(d.lastRow, r.Key)
	}
	for _, e := range b.Ended {
		e.Started = e.Started.Round(0).UTC()
		d.ended[endedKey{e.Num, e.Generation}] = e
	}
	for _, m := range b.Inbox {
		m.Data = bytes.Clone(m.Data)
		d.inbox[m.Key] = m
	}
	for _, k := range b.Consumed {
		delete(d.inbox, k)
	}
	for _, p := range b.Payloads {
		if _, exists := d.payloads[p.Hash]; !exists {
			d.payloads[p.Hash] = append([]byte{}, p.Data...)
		}
	}
	for _, r := range b.Refs {
		d.refs[r] = struct{}{}
	}
	d.release(b.Released)
	for _, w := range b.Effects {
		e := w.Effect
		e.Intent, e.Receipt = e.Intent.Round(0).UTC(), e.Receipt.Round(0).UTC()
		d.effects[e.EffectKey] = e
	}
	for _, w := range b.Progress {
		if w.Gone {
			delete(d.progress, w.ProgressKey)
			continue
		}
		p := w.Progress
		p.Data, p.At = bytes.Clone(p.Data), p.At.Round(0).UTC()
		d.progress[p.ProgressKey] = p
	}
}

// copyInstance copies all that in points to. Times lose their location and
// monotonic reading, as they would on a disk.
func copyInstance(in *store.Instance) *store.Instance {
	c := *in
	c.Tags = maps.Clone(in.Tags)
	c.CustomStatus = bytes.Clone(in.CustomStatus)
	c.State = bytes.Clone(in.State)
	c.Created, c.Updated = in.Created.Round(0).UTC(), in.Updated.Round(0).UTC()
	c.Completed, c.Due = in.Completed.Round(0).UTC(), in.Due.Round(0).UTC()
	return &c
}
