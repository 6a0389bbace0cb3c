package engine

import "sync"

// runQueue runs instances that are due for a turn, in order, on at most max
// goroutines; none while there is nothing to run.
type runQueue struct {
	mu      sync.Mutex
	queue   []*instance
	head    int
	running int
	max     int
	stopped bool
	wg      sync.WaitGroup
	run     func(*instance)
}

func (q *runQueue) init(max int, run func(*instance)) { q.max, q.run = max, run }

// put queues an instance whose ownership goes with it.
func (q *runQueue) put(in *instance) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.queue = append(q.queue, in)
	if q.running < q.max {
		q.running++
		q.wg.Add(1)
		go q.loop()
	}
}

// yield queues an instance that has more to do behind others that wait for their
// turn. If there are none it gives false, and the caller goes on.
func (q *runQueue) yield(in *instance) bool {
	in.mu.Lock()
	more := len(in.box) > 0 || in.wake
	in.mu.Unlock()
	if !more {
		return false
	}
	q.mu.Lock()
	others := q.head < len(q.queue)
	q.mu.Unlock()
	if others {
		q.put(in)
	}
	return others
}

func (q *runQueue) loop() {
	defer q.wg.Done()
	for {
		q.mu.Lock()
		if q.head == len(q.queue) || q.stopped {
			q.queue, q.head = q.queue[:0], 0
			q.running--
			q.mu.Unlock()
			return
		}
		in := q.queue[q.head]
		q.queue[q.head] = nil
		q.head++
		if q.head > 1024 && 2*q.head > len(q.queue) {
			n := copy(q.queue, q.queue[q.head:])
			clear(q.queue[n:])
			q.queue, q.head = q.queue[:n], 0
		}
		q.mu.Unlock()
		q.run(in)
	}
}

// stop drops what is queued and waits for turns under way.
func (q *runQueue) stop() {
	q.mu.Lock()
	q.stopped = true
	q.mu.Unlock()
	q.wg.Wait()
}
