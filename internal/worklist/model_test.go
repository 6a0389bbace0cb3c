package worklist_test

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/internal/worklist"
)

// model is a list as one would write it without caring for time: what waits, who waits, who has what.
type model struct {
	list    *worklist.List[int]
	next    int
	about   map[int]worklist.About
	waiting map[int]bool // offered, and in nobody's hands
	sinks   []*modelSink
}

type modelSink struct {
	sink  *worklist.Sink[int]
	takes worklist.Takes
	held  map[int]bool
	idle  bool // its last Take gave nothing
}

var names = []string{"a", "b", "c"}

func (m *model) offer(t *rapid.T) {
	item := m.next
	m.next++
	a := worklist.About{
		Kind:     worklist.Kind(rapid.IntRange(0, worklist.Kinds-1).Draw(t, "kind")),
		Name:     rapid.SampledFrom(names).Draw(t, "name"),
		Version:  rapid.SampledFrom([]string{"", "1", "2"}).Draw(t, "version"),
		Instance: rapid.SampledFrom([]string{"i", "j"}).Draw(t, "instance"),
		Priority: rapid.IntRange(0, 6).Draw(t, "priority"),
	}
	m.about[item] = a
	m.waiting[item] = true
	m.list.Offer(item, a, 0)
}

// again offers what waits already, which changes nothing.
func (m *model) again(t *rapid.T) {
	if item, ok := some(t, m.waiting); ok {
		m.list.Offer(item, m.about[item], 0)
	}
}

func (m *model) withdraw(t *rapid.T) {
	item, ok := some(t, m.waiting)
	if !ok {
		return
	}
	if !m.list.Withdraw(item) {
		t.Fatalf("item %d, which nobody has taken, cannot be withdrawn", item)
	}
	if m.list.Withdraw(item) {
		t.Fatalf("item %d was withdrawn twice", item)
	}
	delete(m.waiting, item)
}

func (m *model) join(t *rapid.T) {
	takes := worklist.Takes{}
	for k := range takes.Limits {
		takes.Limits[k] = rapid.IntRange(0, 3).Draw(t, "limit")
	}
	if rapid.Bool().Draw(t, "filtered") {
		takes.Filters = new([worklist.Kinds]worklist.Filter)
		for k := range takes.Filters {
			f := worklist.Filter{}
			for _, name := range names {
				switch rapid.IntRange(0, 2).Draw(t, "versions") {
				case 1:
					f[name] = nil
				case 2:
					f[name] = worklist.Versions{"": true, "1": true}
				}
			}
			takes.Filters[k] = f
		}
	}
	m.sinks = append(m.sinks, &modelSink{sink: m.list.Join(takes), takes: takes, held: map[int]bool{}})
}

func (m *model) leave(t *rapid.T) {
	if len(m.sinks) == 0 {
		return
	}
	i := rapid.IntRange(0, len(m.sinks)-1).Draw(t, "sink")
	s := m.sinks[i]
	m.sinks = slices.Delete(m.sinks, i, i+1)
	s.sink.Leave()
	for item := range s.held { // as a stream that is lost gives back what it held
		s.sink.Done(m.about[item].Kind)
		m.waiting[item] = true
		m.list.Offer(item, m.about[item], 0)
	}
}

func (m *model) take(t *rapid.T) {
	if len(m.sinks) > 0 {
		m.takeFor(t, rapid.SampledFrom(m.sinks).Draw(t, "sink"))
	}
}

func (m *model) takeFor(t *rapid.T, s *modelSink) {
	item, a, ok := s.sink.Take()
	s.idle = !ok
	if !ok {
		return
	}
	if !m.waiting[item] {
		t.Fatalf("item %d was given, which somebody has or nobody wants", item)
	}
	if a != m.about[item] || !s.accepts(m, item) {
		t.Fatalf("item %d (%+v) was given to a sink that takes %+v and has %v", item, a, s.takes, s.held)
	}
	delete(m.waiting, item)
	s.held[item] = true
}

func (m *model) done(t *rapid.T) {
	for _, s := range m.sinks {
		if item, ok := some(t, s.held); ok {
			delete(s.held, item)
			s.sink.Done(m.about[item].Kind)
			return
		}
	}
}

func (m *model) pause(t *rapid.T) {
	for _, s := range m.sinks {
		if s.idle {
			s.idle = false
			if !s.sink.Pause() {
				m.takeFor(t, s)
				if s.idle {
					t.Fatal("a sink to which something was handed gets nothing")
				}
			}
			return
		}
	}
}

// accepts is the rule of limits and filters, once more.
func (s *modelSink) accepts(m *model, item int) bool {
	a := m.about[item]
	n := 0
	for h := range s.held {
		if m.about[h].Kind == a.Kind {
			n++
		}
	}
	if n >= s.takes.Limits[a.Kind] {
		return false
	}
	if s.takes.Filters == nil {
		return true
	}
	versions, ok := s.takes.Filters[a.Kind][a.Name]
	return ok && (versions == nil || versions[a.Version])
}

// check lets those go on who were told that they can, and then nothing may wait that one of those
// who wait accepts.
func (m *model) check(t *rapid.T) {
	for told := true; told; {
		told = false
		for _, s := range m.sinks {
			select {
			case <-s.sink.Ready():
				told = true
				m.takeFor(t, s)
			default:
			}
		}
	}
	counted := 0
	for _, w := range m.list.Waiting() {
		counted += w.Ready + w.Delayed
	}
	if counted != len(m.waiting) {
		t.Fatalf("%d items wait in the list, want %d", counted, len(m.waiting))
	}
	for _, s := range m.sinks {
		for item := range m.waiting {
			if s.idle && s.accepts(m, item) {
				t.Fatalf("item %d (%+v) waits beside a sink that waits, takes %+v and has %v", item, m.about[item], s.takes, s.held)
			}
		}
	}
}

func some(t *rapid.T, set map[int]bool) (int, bool) {
	if len(set) == 0 {
		return 0, false
	}
	items := make([]int, 0, len(set))
	for item := range set {
		items = append(items, item)
	}
	slices.Sort(items)
	return rapid.SampledFrom(items).Draw(t, "item"), true
}

// TestModel compares a list with the model under random offers, withdrawals, sinks that come and
// go, and items taken and done.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{list: worklist.New[int](), about: map[int]worklist.About{}, waiting: map[int]bool{}}
		t.Repeat(map[string]func(*rapid.T){
			"offer": m.offer, "offer more": m.offer, "offer again": m.again, "withdraw": m.withdraw, "join": m.join, "leave": m.leave,
			"take": m.take, "take more": m.take, "done": m.done, "pause": m.pause, "": m.check,
		})
		// In the end somebody takes everything that waits: nothing is lost.
		for _, s := range m.sinks {
			s.sink.Leave()
		}
		all := m.list.Join(worklist.Takes{Limits: [worklist.Kinds]int{m.next + 1, m.next + 1, m.next + 1}})
		for {
			item, _, ok := all.Take()
			if !ok {
				break
			}
			if !m.waiting[item] {
				t.Fatalf("item %d was given, which somebody has or nobody wants", item)
			}
			delete(m.waiting, item)
		}
		if len(m.waiting) > 0 {
			t.Fatal(fmt.Sprint("lost: ", m.waiting))
		}
	})
}
