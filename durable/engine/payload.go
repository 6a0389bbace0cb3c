package engine

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// largeData is the size in bytes from which an event's data is stored as a
// payload, once, with its hash in the event.
const largeData = 16 << 10

// payloadCache reads payloads. It holds those that are on their way to the disk,
// so that a turn sees what an earlier, uncommitted one stored, and the ones used
// last of those that are there.
type payloadCache struct {
	store store.Store

	mu     sync.Mutex
	pinned map[history.Hash]*pinned
	m      map[history.Hash]*list.Element
	lru    *list.List // of Piece
	bytes  int
	max    int
	epoch  int // raised by forget: what was read before it is not remembered
}

type pinned struct {
	data []byte
	n    int
}

func (p *payloadCache) init(max int, s store.Store) {
	p.store, p.max, p.lru = s, max, list.New()
	p.pinned, p.m = map[history.Hash]*pinned{}, map[history.Hash]*list.Element{}
}

// pin keeps pieces readable until their commit.
func (p *payloadCache) pin(pieces []Piece) {
	if len(pieces) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range pieces {
		if e := p.pinned[x.Hash]; e != nil {
			e.n++
		} else {
			p.pinned[x.Hash] = &pinned{x.Data, 1}
		}
	}
}

// unpin is called once for each pin.
func (p *payloadCache) unpin(pieces []Piece) {
	if len(pieces) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, x := range pieces {
		e := p.pinned[x.Hash]
		if e == nil {
			continue
		}
		if e.n--; e.n == 0 {
			delete(p.pinned, x.Hash)
			p.remember(x)
		}
	}
}

func (p *payloadCache) remember(x Piece) {
	if len(x.Data) > p.max/4 || p.m[x.Hash] != nil {
		return
	}
	p.m[x.Hash] = p.lru.PushFront(x)
	p.bytes += len(x.Data)
	for p.bytes > p.max {
		old := p.lru.Remove(p.lru.Back()).(Piece)
		delete(p.m, old.Hash)
		p.bytes -= len(old.Data)
	}
}

// forget drops what is cached of the store.
func (p *payloadCache) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lru.Init()
	clear(p.m)
	p.bytes = 0
	p.epoch++
}

// Payload gives a payload; the caller must not change it.
func (p *payloadCache) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	p.mu.Lock()
	if e := p.pinned[h]; e != nil {
		defer p.mu.Unlock()
		return e.data, nil
	}
	if el := p.m[h]; el != nil {
		p.lru.MoveToFront(el)
		defer p.mu.Unlock()
		return el.Value.(Piece).Data, nil
	}
	epoch := p.epoch
	p.mu.Unlock()
	b, err := p.store.Payload(ctx, h)
	if err != nil {
		return nil, fmt.Errorf("payload %s: %w", h, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch {
		p.remember(Piece{h, b})
	}
	return b, nil
}

// encode appends an event to a change set as history rows hold it, with large
// data apart.
func (e *Engine) encode(cs *changeSet, ev *history.Event) {
	if cs.events == nil {
		cs.events = e.commits.spares.get()
	} else if len(cs.events) > largeFrom && cap(cs.events) < maxRow {
		cs.events = e.commits.spares.enlarge(cs.events)
	}
	if len(ev.Data) < largeData {
		cs.events = history.AppendRow(cs.events, ev)
		return
	}
	piece := Piece{history.HashOf(ev.Data), ev.Data}
	stored := *ev
	stored.Data, stored.DataRef = nil, piece.Hash
	cs.events = history.AppendRow(cs.events, &stored)
	cs.pieces = append(cs.pieces, piece)
	e.payloads.pin([]Piece{piece})
}

// resolve puts large data back into an event.
func (p *payloadCache) resolve(ctx context.Context, ev *history.Event) error {
	if ev.DataRef.IsZero() {
		return nil
	}
	b, err := p.Payload(ctx, ev.DataRef)
	if err != nil {
		return err
	}
	ev.Data, ev.DataRef = b, history.Hash{}
	return nil
}
