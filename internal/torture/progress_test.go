//go:build linux || darwin

package torture

import (
	"context"
	"iter"
	"strconv"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// counting counts to value(n), and tells with each step how far it is. It goes on
// where what it told last and is on disk says.
func counting(w calls) *durable.Activity[int, int] {
	return durable.NewActivity("counting", func(ctx context.Context, n int) (int, error) {
		w.begin(ctx, "counting")
		sum, _ := durable.Progress[int](ctx)
		w.progress(ctx, "resume", sum)
		for sum < value(n) {
			sum++
			w.progress(ctx, "beat", sum)
			if err := durable.Heartbeat(ctx, sum); err != nil {
				return 0, err
			}
			w.pause(ctx)
		}
		w.end(ctx, "counting")
		return sum, nil
	})
}

// progress tells that a call goes on at, or has come to, v.
func (w *worker) progress(ctx context.Context, verb string, v int) {
	w.tell(verb, "counting", about(ctx), v)
}

// counted takes note of what a call told, and checks where it goes on: at what was on
// disk when its process before ended.
func (a *account) counted(verb string, words []string, v int) {
	c, r := a.record(words)
	if verb == "beat" {
		r.told = max(r.told, v)
		return
	}
	a.must(v == r.kept, "%s goes on at %d, and %d was on disk", c, v, r.kept)
	if v > 0 {
		a.figures.Resumed++
	}
}

// progress checks what the store keeps of calls' progress.
func (c *checker) progress(rows []*store.Instance) error {
	ids := map[int64]string{}
	for _, in := range rows {
		ids[in.Num] = in.ID
	}
	for _, r := range c.calls {
		r.kept = 0
	}
	for p, err := range c.s.Progress(c.ctx) {
		if err != nil {
			return err
		}
		this := c.attempts[call{ids[p.Num], p.Execution, p.Call}]
		v, err := strconv.Atoi(string(p.Data))
		r := c.calls[this]
		if !c.must(err == nil && r != nil && v <= r.told, "%s has come to %q, as the store says, and nobody said so", this, p.Data) {
			continue
		}
		c.must(!c.asked[this], "%s is over, and its progress is kept", this)
		r.kept = v
	}
	return nil
}

// eager is further than it was told.
type eager struct{ store.Store }

func (e eager) Progress(ctx context.Context) iter.Seq2[store.Progress, error] {
	return func(yield func(store.Progress, error) bool) {
		for p, err := range e.Store.Progress(ctx) {
			if n, bad := strconv.Atoi(string(p.Data)); bad == nil {
				p.Data = []byte(strconv.Itoa(n + 1))
			}
			if !yield(p, err) {
				return
			}
		}
	}
}
