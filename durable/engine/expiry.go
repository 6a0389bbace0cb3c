package engine

import (
	"container/heap"
	"sync"
	"time"
)

// expiries call functions when their times have come: one heap and one timer of
// the runtime, and none while nothing waits. Functions are called from one
// goroutine, so they must not wait for anything.
type expiries struct {
	now  func() time.Time
	most time.Duration // bounds one wait, for clocks that can be set; 0: not bounded

	mu      sync.Mutex
	heap    expiryHeap
	clock   *time.Timer
	stopped bool
	wg      sync.WaitGroup
}

// expiry is one entry of a heap, owned by whoever waits for it.
type expiry struct {
	at   time.Time
	pos  int    // in the heap, from 1; 0: it is not there
	fire func() // in expiries: what is called
	id   string // in timers: the instance that is woken
}

// set makes x due at a time, in place of an earlier one.
func (t *expiries) set(x *expiry, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return
	}
	x.at = at
	if x.pos == 0 {
		heap.Push(&t.heap, x)
	} else {
		heap.Fix(&t.heap, x.pos-1)
	}
	t.arm()
}

// clear lets go of x. It may be on its way already.
func (t *expiries) clear(x *expiry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if x.pos != 0 {
		heap.Remove(&t.heap, x.pos-1)
		t.arm()
	}
}

func (t *expiries) arm() {
	if len(t.heap) == 0 || t.stopped {
		if t.clock != nil {
			t.clock.Stop()
		}
		return
	}
	d := max(t.heap[0].at.Sub(t.now()), 0)
	if t.most > 0 {
		d = min(d, t.most)
	}
	if t.clock == nil {
		t.clock = time.AfterFunc(d, t.due)
	} else {
		t.clock.Reset(d)
	}
}

// due calls what is.
func (t *expiries) due() {
	t.mu.Lock()
	if t.stopped {
		t.mu.Unlock()
		return
	}
	t.wg.Add(1)
	defer t.wg.Done()
	now := t.now()
	var fire []func()
	for len(t.heap) > 0 && !t.heap[0].at.After(now) {
		fire = append(fire, heap.Pop(&t.heap).(*expiry).fire)
	}
	t.arm()
	t.mu.Unlock()
	for _, f := range fire {
		f()
	}
}

// stop calls nothing more and waits for calls under way.
func (t *expiries) stop() {
	t.mu.Lock()
	t.stopped = true
	if t.clock != nil {
		t.clock.Stop()
	}
	t.mu.Unlock()
	t.wg.Wait()
}

// expiryHeap is ordered by time.
type expiryHeap []*expiry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h expiryHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].pos, h[j].pos = i+1, j+1
}
func (h *expiryHeap) Push(x any) {
	e := x.(*expiry)
	e.pos = len(*h) + 1
	*h = append(*h, e)
}
func (h *expiryHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = nil
	x.pos = 0
	*h = old[:len(old)-1]
	return x
}
