package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// testConcurrent reads beside commits. Each batch moves one unit from one
// instance to the other and says so in a row of history, so that a reader that
// sees a part of a batch finds a wrong sum.
func testConcurrent(t *testing.T, e *env) {
	const commits, total = 300, 1000
	h := e.open(t)
	pair := func(i int) (a, b *store.Instance) {
		a, b = small(1, "a"), small(2, "b")
		a.Pending, b.Pending = total-i, i
		a.Last, b.Last = int64(i), int64(i)
		return a, b
	}
	a, b := pair(0)
	h.commit(store.Batch{Instances: born(a, b)})

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 6 { // more than any store has connections
		wg.Go(func() {
			for seen := 0; ctx.Err() == nil; {
				page, err := h.Query(context.Background(), store.Query{})
				if err != nil {
					t.Errorf("query: %v", err)
					return
				}
				a, b := page.Instances[0], page.Instances[1]
				if a.Pending+b.Pending != total || a.Last != b.Last {
					t.Errorf("half a batch: %d and %d", a.Pending, b.Pending)
					return
				}
				if b.Pending < seen {
					t.Errorf("went back from %d to %d", seen, b.Pending)
					return
				}
				seen = b.Pending
				list, err := rows(h, b.Last)
				if err != nil || len(list) != seen {
					t.Errorf("%d rows of %d: %v", len(list), seen, err)
					return
				}
			}
		})
	}
	for i := 1; i <= commits; i++ {
		a, b := pair(i)
		h.commit(store.Batch{Instances: changed(a, b),
			History: []store.HistoryRow{{Key: int64(i), Prev: int64(i - 1), Data: []byte(fmt.Sprint(i))}}})
		// What a commit has acknowledged, every read sees.
		if got := must(h.Instance(t.Context(), "b"))(t); got.Pending != i {
			t.Fatalf("read %d after commit %d", got.Pending, i)
		}
	}
	cancel()
	wg.Wait()
}
