package worklist

import (
	"container/list"
	"math/bits"
)

// priorities is how many there are; usualPriority is that of an item which has none.
const (
	priorities    = 5
	usualPriority = 3
)

// passedOver is how many items in a row a priority lets go by in favour of higher ones, before one
// of its own is taken: so nothing waits for ever.
const passedOver = 16

// queue is the items of one kind.
type queue[W comparable] struct {
	names map[string]map[string]*key[W] // by name and version, those that have items
	order *list.List                    // of them, the next one first
	turns uint64
}

// key is the items of one name and version.
type key[W comparable] struct {
	name, version string
	levels        [priorities]level[W]
	filled        uint8 // bit p is set while levels[p] has items
	passed        [priorities]uint8
	turn          uint64 // those with a lower one come first
	el            *list.Element
}

// level is the items of one priority.
type level[W comparable] struct {
	lanes map[string]*lane[W]
	ring  *list.List // of them, the next one first
}

// lane is the items of one instance, oldest first.
type lane[W comparable] struct {
	instance string
	p        int
	items    *list.List // of *entry
	el       *list.Element
}

func (q *queue[W]) init() {
	q.names, q.order = map[string]map[string]*key[W]{}, list.New()
}

func (a *About) level() int {
	if a.Priority < 1 || a.Priority > priorities {
		return usualPriority - 1
	}
	return a.Priority - 1
}

func (q *queue[W]) add(e *entry[W]) {
	versions := q.names[e.about.Name]
	if versions == nil {
		versions = map[string]*key[W]{}
		q.names[e.about.Name] = versions
	}
	k := versions[e.about.Version]
	if k == nil {
		k = &key[W]{name: e.about.Name, version: e.about.Version, turn: q.turns}
		q.turns++
		versions[e.about.Version] = k
		k.el = q.order.PushBack(k)
	}
	k.add(e)
}

func (k *key[W]) add(e *entry[W]) {
	p := e.about.level()
	v := &k.levels[p]
	if v.lanes == nil {
		v.lanes, v.ring = map[string]*lane[W]{}, list.New()
	}
	n := v.lanes[e.about.Instance]
	if n == nil {
		n = &lane[W]{instance: e.about.Instance, p: p, items: list.New()}
		v.lanes[e.about.Instance] = n
		n.el = v.ring.PushBack(n)
	}
	e.key, e.lane, e.el = k, n, n.items.PushBack(e)
	k.filled |= 1 << p
}

// first gives the next key; nil if there is none.
func (q *queue[W]) first() *key[W] {
	if el := q.order.Front(); el != nil {
		return el.Value.(*key[W])
	}
	return nil
}

// among gives the next key of those that a filter names.
func (q *queue[W]) among(f Filter) *key[W] {
	var best *key[W]
	see := func(k *key[W]) {
		if k != nil && (best == nil || k.turn < best.turn) {
			best = k
		}
	}
	for name, wanted := range f {
		versions := q.names[name]
		if wanted == nil {
			for _, k := range versions {
				see(k)
			}
			continue
		}
		if versions == nil {
			continue
		}
		for version := range wanted {
			see(versions[version])
		}
	}
	return best
}

// take takes the next item of a key, which goes behind the others.
func (q *queue[W]) take(k *key[W]) *entry[W] {
	p := bits.TrailingZeros8(k.filled)
	if k.filled&(k.filled-1) != 0 { // several priorities
		p = k.choose(p)
	}
	n := k.levels[p].ring.Front().Value.(*lane[W])
	e := n.items.Front().Value.(*entry[W])
	k.levels[p].ring.MoveToBack(n.el)
	q.order.MoveToBack(k.el)
	k.turn = q.turns
	q.turns++
	q.remove(e)
	return e
}

// choose picks the highest priority, unless a lower one was passed over too often: then the one
// that was most often.
func (k *key[W]) choose(highest int) int {
	p, most := highest, uint8(passedOver-1)
	for i := highest + 1; i < priorities; i++ {
		if k.filled&(1<<i) != 0 && k.passed[i] > most {
			p, most = i, k.passed[i]
		}
	}
	for i := highest + 1; i < priorities; i++ {
		if k.filled&(1<<i) != 0 {
			k.passed[i]++
		}
	}
	k.passed[p] = 0
	return p
}

// remove takes an item out, and what is empty without it.
func (q *queue[W]) remove(e *entry[W]) {
	k, n := e.key, e.lane
	n.items.Remove(e.el)
	e.key, e.lane, e.el = nil, nil, nil
	if n.items.Len() > 0 {
		return
	}
	v := &k.levels[n.p]
	v.ring.Remove(n.el)
	delete(v.lanes, n.instance)
	if v.ring.Len() > 0 {
		return
	}
	k.filled &^= 1 << n.p
	k.passed[n.p] = 0
	if k.filled != 0 {
		return
	}
	q.order.Remove(k.el)
	versions := q.names[k.name]
	if delete(versions, k.version); len(versions) == 0 {
		delete(q.names, k.name)
	}
}
