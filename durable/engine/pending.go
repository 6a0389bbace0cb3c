package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// PendingActivity is a call of an activity that was scheduled and not answered.
type PendingActivity struct {
	Name      string
	Task      int32 // number of the step that called it
	Attempt   int   // from 1
	Key       string
	Scheduled time.Time
	Priority  int
	// Running: its function was called in this process. Otherwise it waits: for a
	// free place, for a limit of its own, or for a program that has the activity.
	Running  bool
	Deadline time.Time // of schedule to close; zero: none
	// Progress is what the call told last, in this attempt or an earlier one, at
	// the time Told; nil and zero: nothing.
	Progress history.Payload
	Told     time.Time
}

// Activities lists what an instance waits for, in the order in which it was
// scheduled.
func (e *Engine) Activities(ctx context.Context, id string) ([]PendingActivity, error) {
	if err := CheckInstanceID(id); err != nil {
		return nil, err
	}
	var list []PendingActivity
	found := false
	look := func(in *instance) {
		if found = in.exists; !found {
			return
		}
		for _, c := range in.tasks {
			list = append(list, e.pending(c))
		}
	}
	err := e.send(ctx, &message{to: id, ev: &history.Event{ID: history.FromOutside, Time: e.now()}, ask: &command{look: look}})
	if err != nil {
		return nil, err // of ctx perhaps: then look may write to list and found yet
	}
	if !found {
		return nil, fmt.Errorf("%s: %w", id, ErrNotFound)
	}
	slices.SortFunc(list, func(a, b PendingActivity) int { return cmp.Compare(a.Task, b.Task) })
	return list, nil
}

func (e *Engine) pending(c *call) PendingActivity {
	p := PendingActivity{Name: c.ev.Name, Task: c.ev.ID, Attempt: int(max(c.ev.Attempt, 1)), Key: c.idempotencyKey(), Scheduled: c.ev.Time, Priority: c.priority()}
	if c.ev.Terms != nil {
		p.Deadline = c.ev.Terms.Deadline
	}
	c.mu.Lock()
	p.Running = c.cancel != nil
	c.mu.Unlock()
	p.Progress, p.Told, _ = e.progress.get(c.progressKey())
	return p
}
