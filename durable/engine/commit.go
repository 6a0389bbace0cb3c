package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/internal/crashpoint"
)

// changeSet is what one turn did. It is complete when it is submitted; from
// then on it belongs to the log.
type changeSet struct {
	in  *instance       // whose row and history it writes; nil: only the rest
	row *store.Instance // nil with events: they are written ahead, see turn.writeAhead
	num int64           // of the instance
	// gone says that the instance is no longer there, and row what it was.
	gone bool
	// events are the turn's, as history rows hold them.
	events []byte
	// replaced is the execution that ended before events, which begin another one;
	// ended is the one that events end by continuing as new: row is then that of the
	// next one. A turn may do both.
	replaced, ended *store.Execution
	closing         []byte // events that go to the end of replaced
	// purged is the number of the instance that had the id before: everything of it
	// goes before the rest of the change set (purge.go).
	purged int64

	out      []*message // sent to other instances
	used     []*message // consumed, or dropped
	hold     []*message // for the instance itself: what it cannot run here, or not yet
	pieces   []Piece
	keep     []history.Hash
	release  []history.Hash // before pieces and keep
	effects  []store.EffectWrite
	intent   *call // the call whose intent effects has; not written if the call is aborted by then
	progress []store.ProgressWrite

	// The effects, after the commit.
	calls []*call // activities to start
	timed []*call // activities whose deadlines count from here on
	abort []*call // activities whose orchestration has ended
	acks  []ack
	told  *Recorded // for OnTurn
	wakes bool      // the instance has begun or ended: wake its waiters
	done  chan error
	void  error // why nothing of it was written

	size int
	pos  uint64
}

type ack struct {
	tell func(error)
	err  error // the answer, which waits for the commit all the same
}

func (cs *changeSet) answer(m *message, err error) {
	if m.ack != nil {
		cs.acks = append(cs.acks, ack{m.ack, err})
	}
}

// Bounds of the log.
const (
	maxAhead       = 2 << 20               // bytes of change sets that run ahead of the disk
	maxSpeculation = 50 * time.Millisecond // age of the oldest uncommitted turn beyond which nothing new speculates
	maxRow         = 256 << 10             // bytes of one history row, cut between events
)

// commitLog is the one ordered log of turns. Committing is a role, not a
// goroutine: whoever ends a turn while nobody commits takes it, commits
// everything that is ready as one batch, and passes it on. So a chain of steps
// needs no hand-over, a group forms only while a commit runs, and nobody commits
// for others longer than one batch.
type commitLog struct {
	e *Engine

	mu         sync.Mutex
	changed    sync.Cond // room in the queue, the role was given up, or stopped
	queue      []*changeSet
	spare      []*changeSet
	bytes      int
	last       uint64    // position given out last
	oldest     time.Time // when the queue's first change set came
	committing bool
	sweeper
	since   time.Time // oldest of the batch that is being committed
	stopped bool

	committed atomic.Uint64
	failing   atomic.Pointer[error]

	// The committer's.
	batch   store.Batch
	batches atomic.Uint64 // committed; others may read it
	epoch   uint64
	rowKey  int64
	index   map[*instance]int
	rows    []rowBuilder
	arena   []byte         // joined events of the batch
	lost    []history.Hash // see dropLost

	spares spareBuffers
}

func (l *commitLog) init(e *Engine) {
	l.e, l.changed.L, l.index = e, &l.mu, map[*instance]int{}
}

// submit gives a change set its place in the log. It waits while too much is
// ahead of the disk.
func (l *commitLog) submit(cs *changeSet) {
	cs.size += len(cs.events) + 256
	for _, p := range cs.pieces {
		cs.size += len(p.Data)
	}
	for i := range cs.progress {
		cs.size += len(cs.progress[i].Data) + 64
	}
	most := maxAhead
	if cs.row == nil && len(cs.events) > 0 {
		most = maxTurn // written ahead: whatever comes behind it in the log waits for it
	}
	l.mu.Lock()
	for l.bytes > most && !l.stopped {
		if l.committing {
			l.changed.Wait()
			continue
		}
		l.mu.Unlock()
		l.drive(false)
		l.mu.Lock()
	}
	if l.stopped {
		l.mu.Unlock()
		cs.fail(l.e.stopError())
		return
	}
	l.last++
	cs.pos = l.last
	if cs.in != nil {
		cs.in.pos = cs.pos
	}
	if len(l.queue) == 0 {
		l.oldest = time.Now()
	}
	l.queue = append(l.queue, cs)
	l.bytes += cs.size
	l.mu.Unlock()
}

// mayRunAhead says whether a pure activity may start before the turn that is
// being made is on disk.
func (l *commitLog) mayRunAhead() bool {
	if l.failing.Load() != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	oldest := l.since
	if oldest.IsZero() && len(l.queue) > 0 {
		oldest = l.oldest
	}
	return l.bytes < maxAhead && !l.stopped && (oldest.IsZero() || time.Since(oldest) < maxSpeculation)
}

// await holds back a result while the log is full, so that memory stays bounded
// when activities are faster than the disk.
func (l *commitLog) await() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.bytes > maxAhead && l.committing && !l.stopped {
		l.changed.Wait()
	}
}

// write submits a change set and waits until it is on disk.
func (l *commitLog) write(cs *changeSet) error {
	cs.done = make(chan error, 1)
	l.submit(cs)
	l.drive(false)
	return <-cs.done
}

// settle waits until all that was submitted so far is on disk. A turn may call it:
// who commits never waits for turns.
func (l *commitLog) settle() error {
	l.mu.Lock()
	to := l.last
	l.mu.Unlock()
	if l.committed.Load() >= to {
		return nil
	}
	return l.write(&changeSet{})
}

// drive takes the role of the committer if something is ready and nobody has it,
// for one batch. own tells the dispatcher that the caller is one of its
// goroutines, which starts one of the released activities itself.
func (l *commitLog) drive(own bool) {
	l.mu.Lock()
	if l.committing || l.stopped || len(l.queue) == 0 && !l.sweeps() {
		l.mu.Unlock()
		return
	}
	l.committing = true
	if l.sweepNow() {
		l.mu.Unlock()
		l.sweep()
		return
	}
	q := l.queue
	l.queue, l.bytes, l.since = l.spare[:0], 0, l.oldest
	l.spare = nil
	l.changed.Broadcast()
	l.mu.Unlock()

	var calls []*call
	var err error
	for rest := q; len(rest) > 0; {
		n := unmixed(rest)
		if err == nil {
			err = l.commit(rest[:n])
		}
		for _, cs := range rest[:n] {
			if err != nil {
				cs.fail(err)
			} else {
				calls = l.release(cs, calls)
			}
		}
		rest = rest[n:]
	}

	l.mu.Lock()
	clear(q)
	l.spare = q[:0]
	l.since = time.Time{}
	l.pass()
	l.e.calls.put(own, calls...)
	l.e.instances.trim(l.committed.Load())
}

// pass gives the role up, to another goroutine if there is more to do. The caller
// holds mu, which is unlocked.
func (l *commitLog) pass() {
	l.committing = false
	more := !l.stopped && (len(l.queue) > 0 || l.sweeps())
	l.changed.Broadcast()
	l.mu.Unlock()
	if more {
		go l.drive(false)
	}
}

// commit makes one batch of q and tries it until it is on disk.
func (l *commitLog) commit(q []*changeSet) error {
	b, err := l.build(q)
	if err != nil {
		l.e.halt(err)
		return l.e.Err()
	}
	if b != nil {
		crashpoint.Hit("before-commit")
		wait := 10 * time.Millisecond
		for {
			if err = l.e.store.Commit(context.Background(), b); err == nil {
				break
			}
			if errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrFenced) {
				l.e.halt(err)
				return l.e.Err()
			}
			reason := err // Health reads it while err changes
			if l.failing.Swap(&reason) == nil {
				l.e.log.Warn("a commit failed and is tried again", "err", err)
			}
			select {
			case <-time.After(wait):
			case <-l.e.halted:
				return l.e.stopError()
			}
			if l.e.closing.Load() && wait > 500*time.Millisecond {
				l.e.halt(err)
				return l.e.Err()
			}
			wait = min(2*wait, time.Second)
		}
		if l.failing.Swap(nil) != nil {
			l.e.log.Info("commits work again")
		}
	}
	l.committed.Store(q[len(q)-1].pos)
	if b != nil {
		n := l.batches.Add(1)
		crashpoint.Hit("commit")
		if l.e.opts.OnCommit != nil {
			l.e.opts.OnCommit(n)
		}
	}
	return nil
}

// release lets the effects of a committed change set out, but for the start of
// its activities, which it adds to calls.
func (l *commitLog) release(cs *changeSet, calls []*call) []*call {
	l.spares.put(cs.events)
	cs.events = nil
	l.e.payloads.unpin(cs.pieces)
	if len(cs.release) > 0 {
		l.e.payloads.forget()
	}
	for _, c := range cs.abort {
		c.abort()
		l.e.excuse(c)
		if c.work != nil {
			l.e.opts.Workers.Withdraw(c.work)
		}
	}
	for _, c := range cs.timed {
		l.e.watch(c)
	}
	for _, a := range cs.acks {
		a.tell(a.err)
	}
	if cs.told != nil {
		l.e.opts.OnTurn(*cs.told)
	}
	if cs.wakes {
		l.e.waiters.wake(cs.in.id)
	}
	l.e.tell(cs)
	if cs.done != nil {
		cs.done <- cs.void
	}
	return append(calls, cs.calls...)
}

// fail tells everybody who waits for the change set that it did not happen as
// far as this engine knows.
func (cs *changeSet) fail(err error) {
	for _, a := range cs.acks {
		a.tell(err)
	}
	if cs.done != nil {
		cs.done <- err
	}
}

// abandon stops the log where it is.
func (l *commitLog) abandon() {
	l.mu.Lock()
	q := l.queue
	l.queue, l.bytes, l.stopped = nil, 0, true
	l.changed.Broadcast()
	l.mu.Unlock()
	for _, cs := range q {
		cs.fail(store.ErrUnknown)
	}
}

// stop commits what is queued and then takes nothing more.
func (l *commitLog) stop() {
	l.mu.Lock()
	for !l.stopped && (l.committing || len(l.queue) > 0) {
		if l.committing {
			l.changed.Wait()
			continue
		}
		l.mu.Unlock()
		l.drive(false)
		l.mu.Lock()
	}
	l.stopped = true
	for l.committing {
		l.changed.Wait()
	}
	l.changed.Broadcast()
	l.mu.Unlock()
}

// stopError is why nothing is committed any more.
func (e *Engine) stopError() error {
	if err := e.Err(); err != nil {
		return err
	}
	return ErrClosed
}

// Health tells why commits fail at the moment; nil when they work.
func (e *Engine) Health() error {
	if err := e.Err(); err != nil {
		return err
	}
	if p := e.commits.failing.Load(); p != nil {
		return *p
	}
	return nil
}

// Commits tells how many batches this engine has committed.
func (e *Engine) Commits() uint64 { return e.commits.batches.Load() }
