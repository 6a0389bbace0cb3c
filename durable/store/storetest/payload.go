package storetest

import (
	"bytes"
	"errors"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func testPayload(t *testing.T, e *env) {
	h := e.open(t)
	values := [][]byte{{}, []byte("x"), bytes.Repeat([]byte("ab"), 8<<10), bytes.Repeat([]byte{0, 255}, 2<<20)}
	for i, v := range values {
		hash := history.HashOf(v)
		if _, err := h.Payload(t.Context(), hash); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("before it is stored: %v", err)
		}
		p, ref := store.Payload{Hash: hash, Data: v}, store.PayloadRef{Hash: hash, Num: int64(i)}
		// Twice in one batch and in two: stored once.
		h.commit(store.Batch{Payloads: []store.Payload{p, p}, Refs: []store.PayloadRef{ref, ref}})
		h.commit(store.Batch{Payloads: []store.Payload{p}, Refs: []store.PayloadRef{ref}})
	}
	for _, v := range values {
		got := must(h.Payload(t.Context(), history.HashOf(v)))(t)
		if got == nil || !bytes.Equal(got, v) {
			t.Errorf("%d bytes came back as %d (nil: %v)", len(v), len(got), got == nil)
		}
	}
	// The first one stays, as it must: equal hashes mean equal values.
	hash := history.HashOf([]byte("x"))
	h.commit(store.Batch{Payloads: []store.Payload{{Hash: hash, Data: []byte("other")}}})
	diff(t, "stored again", "x", string(must(h.Payload(t.Context(), hash))(t)))
}

func testRelease(t *testing.T, e *env) {
	h := e.open(t)
	has := func(text string, want bool) {
		t.Helper()
		_, hash := payload(text)
		_, err := h.Payload(t.Context(), hash)
		if want && err != nil || !want && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("payload %q, wanted %v: %v", text, want, err)
		}
	}
	own, ownHash := payload("own")
	shared, sharedHash := payload("shared")
	brief, briefHash := payload("brief")
	ref := func(hash history.Hash, num int64) store.PayloadRef { return store.PayloadRef{Hash: hash, Num: num} }
	h.commit(store.Batch{
		Instances: born(small(1, "@e@1"), small(2, "@e@2")),
		Payloads:  []store.Payload{own, shared},
		Refs:      []store.PayloadRef{ref(ownHash, 1), ref(sharedHash, 1), ref(sharedHash, 2)},
	})
	// What nobody else keeps is gone, also what came in the same batch; the rest stays.
	release := []store.PayloadRef{ref(ownHash, 1), ref(sharedHash, 1), ref(briefHash, 1)}
	h.commit(store.Batch{Payloads: []store.Payload{brief}, Released: release})
	has("own", false)
	has("brief", false)
	has("shared", true)
	// A release that is repeated, or of what is not there, changes nothing.
	h.commit(store.Batch{Released: append(release, ref(history.HashOf([]byte("never")), 1), ref(sharedHash, 99))})
	has("shared", true)
	// A reference that comes in the same batch counts.
	h.commit(store.Batch{Refs: []store.PayloadRef{ref(sharedHash, 3)}, Released: []store.PayloadRef{ref(sharedHash, 2)}})
	has("shared", true)
	h = e.reopen(t, h)
	has("own", false)
	has("shared", true)
	h.commit(store.Batch{Released: []store.PayloadRef{ref(sharedHash, 3)}})
	has("shared", false)
	// It may come again.
	h.commit(store.Batch{Payloads: []store.Payload{own}, Refs: []store.PayloadRef{ref(ownHash, 2)}})
	has("own", true)
	// A release by an instance that is purged and not swept leaves nothing to the sweep.
	h.commit(store.Batch{Purged: []int64{2}})
	h.commit(store.Batch{Released: []store.PayloadRef{ref(ownHash, 2)}})
	has("own", false)
	h.sweep()
}
