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
