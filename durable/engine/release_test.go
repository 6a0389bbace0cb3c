package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// hoarder is an entity that does with the payload of its operations' input, one after
// the other, what the letters of their name say: (s)tore, (k)eep, (r)elease.
var hoarder = Entity{Name: "hoarder", Run: func(b *EntityBatch) {
	for _, op := range b.Ops {
		h := history.HashOf(op.Data)
		for _, what := range op.Name {
			switch what {
			case 's':
				b.Take([]Piece{{Hash: h, Data: op.Data}}, nil, nil)
			case 'k':
				b.Take(nil, []history.Hash{h}, nil)
			case 'r':
				b.Take(nil, nil, []history.Hash{h})
			}
		}
		b.State = history.Payload("x")
	}
	b.Results = make([]Outcome, len(b.Ops))
}}

// What counts of the releases and the references of one batch, and of one operation's
// batch, is what came last.
func TestReleaseWithinABatch(t *testing.T) {
	for _, c := range []struct {
		ops  string
		here bool
	}{
		{"s", true}, {"sr", false}, {"srs", true}, {"srsr", false}, {"skr", false}, {"r", false}, {"rs", true},
	} {
		for _, apart := range []bool{false, true} { // each in a turn of its own, or all in one
			t.Run(fmt.Sprint(c.ops, apart), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, shut, open := gate(memory.New())
					var refs []store.PayloadRef
					s := &spy{Store: g, commit: func(b *store.Batch) { refs = slices.Clone(b.Refs) }}
					e := start(t, s, Definitions{Entities: []Entity{hoarder}}, Options{})
					signal := func(key, op, data string) {
						go func() { _ = e.Signal(t.Context(), "@hoarder@"+key, op, history.Payload(data), time.Time{}) }()
						synctest.Wait()
					}
					ops := []string{c.ops}
					if apart {
						ops = strings.Split(c.ops, "")
					}
					shut()
					signal("other", "s", "first") // the commit that waits
					for _, op := range ops {
						signal("a", op, "it")
					}
					open()
					synctest.Wait()
					_, err := e.Payload(t.Context(), history.HashOf([]byte("it")))
					if here := err == nil; here != c.here || !here && !errors.Is(err, store.ErrNotFound) {
						t.Errorf("after %s it is there: %v (%v), references %v", c.ops, here, err, refs)
					}
					if _, err := s.Payload(context.Background(), history.HashOf([]byte("it"))); (err == nil) != c.here {
						t.Errorf("on disk after %s: %v", c.ops, err)
					}
					end(t, e)
				})
			})
		}
	}
}

// A payload that was read is not found any more once it is released, though it was
// in memory.
func TestReleaseEmptiesTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := start(t, memory.New(), Definitions{Entities: []Entity{hoarder}}, Options{})
		for _, key := range []string{"a", "b"} {
			if err := e.Signal(t.Context(), "@hoarder@"+key, "s", history.Payload("it"), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		for i, key := range []string{"a", "b"} {
			if _, err := e.Payload(t.Context(), history.HashOf([]byte("it"))); err != nil {
				t.Fatalf("with %d owners left: %v", 2-i, err)
			}
			if err := e.Signal(t.Context(), "@hoarder@"+key, "r", history.Payload("it"), time.Time{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if b, err := e.Payload(t.Context(), history.HashOf([]byte("it"))); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("after the last release: %q, %v", b, err)
		}
		end(t, e)
	})
}
