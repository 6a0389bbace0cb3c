package taskhub

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// AtMost gives the hub with a limit of how many instances it may hold, ended ones included: beyond
// it, clients that start one get [ErrLimit]. Children and what entities start are not refused, since
// that would fail runs that were let in, but they count.
//
// They are counted when the first one starts and again where the limit seems to be reached, at most
// once a second; in between, what passes through the hub is added and taken away.
func AtMost(hub Hub, instances int) Hub { return &full{Hub: hub, most: instances} }

type full struct {
	Hub
	most int

	mu      sync.Mutex
	counted time.Time // zero: never
	n       int       // instances, as far as is known
}

// recount is how often instances are counted at most.
const recount = time.Second

// Start schedules a new instance, if there is room for it.
func (f *full) Start(ctx context.Context, s engine.Start) (string, error) {
	if err := f.enter(ctx); err != nil {
		return "", err
	}
	id, err := f.Hub.Start(ctx, s)
	if err != nil {
		f.add(-1) // if it did start, the next count finds it
	}
	return id, err
}

// enter takes the room of one instance.
func (f *full) enter(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.counted.IsZero() || f.n >= f.most && time.Since(f.counted) > recount {
		n, err := f.count(ctx)
		if err != nil {
			return err
		}
		f.n, f.counted = n, time.Now()
	}
	if f.n >= f.most {
		return fmt.Errorf("%w: the task hub holds %d instances; purge those that have ended, or raise that with: agentrun serve --max-instances", ErrLimit, f.most)
	}
	f.n++
	return nil
}

// count counts up to the limit: how far beyond it is does not matter.
func (f *full) count(ctx context.Context) (n int, err error) {
	for q := (store.Query{Limit: maxPageItems}); n < f.most; {
		states, token, err := f.Hub.Query(ctx, q, false)
		if err != nil {
			return 0, err
		}
		n += len(states)
		if token == "" {
			break
		}
		q.Token = token
	}
	return n, nil
}

func (f *full) add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n += n
}

// Purge deletes instances, which makes room.
func (f *full) Purge(ctx context.Context, ids []string, recurse bool) (int, error) {
	n, err := f.Hub.Purge(ctx, ids, recurse)
	f.add(-n)
	return n, err
}
