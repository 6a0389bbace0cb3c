package worklist

import (
	"container/heap"
	"container/list"
	"sync"
	"time"
)

// Kind tells sorts of items apart, which a sink has limits for.
type Kind uint8

// The kinds.
const (
	Orchestration Kind = iota
	Activity
	Entity

	Kinds = 3 // how many there are
)

// About is what matters of an item.
type About struct {
	Kind     Kind
	Name     string
	Version  string
	Instance string // items of several instances are served by turns
	Priority int    // 1 is served first, 5 last; others count as 3
}

// List is items that wait, and sinks. All methods of it and of its sinks may be called from any
// goroutine, and none blocks. The zero value is not ready: use [New].
type List[W comparable] struct {
	mu      sync.Mutex
	entries map[W]*entry[W] // all that nobody has taken
	kinds   [Kinds]queue[W]
	idle    *list.List // of *Sink: those that wait, longest first
	delayed delayed[W]
	timer   *time.Timer // for the first of them; nil: none is set
	closed  bool
}

// entry is an item that nobody has taken. It is in a queue, or among the delayed, or handed to a sink.
type entry[W comparable] struct {
	item  W
	about About

	key  *key[W] // while it is in a queue
	lane *lane[W]
	el   *list.Element

	sink *Sink[W] // while it is handed to one that has not taken it yet

	due time.Time // while it is delayed
	at  int       // its place among the delayed, from 1
}

// New makes an empty list.
func New[W comparable]() *List[W] {
	l := &List[W]{entries: map[W]*entry[W]{}, idle: list.New()}
	for k := range l.kinds {
		l.kinds[k].init()
	}
	return l
}

// Offer puts an item in, which is given to nobody before the delay is over. One that waits already
// stays as it is.
func (l *List[W]) Offer(item W, a About, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries[item] != nil || l.closed {
		return
	}
	e := &entry[W]{item: item, about: a}
	l.entries[item] = e
	if delay > 0 {
		e.due = time.Now().Add(delay)
		heap.Push(&l.delayed, e)
		l.setTimer()
		return
	}
	l.place(e)
}

// Withdraw takes an item out again; false if it does not wait, because a sink has taken it.
func (l *List[W]) Withdraw(item W) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[item]
	if e == nil {
		return false
	}
	delete(l.entries, item)
	switch {
	case e.sink != nil:
		e.sink.handed = nil // it was woken, so it will ask by itself for something else
		e.sink.load[e.about.Kind]--
	case e.at > 0:
		heap.Remove(&l.delayed, e.at-1)
		l.setTimer()
	default:
		l.kinds[e.about.Kind].remove(e)
	}
	return true
}

// Close drops all items, and takes no more.
func (l *List[W]) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, e := range l.entries {
		if e.sink != nil {
			e.sink.handed = nil
		}
	}
	clear(l.entries)
	for k := range l.kinds {
		l.kinds[k].init()
	}
	l.delayed = nil
	l.setTimer()
	for el := l.idle.Front(); el != nil; el = el.Next() {
		el.Value.(*Sink[W]).el = nil
	}
	l.idle.Init()
}

// place gives an item to a sink that waits for one, or puts it into its queue.
func (l *List[W]) place(e *entry[W]) {
	var best *Sink[W]
	for el := l.idle.Front(); el != nil; el = el.Next() {
		s := el.Value.(*Sink[W])
		if !s.accepts(e.about) || best != nil && s.load[e.about.Kind] >= best.load[e.about.Kind] {
			continue
		}
		if best = s; s.load[e.about.Kind] == 0 {
			break
		}
	}
	if best == nil {
		l.kinds[e.about.Kind].add(e)
		return
	}
	best.hand(e)
}

// setTimer sees to it that somebody looks when the first of the delayed is due.
func (l *List[W]) setTimer() {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if len(l.delayed) > 0 {
		l.timer = time.AfterFunc(time.Until(l.delayed[0].due), l.release)
	}
}

// release lets go those whose delay is over.
func (l *List[W]) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for len(l.delayed) > 0 && !l.delayed[0].due.After(now) {
		l.place(heap.Pop(&l.delayed).(*entry[W]))
	}
	l.setTimer()
}

// Waiting is how many items of a name and version nobody has taken.
type Waiting struct {
	Kind    Kind
	Name    string
	Version string
	Ready   int // could be taken at once
	Delayed int
}

// Waiting counts what waits, in no order.
func (l *List[W]) Waiting() []Waiting {
	l.mu.Lock()
	defer l.mu.Unlock()
	type group struct {
		kind          Kind
		name, version string
	}
	counts := map[group]*Waiting{}
	for _, e := range l.entries {
		g := group{e.about.Kind, e.about.Name, e.about.Version}
		w := counts[g]
		if w == nil {
			w = &Waiting{Kind: g.kind, Name: g.name, Version: g.version}
			counts[g] = w
		}
		if e.at > 0 {
			w.Delayed++
		} else {
			w.Ready++
		}
	}
	all := make([]Waiting, 0, len(counts))
	for _, w := range counts {
		all = append(all, *w)
	}
	return all
}

// delayed is a heap of entries, the first one due in front.
type delayed[W comparable] []*entry[W]

func (d delayed[W]) Len() int           { return len(d) }
func (d delayed[W]) Less(i, j int) bool { return d[i].due.Before(d[j].due) }
func (d delayed[W]) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].at, d[j].at = i+1, j+1
}

func (d *delayed[W]) Push(x any) {
	e := x.(*entry[W])
	*d = append(*d, e)
	e.at = len(*d)
}

func (d *delayed[W]) Pop() any {
	last := len(*d) - 1
	e := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	e.at = 0
	return e
}
