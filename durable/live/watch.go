package live

import "context"

// Watch follows some topics. Next is for one goroutine; the other methods may be called beside it.
type Watch interface {
	// Add watches more topics; one that is watched already is left alone. The first change of each
	// comes at once, so that who reads the subject then, and after each further change, has all of
	// it. ErrTooMany is wrapped where there would be too many.
	Add(ids ...string) error
	// Remove ends the watching of topics.
	Remove(ids ...string) error
	// Next waits for the next change of any of them. Topics that change often do not keep others
	// from their turn.
	Next(ctx context.Context) (Change, error)
	// Close ends the watch, and a Next that waits. It is safe to call more than once.
	Close() error
}

// Change is what is new of one topic.
type Change struct {
	ID string
	// Changed says that its subject may have changed, once or more often.
	Changed bool
	// Messages are the next ones, oldest first. They must not be changed.
	Messages [][]byte
	// Missed is how many messages before them are no longer kept.
	Missed int
}

// mostAtOnce bounds the bytes of the messages of one Change, but for a message that alone is larger.
const mostAtOnce = 256 << 10

// busWatch is a Watch of a bus.
type busWatch struct {
	bus    *Bus
	ready  chan struct{} // holds a value if there may be something in news
	done   chan struct{}
	places map[string]*place
	news   []*place // with something new, in the order in which that came
	ended  bool
}

// place is how far a watch has come in a topic.
type place struct {
	w       *busWatch
	t       *topic
	next    uint64 // number of the next message
	changed bool
	waiting bool // it is among the news
	gone    bool
}

// Watch makes a watch without topics.
func (b *Bus) Watch() Watch {
	w := &busWatch{bus: b, ready: make(chan struct{}, 1), done: make(chan struct{}), places: map[string]*place{}}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		w.end()
	} else {
		b.all[w] = struct{}{}
	}
	return w
}

func (w *busWatch) Add(ids ...string) error {
	b := w.bus
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		switch {
		case w.ended:
			return ErrClosed
		case w.places[id] != nil:
			continue
		case len(w.places) >= b.o.Watch:
			return ErrTooMany
		}
		t := b.topic(id)
		p := &place{w: w, t: t, next: t.first, changed: true}
		w.places[id] = p
		t.places[p] = struct{}{}
		b.watched.Add(1)
		p.wake()
	}
	return nil
}

func (w *busWatch) Remove(ids ...string) error {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	for _, id := range ids {
		if p := w.places[id]; p != nil {
			w.leave(p)
		}
	}
	return nil
}

// leave ends a place. Its turn among the news stays, and says nothing.
func (w *busWatch) leave(p *place) {
	delete(w.places, p.t.id)
	delete(p.t.places, p)
	p.gone = true
	w.bus.watched.Add(-1)
	w.bus.tidy(p.t)
}

// wake queues the place for Next.
func (p *place) wake() {
	if !p.waiting {
		p.waiting = true
		p.w.news = append(p.w.news, p)
	}
	p.w.ring()
}

func (w *busWatch) ring() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

func (w *busWatch) Next(ctx context.Context) (Change, error) {
	for {
		if c, ok := w.take(); ok {
			return c, nil
		}
		select {
		case <-w.ready:
		case <-w.done:
			return Change{}, ErrClosed
		case <-ctx.Done():
			return Change{}, ctx.Err()
		}
	}
}

// take gives the change that has waited longest.
func (w *busWatch) take() (c Change, ok bool) {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	for len(w.news) > 0 {
		p := w.news[0]
		w.news[0] = nil
		w.news = w.news[1:]
		p.waiting = false
		if !p.gone {
			return p.take(), true
		}
	}
	w.news = nil
	return Change{}, false
}

func (p *place) take() Change {
	t := p.t
	c := Change{ID: t.id, Changed: p.changed}
	p.changed = false
	if p.next < t.first {
		c.Missed, p.next = int(t.first-p.next), t.first
	}
	size := 0
	for _, m := range t.messages[p.next-t.first:] {
		if size += len(m); size > mostAtOnce && len(c.Messages) > 0 {
			p.wake()
			break
		}
		c.Messages = append(c.Messages, m)
		p.next++
	}
	return c
}

func (w *busWatch) Close() error {
	w.bus.mu.Lock()
	defer w.bus.mu.Unlock()
	w.end()
	return nil
}

// end leaves everything. The caller holds the bus's mu.
func (w *busWatch) end() {
	if w.ended {
		return
	}
	w.ended = true
	for _, p := range w.places {
		w.leave(p)
	}
	delete(w.bus.all, w)
	w.news = nil
	close(w.done)
}
