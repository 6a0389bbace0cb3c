package live

import (
	"container/list"
	"errors"
	"sync"
	"sync/atomic"
)

// Options bound what a bus keeps; zero values are replaced.
type Options struct {
	Topic int // bytes kept of one topic; 0: 4 MiB
	Total int // bytes kept of all topics; 0: 64 MiB
	Watch int // topics that one watch may have; 0: 10,000
}

// overhead is about what a message takes beside its data.
const overhead = 48

// Errors of a bus and its watches.
var (
	// ErrClosed: the bus or the watch was closed.
	ErrClosed = errors.New("the live events have ended")
	// ErrTooMany: a watch has as many topics as it may.
	ErrTooMany = errors.New("a watch has too many topics")
)

// Bus passes messages on to those who watch their topics. Its methods may be called from any
// goroutine and never wait for one who watches.
type Bus struct {
	o       Options
	watched atomic.Int64 // places of all watches

	mu     sync.Mutex
	topics map[string]*topic
	recent *list.List // topics that hold messages, the one published to last at the back
	bytes  int
	all    map[*busWatch]struct{}
	closed bool
}

// topic is the last messages of one, and who watches it. It exists as long as it has either.
type topic struct {
	id       string
	messages [][]byte // oldest first
	first    uint64   // number of the oldest
	bytes    int
	places   map[*place]struct{}
	recent   *list.Element // nil without messages
}

// NewBus makes a bus that nobody watches.
func NewBus(o Options) *Bus {
	if o.Topic <= 0 {
		o.Topic = 4 << 20
	}
	if o.Total <= 0 {
		o.Total = 64 << 20
	}
	if o.Watch <= 0 {
		o.Watch = 10_000
	}
	return &Bus{o: o, topics: map[string]*topic{}, recent: list.New(), all: map[*busWatch]struct{}{}}
}

// Publish tells those who watch the topic, and those who will as long as the message is kept. The
// caller must not change data afterwards.
func (b *Bus) Publish(id string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	t := b.topic(id)
	t.messages = append(t.messages, data)
	t.bytes += len(data) + overhead
	b.bytes += len(data) + overhead
	if t.recent == nil {
		t.recent = b.recent.PushBack(t)
	} else {
		b.recent.MoveToBack(t.recent)
	}
	for t.bytes > b.o.Topic && len(t.messages) > 1 {
		b.drop(t, 1)
	}
	for b.bytes > b.o.Total && b.recent.Len() > 1 {
		old := b.recent.Front().Value.(*topic)
		b.drop(old, len(old.messages))
	}
	for p := range t.places {
		p.wake()
	}
}

// Touch says that the topic's subject has changed. It costs next to nothing while nobody watches.
func (b *Bus) Touch(id string) {
	if b.watched.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[id]; t != nil {
		for p := range t.places {
			p.changed = true
			p.wake()
		}
	}
}

// Forget drops what is kept of a topic.
func (b *Bus) Forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t := b.topics[id]; t != nil {
		b.drop(t, len(t.messages))
	}
}

// Close ends all watches. What is published afterwards is dropped.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for w := range b.all {
		w.end()
	}
	b.topics, b.bytes = map[string]*topic{}, 0
	b.recent.Init()
}

// topic finds or makes one. The caller holds mu, as for all below.
func (b *Bus) topic(id string) *topic {
	t := b.topics[id]
	if t == nil {
		t = &topic{id: id, places: map[*place]struct{}{}}
		b.topics[id] = t
	}
	return t
}

// drop forgets the n oldest messages of a topic.
func (b *Bus) drop(t *topic, n int) {
	for _, m := range t.messages[:n] {
		t.bytes -= len(m) + overhead
		b.bytes -= len(m) + overhead
	}
	clear(t.messages[:n])
	t.messages, t.first = t.messages[n:], t.first+uint64(n)
	if len(t.messages) == 0 && t.recent != nil {
		b.recent.Remove(t.recent)
		t.messages, t.recent = nil, nil
	}
	b.tidy(t)
}

// tidy forgets a topic of which nothing is left.
func (b *Bus) tidy(t *topic) {
	if len(t.messages) == 0 && len(t.places) == 0 {
		delete(b.topics, t.id)
	}
}
