package engine

import (
	"container/list"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// instance is one orchestration or entity in memory.
type instance struct {
	id string

	mu   sync.Mutex
	box  []*message
	wake bool // a turn is due although the box may be empty
	busy bool // it is queued for a turn or runs one: somebody owns it
	dead bool // evicted: whoever holds it must look it up again
	// aside is why it cannot be read (aside.go): nothing is done with it. It is set
	// once, by the owner.
	aside error

	boxed  int           // bytes in box
	room   chan struct{} // closed when less than maxBox is in it; nil if nobody waits for that
	paused bool          // an activity of it was not started, see crowded

	// What follows belongs to the owner.

	loaded bool
	exists bool           // it has a row, committed or on its way
	row    store.Instance // as the last change set left it
	pos    uint64         // log position of the last change set
	ahead  uint64         // of the last one that started a costly activity ahead of the disk

	exec     Executor
	tasks    map[int32]*call     // activities scheduled and not answered; like the next two nil before the first
	timers   []timer             // created and not fired, earliest first
	children map[int32]string    // ids of children not ended, by the ID of their creation
	requests map[string]bool     // entity calls not answered
	parent   *history.Parent     // who waits for the end
	lastID   int32               // highest action id so far
	rewinds  int32               // how often this execution was rewound
	formerly []string            // the ids that it had before
	clock    time.Time           // of the last OrchestratorStarted
	armed    time.Time           // what the engine's timers know
	locks    map[string]*section // critical sections that it asked for and has not left

	startAt time.Time  // when it starts, if it is Pending until then
	early   []*message // for its start, and what came since

	// What workers outside are to do (outside.go, outsidebatch.go).
	queue   []*message // held for the next turn, in order
	out     *turn      // that a worker has, or had and gave back
	batch   *outBatch  // likewise, of an entity
	work    Work       // nil before the first
	offered bool       // the workers know of it, and nobody has begun it since

	// An entity's; all these messages are kept, see visit.
	held      *history.Event // the lock request that it granted; nil while it is not locked
	waiting   []*message     // behind the lock, in order
	scheduled []*message     // signals that are not due, earliest first

	// What follows belongs to the committer.

	known          bool   // the row is in the store
	since          uint64 // batches committed when it came into memory
	purged         uint64 // batch that purged what had the id before
	first, lastRow int64

	idle *list.Element // in table.lru; guarded by table.mu
}

type timer struct {
	id int32
	at time.Time
}

// table is the instances in memory. Idle ones lie in a list, the one that was
// used last in front, and go when there are too many.
type table struct {
	mu  sync.Mutex
	m   map[string]*instance
	lru *list.List
	max int
	now func() uint64 // batches committed
}

func (t *table) init(max int, now func() uint64) {
	t.m, t.lru, t.max, t.now = map[string]*instance{}, list.New(), max, now
}

// get gives the instance with this id, made anew if it is not in memory. Its row
// and history are read later, by its first owner.
func (t *table) get(id string) *instance {
	t.mu.Lock()
	defer t.mu.Unlock()
	in := t.m[id]
	if in == nil {
		in = &instance{id: id, since: t.now()}
		t.m[id] = in
	}
	return in
}

// rest puts an instance whose turn is over among the idle ones. It may have been
// evicted since by somebody else, and its id be another instance's by now.
func (t *table) rest(in *instance) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.m[in.id] != in:
	case in.idle != nil:
		t.lru.MoveToFront(in.idle)
	default:
		in.idle = t.lru.PushFront(in)
	}
}

// maxTrim bounds how many instances one trim looks at.
const maxTrim = 64

// trim evicts idle instances while there are too many. committed is the log
// position up to which everything is on disk: an instance with anything beyond
// it must stay, since a reload would not see it. Those that must stay go to the
// front, so that the next trim meets others.
func (t *table) trim(committed uint64) {
	var evicted []Executor
	t.mu.Lock()
	for n := min(maxTrim, t.lru.Len()); n > 0 && t.lru.Len() > t.max; n-- {
		el := t.lru.Back()
		old := el.Value.(*instance)
		x, ok := old.evict(committed)
		if !ok {
			t.lru.MoveToFront(el)
			continue
		}
		t.lru.Remove(el)
		old.idle = nil
		delete(t.m, old.id)
		if x != nil {
			evicted = append(evicted, x)
		}
	}
	t.mu.Unlock()
	for _, x := range evicted {
		x.Close()
	}
}

// evict marks the instance dead if nobody needs it.
func (in *instance) evict(committed uint64) (Executor, bool) {
	if !in.mu.TryLock() {
		return nil, false
	}
	defer in.mu.Unlock()
	// What waits behind a lock stays in memory: it would be read again with each message.
	if in.busy || len(in.box) > 0 || in.wake || in.pos > committed || len(in.tasks) > 0 || len(in.waiting) > 0 || in.out != nil || in.offered {
		return nil, false
	}
	in.dead = true
	x := in.exec
	in.exec = nil
	return x, true
}

// drop forgets an instance that turned out not to exist. One that took messages
// which the disk still has must stay a while: a reload would take them again.
func (t *table) drop(in *instance, committed uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.busy || len(in.box) > 0 || in.wake || in.dead || in.offered {
		return
	}
	if in.pos > committed {
		if in.idle == nil {
			in.idle = t.lru.PushFront(in)
		}
		return
	}
	in.dead = true
	if in.idle != nil {
		t.lru.Remove(in.idle)
		in.idle = nil
	}
	delete(t.m, in.id)
}

// close unwinds every parked body. Nobody owns an instance any more.
func (t *table) close() {
	t.mu.Lock()
	all := t.m
	t.m = map[string]*instance{}
	t.mu.Unlock()
	for _, in := range all {
		in.mu.Lock()
		in.dead = true
		x := in.exec
		in.exec = nil
		in.mu.Unlock()
		if x != nil {
			x.Close()
		}
	}
}

// deliver puts messages into an instance's mailbox and sees to it that somebody
// takes them out.
func (e *Engine) deliver(id string, msgs ...*message) {
	if in := e.post(id, msgs); in != nil {
		e.turns.put(in)
	}
}

// post puts messages into a mailbox; it gives the instance back if the caller
// now owns it and must run or queue it.
func (e *Engine) post(id string, msgs []*message) *instance {
	for {
		in := e.instances.get(id)
		in.mu.Lock()
		if in.dead {
			in.mu.Unlock()
			continue
		}
		in.box = append(in.box, msgs...)
		for _, m := range msgs {
			in.boxed += m.size()
		}
		own := !in.busy
		in.busy = true
		if len(msgs) == 0 {
			in.wake = true
		} else if msgs[0].fresh && own && !in.loaded {
			in.loaded = true // nothing of it can be in the store
		}
		in.mu.Unlock()
		if own {
			return in
		}
		return nil
	}
}

// wakeUp gives an instance a turn without a message: its timers are due, or it
// was found runnable when the engine opened.
func (e *Engine) wakeUp(id string) { e.deliver(id) }

// maxDrain bounds the bytes of messages that one turn takes.
const maxDrain = 256 << 10

// Sizes of a mailbox in bytes: from crowdedBox on no more activities of the instance
// are started, and from maxBox on results of those that were wait to be put into it.
const (
	crowdedBox = 2 * maxDrain
	maxBox     = 4 * crowdedBox
)

// crowded reports whether so much waits for the instance that its activities must
// not start. When it no longer is, take says so.
func (in *instance) crowded() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.boxed < crowdedBox || !in.busy {
		return false
	}
	in.paused = true
	return true
}

// full gives, while the mailbox is too large and somebody is about to empty it, a
// channel that is closed when it no longer is; else nil.
func (in *instance) full() <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.boxed < maxBox || !in.busy {
		return nil
	}
	if in.room == nil {
		in.room = make(chan struct{})
	}
	return in.room
}

// take empties the mailbox into a turn, or gives up the ownership.
//
// woken says that it is due for another reason, perhaps a timer, whether or not
// there are messages.
//
// room says that its activities may start again.
func (in *instance) take() (msgs []*message, woken, room, more bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.box) == 0 && !in.wake {
		in.busy = false
		return nil, false, false, false
	}
	woken, in.wake = in.wake, false
	most := len(in.box)
	if isEntity(in.id) {
		most = min(most, maxBatch)
	}
	n, size := 0, 0
	for n < most && size < maxDrain {
		size += in.box[n].size()
		n++
	}
	msgs = in.box[:n:n]
	if in.box = in.box[n:]; len(in.box) == 0 {
		in.box = nil
	}
	if in.boxed -= size; in.boxed < maxBox && in.room != nil {
		close(in.room)
		in.room = nil
	}
	if in.boxed < crowdedBox {
		room, in.paused = in.paused, false
	}
	return msgs, woken, room, true
}

// left gives the first message that waits in the mailbox; nil if there is none.
func (in *instance) left() *message {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.box) == 0 {
		return nil
	}
	return in.box[0]
}

// pushFront puts messages before all others.
func (in *instance) pushFront(msgs []*message) {
	in.mu.Lock()
	in.box = append(append(make([]*message, 0, len(msgs)+len(in.box)), msgs...), in.box...)
	for _, m := range msgs {
		in.boxed += m.size()
	}
	in.mu.Unlock()
}

// pushBack puts messages that were taken before all others again, and what woke the
// instance with them.
func (in *instance) pushBack(msgs []*message, woken bool) {
	in.pushFront(msgs)
	if woken {
		in.wakeAgain()
	}
}

// wakeAgain makes the owner run a turn though there may be no message.
func (in *instance) wakeAgain() {
	in.mu.Lock()
	in.wake = true
	in.mu.Unlock()
}

// isEntity reports whether id is an entity's.
func isEntity(id string) bool { return len(id) > 0 && id[0] == '@' }

// reset makes the in-memory part ready for a new execution.
func (in *instance) reset() {
	in.tasks, in.children, in.requests = nil, nil, nil
	in.timers, in.locks, in.early, in.startAt = nil, nil, nil, time.Time{}
	in.lastID = history.FromOutside
	in.rewinds, in.formerly = 0, nil
	in.queue, in.out = nil, nil
}

// note puts an entry into a map that is made with its first one: most instances
// need few of those that they have.
func note[K comparable, V any](m *map[K]V, k K, v V) {
	if *m == nil {
		*m = map[K]V{}
	}
	(*m)[k] = v
}
