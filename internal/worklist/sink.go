package worklist

import "container/list"

// Filter has the names that a sink takes of a kind, each with its versions: nil is any version,
// "" is none. A nil Filter takes nothing.
type Filter map[string]Versions

// Versions is a set.
type Versions map[string]bool

// Takes says how much a sink takes, and what.
type Takes struct {
	Limits  [Kinds]int     // of each kind at once
	Filters *[Kinds]Filter // nil: everything
}

// Sink takes items from a [List]. It belongs to one goroutine, but for Done.
type Sink[W comparable] struct {
	l     *List[W]
	takes Takes
	ready chan struct{}

	// Guarded by l.mu.
	load   [Kinds]int
	next   Kind          // the kind to look at first
	el     *list.Element // while it waits
	handed *entry[W]     // what it was woken for
	left   bool
}

// Join adds a sink, which does not wait yet.
func (l *List[W]) Join(t Takes) *Sink[W] {
	return &Sink[W]{l: l, takes: t, ready: make(chan struct{}, 1)}
}

// Ready tells that Take should be called again, after it has given nothing.
func (s *Sink[W]) Ready() <-chan struct{} { return s.ready }

// Take gives the next item, which counts against the limit of its kind until Done; false if there
// is none: then the sink waits, until Ready.
func (s *Sink[W]) Take() (item W, a About, ok bool) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	e := s.handed
	s.handed = nil
	if e == nil && !s.left {
		if e = s.pick(); e != nil {
			s.load[e.about.Kind]++
		}
	}
	if e == nil {
		if !s.left && s.el == nil && !s.l.closed {
			s.el = s.l.idle.PushBack(s)
		}
		return item, a, false
	}
	s.rest()
	delete(s.l.entries, e.item)
	return e.item, e.about, true
}

// Pause ends the waiting, so that nothing is handed to a sink that is about to do something else;
// false if something was already, which Take gives.
func (s *Sink[W]) Pause() bool {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.rest()
	return s.handed == nil
}

// Done makes room for another item of a kind.
func (s *Sink[W]) Done(k Kind) {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.load[k]--
	if s.el == nil {
		return
	}
	if e := s.pick(); e != nil {
		s.hand(e)
	}
}

// Leave ends the sink. What it has taken is the caller's to offer again.
func (s *Sink[W]) Leave() {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	s.left = true
	s.rest()
	if e := s.handed; e != nil {
		s.handed, e.sink = nil, nil
		s.l.place(e)
	}
}

// Load gives how many items of each kind are under way.
func (s *Sink[W]) Load() [Kinds]int {
	s.l.mu.Lock()
	defer s.l.mu.Unlock()
	return s.load
}

// rest takes the sink out of those that wait.
func (s *Sink[W]) rest() {
	if s.el != nil {
		s.l.idle.Remove(s.el)
		s.el = nil
	}
}

// hand gives an item to a sink that waits.
func (s *Sink[W]) hand(e *entry[W]) {
	s.rest()
	s.handed, e.sink = e, s
	s.load[e.about.Kind]++
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// accepts reports whether an item may be given to the sink now.
func (s *Sink[W]) accepts(a About) bool {
	if s.load[a.Kind] >= s.takes.Limits[a.Kind] {
		return false
	}
	if s.takes.Filters == nil {
		return true
	}
	versions, ok := s.takes.Filters[a.Kind][a.Name]
	return ok && (versions == nil || versions[a.Version])
}

// pick takes an item for the sink out of the queues, the kinds by turns.
func (s *Sink[W]) pick() *entry[W] {
	for i := range Kind(Kinds) {
		k := (s.next + i) % Kinds
		if s.load[k] >= s.takes.Limits[k] {
			continue
		}
		q := &s.l.kinds[k]
		from := q.first()
		if s.takes.Filters != nil {
			from = q.among(s.takes.Filters[k])
		}
		if from == nil {
			continue
		}
		s.next = (k + 1) % Kinds
		return q.take(from)
	}
	return nil
}

// Add lets a name in, with its versions or with any: what was added before stays.
func (f Filter) Add(name string, versions []string) {
	known, before := f[name]
	switch {
	case len(versions) == 0, before && known == nil:
		f[name] = nil
		return
	case !before:
		known = Versions{}
		f[name] = known
	}
	for _, v := range versions {
		known[v] = true
	}
}
