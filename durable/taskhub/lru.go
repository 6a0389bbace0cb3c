package taskhub

import "container/list"

// lru is a map of bounded weight: what was used longest ago goes first. It has no lock of its own.
type lru[K comparable, V any] struct {
	max, weight int
	places      map[K]*list.Element
	order       *list.List // of lruEntry, the one used last in front
	gone        func(V)    // unless it is nil: is told of what is dropped for want of room
}

type lruEntry[K comparable, V any] struct {
	key    K
	value  V
	weight int
}

func newLRU[K comparable, V any](limit int) *lru[K, V] {
	return &lru[K, V]{max: limit, places: map[K]*list.Element{}, order: list.New()}
}

func (c *lru[K, V]) get(k K) (v V, ok bool) {
	el := c.places[k]
	if el == nil {
		return v, false
	}
	c.order.MoveToFront(el)
	return el.Value.(lruEntry[K, V]).value, true
}

// put keeps a value instead of the one that is there; one that alone is too heavy is not kept.
func (c *lru[K, V]) put(k K, v V, weight int) {
	c.drop(k)
	if weight > c.max {
		if c.gone != nil {
			c.gone(v)
		}
		return
	}
	c.places[k] = c.order.PushFront(lruEntry[K, V]{k, v, weight})
	for c.weight += weight; c.weight > c.max; {
		old := c.order.Back().Value.(lruEntry[K, V])
		c.drop(old.key)
		if c.gone != nil {
			c.gone(old.value)
		}
	}
}

// drop forgets a value, and gives it.
func (c *lru[K, V]) drop(k K) (v V, ok bool) {
	el := c.places[k]
	if el == nil {
		return v, false
	}
	e := c.order.Remove(el).(lruEntry[K, V])
	delete(c.places, k)
	c.weight -= e.weight
	return e.value, true
}
