package durable_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// safes is how many entities critical sections compete for.
const safes = 3

var (
	safe    = durable.NewEntity[int]("safe")
	getSafe = durable.Operation(safe, "get", func(_ *durable.EntityContext, sum *int, _ int) (int, error) { return *sum, nil })
	setSafe = durable.Operation(safe, "set", func(_ *durable.EntityContext, sum *int, n int) (int, error) {
		*sum = n
		return n, nil
	})

	// addLater is not to be delivered before its time, in which case it adds nothing.
	addLater = durable.Operation(ledger, "add later", func(_ *durable.EntityContext, sum *int, d delayed) (int, error) {
		if !time.Now().Before(d.Due) {
			*sum += d.N
		}
		return *sum, nil
	})

	// slow takes longer than any of its attempts is given, but for one of n%4 from
	// 2 on; an odd n does not even listen.
	slow = durable.NewActivity("slow", func(ctx context.Context, n int) (int, error) {
		done := ctx.Done()
		if n%2 == 1 {
			done = nil
		}
		if info, _ := durable.Info(ctx); n >= 2 && info.Attempt == n {
			return n, nil
		}
		select {
		case <-time.After(time.Hour):
			return n, nil
		case <-done:
			return 0, context.Cause(ctx)
		case <-breaks.gone:
			return 0, errors.New("the process ended")
		}
	})

	// fragile fails until it is mended.
	fragile = durable.NewActivity("fragile", func(ctx context.Context, n int) (int, error) {
		select {
		case <-breaks.ready: // all events are sent: a failed instance would drop them
		case <-ctx.Done():
		}
		return n, breaks.try(n)
	})
	breaks breakage
)

// delayed is what is added at a later time.
type delayed struct {
	N   int
	Due time.Time
}

// breakage is which calls of fragile work.
type breakage struct {
	mu     sync.Mutex
	mended map[int]bool
	last   int

	ready, gone chan struct{} // in this life: the driver has sent everything; the process ends
}

func (b *breakage) reset() { b.mended = map[int]bool{} }
func (b *breakage) begin() { b.ready, b.gone = make(chan struct{}), make(chan struct{}) }

func (b *breakage) try(n int) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mended[n] {
		return nil
	}
	b.last = n
	return errors.New("broken")
}

// mend makes the call work that an instance failed by; false if it was another.
func (b *breakage) mend(failure error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !strings.Contains(failure.Error(), "broken") {
		return false
	}
	b.mended[b.last] = true
	return true
}

// transfer reads, waits and writes two safes, or one, as only one may do at a
// time. It takes no time, so that nobody's waiting for it does.
func transfer(ctx *durable.Context, n int) (err error) {
	keys, add := []string{fmt.Sprint((n + 1) % safes), fmt.Sprint(n % safes)}, []int{n + 1, -n - 1}
	if n == 4 {
		keys, add = keys[:1], add[:1]
	}
	var ids []string
	for _, k := range keys {
		ids = append(ids, safe.ID(k))
	}
	unlock, err := durable.Lock(ctx, ids...)
	defer unlock()
	had := make([]int, len(keys))
	for i, k := range keys {
		if err == nil {
			had[i], err = getSafe.Call(ctx, k, 0)
		}
	}
	if err == nil {
		_, err = double.Call(ctx, n) // the others' turns
	}
	for i, k := range keys {
		if err == nil {
			_, err = setSafe.Call(ctx, k, had[i]+add[i])
		}
	}
	return err
}

// compete starts children that all do a transfer.
func compete(ctx *durable.Context, n int) (int, error) {
	var tasks []*durable.Task[int]
	for i := range n + 1 {
		tasks = append(tasks, durable.StartOrchestration[int](ctx, "script", script{Steps: []instruction{{Do: "lock", N: i}}}))
	}
	_, err := durable.All(ctx, tasks)
	return 0, err
}

// outlast calls slow, which answers or runs out of time before a timer has fired: how
// long before depends on crashes, each of which gives an attempt its time anew.
func outlast(ctx *durable.Context, in instruction) (int, error) {
	opts := []durable.CallOption{durable.WithStartToClose(time.Minute)}
	if in.N >= 2 {
		opts = append(opts, durable.WithRetry(durable.RetryPolicy{MaxAttempts: attempts, FirstInterval: time.Minute}))
	}
	timer, act := ctx.Timer(in.limit()), slow.Start(ctx, in.N, opts...)
	if _, err := timer.Await(); err != nil {
		return 0, err
	}
	if !act.Done() {
		return 0, errors.New("its time is over, and it goes on")
	}
	n, err := act.Await()
	if durable.TimeoutOf(err) == durable.TimeoutStartToClose {
		return -23, nil
	}
	return n, err
}
