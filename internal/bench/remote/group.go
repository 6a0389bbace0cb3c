package remote

import (
	"context"
	"sync"
)

// group runs functions side by side, and ends its context with the first error.
type group struct {
	wg     sync.WaitGroup
	cancel context.CancelCauseFunc
	slots  chan struct{} // nil: no limit
	once   sync.Once
	err    error
}

// newGroup makes a group of which at most limit functions run at a time; 0 is any
// number. Its context ends with Wait.
func newGroup(ctx context.Context, limit int) (*group, context.Context) {
	g := &group{}
	if limit > 0 {
		g.slots = make(chan struct{}, limit)
	}
	ctx, g.cancel = context.WithCancelCause(ctx)
	return g, ctx
}

func (g *group) Go(f func() error) {
	if g.slots != nil {
		g.slots <- struct{}{}
	}
	g.wg.Go(func() {
		if err := f(); err != nil {
			g.once.Do(func() { g.err = err; g.cancel(err) })
		}
		if g.slots != nil {
			<-g.slots
		}
	})
}

// Wait gives the first error.
func (g *group) Wait() error {
	g.wg.Wait()
	g.cancel(nil)
	return g.err
}
