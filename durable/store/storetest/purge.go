package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// sweep deletes all that purged instances have left and gives the number of
// calls that took.
func (h *handle) sweep() (calls int) {
	h.t.Helper()
	for more := true; more; calls++ {
		more = must(h.Sweep(h.t.Context(), h.epoch))(h.t)
	}
	return calls
}

func payload(text string) (store.Payload, history.Hash) {
	h := history.HashOf([]byte(text))
	return store.Payload{Hash: h, Data: []byte(text)}, h
}

func testPurge(t *testing.T, e *env) {
	absent := func(t *testing.T, what string, err error) {
		t.Helper()
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, not ErrNotFound", what, err)
		}
	}

	t.Run("messages for an entity stay", func(t *testing.T) {
		h := e.open(t)
		first, second := small(1, "@e@k"), small(2, "@e@k")
		h.commit(store.Batch{Instances: born(first), Inbox: []store.Message{
			{Key: 1, To: "@e@k", Data: []byte("one")}, {Key: 2, To: "@e@k", Data: []byte("two")}}})
		h.commit(store.Batch{Purged: []int64{1}})
		diff(t, "runnable", []string{"@e@k"}, runnable(t, h))
		h.commit(store.Batch{Instances: born(second), Consumed: []int64{1}})
		h.commit(store.Batch{Purged: []int64{2}, Instances: born(small(3, "@e@k"))})
		diff(t, "messages", []store.Message{{Key: 2, To: "@e@k", Data: []byte("two")}}, must(h.Inbox(t.Context(), "@e@k"))(t))
	})

	t.Run("everything goes, of others nothing", func(t *testing.T) {
		h := e.open(t)
		other := full(2, "two")
		other.First, other.Last = 101, 101
		own, ownHash := payload("its own")
		shared, sharedHash := payload("shared")
		rest := store.Batch{
			Instances: born(other),
			History:   []store.HistoryRow{{Key: 101, Data: []byte("kept")}},
			Ended:     []store.Execution{{Num: 2, Generation: 2, ID: "e", First: 101, Last: 101}},
			Inbox:     []store.Message{{Key: 121, To: "two", Data: []byte("hello")}},
			Payloads:  []store.Payload{shared},
			Refs:      []store.PayloadRef{{Hash: sharedHash, Num: 2}},
			Effects:   []store.EffectWrite{{Effect: store.Effect{EffectKey: store.EffectKey{Num: 2, Execution: "e", ID: 4}, Intent: at(5)}}},
		}
		h.commit(rest)
		want := dump(t, h)
		b := everything()
		b.History = append(b.History, store.HistoryRow{Key: 5, Data: []byte("x")}, store.HistoryRow{Key: 9, Prev: 5, Data: []byte("x")})
		b.Payloads = append(b.Payloads, own, shared)
		b.Refs = append(b.Refs, store.PayloadRef{Hash: ownHash, Num: 1}, store.PayloadRef{Hash: sharedHash, Num: 1})
		h.commit(b)

		h.commit(store.Batch{Purged: []int64{1}})
		_, err := h.Instance(t.Context(), "one")
		absent(t, "the instance", err)
		if got := must(h.Inbox(t.Context(), "one"))(t); len(got) > 0 {
			t.Errorf("messages wait for nobody: %v", got)
		}
		h = e.reopen(t, h) // between the two steps
		h.sweep()
		for _, k := range []int64{5, 9, 11, 12} {
			_, err := h.Row(t.Context(), k)
			absent(t, fmt.Sprint("row ", k), err)
		}
		for _, hash := range []history.Hash{ownHash, history.HashOf([]byte("a payload"))} {
			_, err := h.Payload(t.Context(), hash)
			absent(t, "payload", err)
		}
		if n := len(must(h.Executions(t.Context(), 1))(t)) + len(must(h.Effects(t.Context(), 1))(t)); n > 0 {
			t.Errorf("%d executions and effects are left", n)
		}
		got := dump(t, h)
		want.Recovery, got.Recovery = store.Recovery{}, store.Recovery{}
		diff(t, "of the other", want, got)
		diff(t, "shared payload", "shared", string(must(h.Payload(t.Context(), sharedHash))(t)))

		h.commit(store.Batch{Purged: []int64{2}})
		h.sweep()
		_, err = h.Payload(t.Context(), sharedHash)
		absent(t, "payload without a reference", err)
	})

	t.Run("the id is free in the same batch", func(t *testing.T) {
		h := e.open(t)
		p, hash := payload("of both")
		b := everything()
		b.Payloads, b.Refs = append(b.Payloads, p), append(b.Refs, store.PayloadRef{Hash: hash, Num: 1})
		h.commit(b)
		next := small(2, "one")
		next.First, next.Last = 13, 13
		h.commit(store.Batch{
			Purged: []int64{1}, Instances: born(next),
			History:  []store.HistoryRow{{Key: 13, Data: []byte("new")}},
			Inbox:    []store.Message{{Key: 22, To: "one", Data: []byte("to the new one")}},
			Consumed: []int64{21}, // it went with the old one
			Payloads: []store.Payload{p}, Refs: []store.PayloadRef{{Hash: hash, Num: 2}},
		})
		h.sweep()
		got := must(h.Instance(t.Context(), "one"))(t)
		diff(t, "the new one", next, got)
		diff(t, "its messages", []store.Message{{Key: 22, To: "one", Data: []byte("to the new one")}}, must(h.Inbox(t.Context(), "one"))(t))
		diff(t, "its history", "new", string(must(h.Row(t.Context(), 13))(t)))
		diff(t, "its payload", "of both", string(must(h.Payload(t.Context(), hash))(t)))
	})

	t.Run("a number is not used again before the sweep", func(t *testing.T) {
		h := e.open(t)
		h.commit(everything())
		h.commit(store.Batch{Purged: []int64{1}})
		h = e.reopen(t, h)
		_, err := h.Instance(t.Context(), "one")
		absent(t, "the instance", err)
		if r := must(h.Recover(t.Context()))(t); r.LastNum != 1 {
			t.Errorf("the highest number is %d, not 1, whose rows are still there", r.LastNum)
		}
		h.sweep()
		if calls := h.sweep(); calls != 1 {
			t.Errorf("after the last sweep there were %d more", calls-1)
		}
	})

	t.Run("a long one goes in pieces", func(t *testing.T) {
		h := e.open(t)
		const n = 1000
		in := small(1, "long")
		b := store.Batch{Instances: born(in)}
		for i := range int64(n) {
			k := i + 1
			b.History = append(b.History, store.HistoryRow{Key: k, Prev: k - 1, Data: []byte("x")})
			p, hash := payload(fmt.Sprint("payload ", i))
			b.Payloads, b.Refs = append(b.Payloads, p), append(b.Refs, store.PayloadRef{Hash: hash, Num: 1})
			b.Effects = append(b.Effects, store.EffectWrite{Effect: store.Effect{EffectKey: store.EffectKey{Num: 1, Execution: "e", ID: int32(i)}}})
		}
		in.First, in.Last = 1, n/2
		b.History[n/2].Prev = 0
		b.Ended = []store.Execution{{Num: 1, ID: "e", First: n/2 + 1, Last: n}}
		h.commit(b)
		h.commit(store.Batch{Purged: []int64{1}})
		for more := true; more; {
			more = must(h.Sweep(t.Context(), h.epoch))(t)
			h.commit(store.Batch{Inbox: []store.Message{{Key: 1, To: "x"}}}) // others go on between
			h.commit(store.Batch{Consumed: []int64{1}})
			if more && h.epoch%2 == 1 {
				h = e.reopen(t, h)
			}
		}
		for i := range int64(n) {
			_, err := h.Row(t.Context(), i+1)
			_, hash := payload(fmt.Sprint("payload ", i))
			_, perr := h.Payload(t.Context(), hash)
			if !errors.Is(err, store.ErrNotFound) || !errors.Is(perr, store.ErrNotFound) {
				t.Fatalf("of step %d is left: row %v, payload %v", i, err, perr)
			}
		}
		if left := must(h.Effects(t.Context(), 1))(t); len(left) > 0 {
			t.Errorf("%d effects are left", len(left))
		}
	})

	t.Run("refused", func(t *testing.T) {
		for name, purged := range map[string][]int64{"unknown": {7}, "twice": {1, 1}} {
			h := e.open(t)
			h.commit(everything())
			want := dump(t, h)
			if err := h.try(store.Batch{Purged: purged}); err == nil {
				t.Errorf("%s: committed", name)
			}
			diff(t, name, want, dump(t, h))
		}
		h := e.open(t)
		h.commit(everything())
		if err := h.try(store.Batch{Purged: []int64{1}, Instances: changed(small(1, "one"))}); err == nil {
			t.Error("a purged instance was updated")
		}
		if _, err := h.Sweep(t.Context(), h.epoch+1); !errors.Is(err, store.ErrFenced) {
			t.Errorf("a sweep of another epoch: %v", err)
		}
	})
}
