package engine

import (
	"math/bits"
	"slices"
)

// priorities is how many there are: 1 is served first; usualPriority is that of a
// call which names none.
const (
	priorities    = 5
	usualPriority = 3
)

// passedOver is how many starts in a row a priority that has calls lets go by in
// favour of higher ones, before one of its own is started. So a flood of urgent
// calls leaves each lower priority a share of at least 1 in passedOver +
// priorities - 1, and nothing waits for ever.
const passedOver = 16

// priority is the call's, from 1.
func (c *call) priority() int {
	if t := c.ev.Terms; t != nil && t.Priority != 0 {
		return int(min(max(t.Priority, 1), priorities)) // another language's history may have anything
	}
	return usualPriority
}

// queue is calls that wait to start: by priority, and within one round robin over
// the instances, so that a fan-out of 100,000 does not delay a single call beside
// it. Its zero value is empty.
type queue struct {
	levels [priorities]*level
	filled uint8 // bit p is set while levels[p] has calls
	passed [priorities]uint8
	n      int

	holds func(*instance) bool // unless it is nil: the instance's calls must not start now
}

// level is the calls of one priority.
type level struct {
	lanes map[*instance]*lane
	ring  []*lane // lanes with calls, the next one first
	head  int
}

// lane is calls that wait one behind the other: those of an instance, or those
// that a limiter has let through.
type lane struct {
	in    *instance // nil: a limiter's
	calls []*call
	head  int
}

// push adds a call to its instance's lane.
func (q *queue) push(c *call) {
	p := c.priority() - 1
	v := q.level(p)
	l := v.lanes[c.in]
	if l == nil {
		l = &lane{in: c.in}
		v.lanes[c.in] = l
	}
	q.add(p, l, c)
}

// pushThrough adds a call to a limiter's lane, which stands beside those of the
// instances: what has waited at the limiter does not wait behind its siblings again.
func (q *queue) pushThrough(m *limiter, c *call) {
	p := c.priority() - 1
	q.level(p)
	q.add(p, &m.lanes[p], c)
}

func (q *queue) level(p int) *level {
	if q.levels[p] == nil {
		q.levels[p] = &level{lanes: map[*instance]*lane{}}
	}
	return q.levels[p]
}

func (q *queue) add(p int, l *lane, c *call) {
	if l.head == len(l.calls) {
		l.calls, l.head = l.calls[:0], 0
		q.levels[p].ring = append(q.levels[p].ring, l)
	}
	l.calls = append(l.calls, c)
	q.filled |= 1 << p
	q.n++
}

// pop takes the next call; nil if there is none that may start.
func (q *queue) pop() *call {
	if q.filled == 0 {
		return nil
	}
	p := bits.TrailingZeros8(q.filled)
	if q.filled&(q.filled-1) != 0 { // several priorities
		p = q.choose(p)
	}
	if q.skip(p) {
		return q.take(p)
	}
	for p := range priorities { // all of that one are held back
		if q.filled&(1<<p) != 0 && q.skip(p) {
			return q.take(p)
		}
	}
	return nil
}

// skip lets the lanes of instances that hold their calls go behind the others, until
// one is in front that may go; false if there is none.
func (q *queue) skip(p int) bool {
	v := q.levels[p]
	for n := len(v.ring) - v.head; n > 0; n-- {
		if l := v.ring[v.head]; q.holds == nil || l.in == nil || !q.holds(l.in) {
			return true
		}
		v.ring = append(v.ring, v.shift())
	}
	return false
}

func (q *queue) take(p int) *call {
	v := q.levels[p]
	c := v.pop()
	q.n--
	if v.head == len(v.ring) {
		v.ring, v.head = v.ring[:0], 0
		q.filled &^= 1 << p
		q.passed[p] = 0
	}
	return c
}

// choose picks the highest priority, unless a lower one was passed over too
// often: then the one that was most often.
func (q *queue) choose(highest int) int {
	p, most := highest, uint8(passedOver-1)
	for i := highest + 1; i < priorities; i++ {
		if q.filled&(1<<i) != 0 && q.passed[i] > most {
			p, most = i, q.passed[i]
		}
	}
	for i := highest + 1; i < priorities; i++ {
		if q.filled&(1<<i) != 0 {
			q.passed[i]++
		}
	}
	q.passed[p] = 0
	return p
}

// shift takes the lane in front out of the ring.
func (v *level) shift() *lane {
	l := v.ring[v.head]
	v.ring[v.head] = nil
	v.head++
	if v.head > 1024 && 2*v.head > len(v.ring) {
		n := copy(v.ring, v.ring[v.head:])
		clear(v.ring[n:])
		v.ring, v.head = v.ring[:n], 0
	}
	return l
}

func (v *level) pop() *call {
	l := v.shift()
	c := l.calls[l.head]
	l.calls[l.head] = nil
	l.head++
	if l.head < len(l.calls) {
		v.ring = append(v.ring, l)
	} else if l.in != nil {
		delete(v.lanes, l.in)
	}
	return c
}

// remove drops the calls that are dead, in one walk over all of them.
func (q *queue) remove(dead func(*call) bool) {
	for p, v := range q.levels {
		if v == nil {
			continue
		}
		kept := v.ring[:0]
		for _, l := range v.ring[v.head:] {
			waited := len(l.calls) - l.head
			l.calls, l.head = slices.DeleteFunc(l.calls[l.head:], dead), 0
			q.n -= waited - len(l.calls)
			if len(l.calls) > 0 {
				kept = append(kept, l)
			} else if l.in != nil {
				delete(v.lanes, l.in)
			}
		}
		clear(v.ring[len(kept):])
		if v.ring, v.head = kept, 0; len(kept) == 0 {
			q.filled &^= 1 << p
			q.passed[p] = 0
		}
	}
}
