package engine

import (
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Rate limits how often the calls of an activity start: those with one key at
// most N times within Per, by a token bucket that holds N.
type Rate struct {
	// Key makes the key of a call from its input. nil: all have the same.
	Key func(input history.Payload) string
	N   int
	Per time.Duration
}

// interval is the time in which a bucket gets one token back.
func (r *Rate) interval() time.Duration {
	n := time.Duration(r.N)
	return max((r.Per+n-1)/n, 1)
}

// limiter is where the calls of an activity with limits wait until there is room for
// them. They occupy nothing there and stand in nobody's way; each key is a queue
// like the dispatcher's. A call that is let through has its place among those
// that run at once, and a token set aside, which it takes when it starts. A limiter
// is guarded by dispatcher.mu.
type limiter struct {
	max     int   // calls at once; 0: any number
	rate    *Rate // nil: none
	clock   *expiries
	open    func(*bucket) // called when a bucket has a token again
	buckets map[string]*bucket
	ring    []*bucket // those with calls that wait and a token for them, the next one first
	lanes   [priorities]lane
	inside  int // calls let through that have not ended
	waiting int
	// The sizes at which buckets that are full and calls that are dead are swept out.
	sweepBuckets, sweepCalls int
}

// minSweep keeps small limiters from being swept.
const minSweep = 1024

// bucket is the calls of one key that wait, and the tokens of that key.
type bucket struct {
	m        *limiter
	calls    queue
	full     time.Time // when it holds all tokens, if none is taken until then
	reserved int       // tokens of calls that are let through and have not started
	inRing   bool
	refill   expiry
}

// bucket gives the one of a key.
func (m *limiter) bucket(key string) *bucket {
	b := m.buckets[key]
	if b != nil {
		return b
	}
	if len(m.buckets) >= m.sweepBuckets {
		now := m.clock.now()
		for k, b := range m.buckets {
			if b.calls.n == 0 && b.reserved == 0 && !b.full.After(now) {
				delete(m.buckets, k) // a new one is as full
			}
		}
		m.sweepBuckets = max(minSweep, 2*len(m.buckets))
	}
	b = &bucket{m: m}
	b.refill.fire = func() { m.open(b) }
	m.buckets[key] = b
	return b
}

// arrive takes a call in.
func (m *limiter) arrive(c *call) {
	if m.waiting >= m.sweepCalls {
		m.waiting = 0
		for _, b := range m.buckets {
			b.calls.remove((*call).over)
			m.waiting += b.calls.n
		}
		m.sweepCalls = max(minSweep, 2*m.waiting)
	}
	b := m.bucket(c.terms.key)
	c.terms.bucket = b
	b.calls.push(c)
	m.waiting++
	b.place()
}

// place puts a bucket where it belongs: into the ring, or to wait for a token.
func (b *bucket) place() {
	m := b.m
	if b.inRing || b.calls.n == 0 {
		return
	}
	if m.rate != nil {
		if b.reserved >= m.rate.N {
			return // placed again when one of these starts
		}
		// There is a token beside the reserved ones once no more than N-reserved-1
		// are missing.
		at := b.full.Add(-time.Duration(m.rate.N-b.reserved-1) * m.rate.interval())
		if at.After(m.clock.now()) {
			m.clock.set(&b.refill, at)
			return
		}
	}
	b.inRing = true
	m.ring = append(m.ring, b)
}

// pass lets the next call through; nil if there is no room, or nobody waits.
func (m *limiter) pass() *call {
	for len(m.ring) > 0 && (m.max == 0 || m.inside < m.max) {
		b := m.ring[0]
		m.ring[0] = nil
		m.ring = m.ring[1:]
		b.inRing = false
		c := b.calls.pop()
		for ; c != nil && c.over(); c = b.calls.pop() {
			m.waiting--
		}
		if c != nil {
			m.waiting--
			m.inside++
			b.reserved++
		}
		b.place()
		if c != nil {
			return c
		}
	}
	return nil
}

// start is called when a call that was let through begins to run; false if it is
// over, so that its place is free again.
func (m *limiter) start(c *call) bool {
	b := c.terms.bucket
	b.reserved--
	over := c.over()
	if over {
		m.inside--
	} else if m.rate != nil {
		if now := m.clock.now(); b.full.Before(now) {
			b.full = now
		}
		b.full = b.full.Add(m.rate.interval())
	}
	b.place()
	return !over
}
