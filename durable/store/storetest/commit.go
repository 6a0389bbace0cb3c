package storetest

import (
	"context"
	"errors"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// everything is a batch with each kind of write in it.
func everything() store.Batch {
	data := []byte("a payload")
	h := history.HashOf(data)
	return store.Batch{
		Instances: born(full(1, "one")),
		History:   []store.HistoryRow{{Key: 11, Data: []byte("first")}, {Key: 12, Prev: 11, Data: []byte("second")}},
		Ended:     []store.Execution{{Num: 1, Generation: 2, ID: "e2", First: 5, Last: 9, Events: 4, Started: at(4)}},
		Inbox:     []store.Message{{Key: 21, To: "one", Data: []byte("hello")}},
		Payloads:  []store.Payload{{Hash: h, Data: data}},
		Refs:      []store.PayloadRef{{Hash: h, Num: 1}},
		Effects: []store.EffectWrite{{Effect: store.Effect{EffectKey: store.EffectKey{Num: 1, Execution: "e3", ID: 4},
			Activity: "pay", IdempotencyKey: "k", Intent: at(5)}}},
	}
}

func testCommit(t *testing.T, e *env) {
	t.Run("survives an end", func(t *testing.T) {
		h := e.open(t)
		h.commit(everything())
		want := dump(t, h)
		diff(t, "after opening again", want, dump(t, e.reopen(t, h)))
	})

	t.Run("all or nothing", func(t *testing.T) {
		seed := func(h *handle) {
			h.commit(store.Batch{
				Instances: born(small(100, "old")),
				History:   []store.HistoryRow{{Key: 100, Data: []byte("x")}},
				Ended:     []store.Execution{{Num: 100, Generation: 0}},
				Inbox:     []store.Message{{Key: 100, To: "old", Data: []byte("x")}},
			})
		}
		for name, spoil := range map[string]func(*store.Batch){
			"id exists":         func(b *store.Batch) { b.Instances = append(b.Instances, born(small(2, "old"))...) },
			"number exists":     func(b *store.Batch) { b.Instances = append(b.Instances, born(small(100, "two"))...) },
			"update of nothing": func(b *store.Batch) { b.Instances = append(b.Instances, changed(small(2, "two"))...) },
			"row exists":        func(b *store.Batch) { b.History = append(b.History, store.HistoryRow{Key: 100}) },
			"generation exists": func(b *store.Batch) { b.Ended = append(b.Ended, store.Execution{Num: 100}) },
			"message exists":    func(b *store.Batch) { b.Inbox = append(b.Inbox, store.Message{Key: 100, To: "old"}) },
			"consumed nothing":  func(b *store.Batch) { b.Consumed = []int64{100, 101} },
			"consumed twice":    func(b *store.Batch) { b.Consumed = []int64{100, 100} },
		} {
			t.Run(name, func(t *testing.T) {
				h := e.open(t)
				seed(h)
				want := dump(t, h)
				b := everything()
				spoil(&b)
				err := h.try(b)
				if err == nil {
					t.Fatal("the batch was committed")
				}
				if errors.Is(err, store.ErrUnknown) || errors.Is(err, store.ErrFenced) {
					t.Errorf("a batch that was refused says %v", err)
				}
				diff(t, "after the failure", want, dump(t, h))

				h.commit(everything()) // the store goes on
				if _, err := h.Instance(t.Context(), "one"); err != nil {
					t.Error(err)
				}
			})
		}
	})

	t.Run("a done context stops it before it begins", func(t *testing.T) {
		h := e.open(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b := everything()
		b.Epoch = h.epoch
		if err := h.Commit(ctx, &b); !errors.Is(err, context.Canceled) {
			t.Errorf("commit: %v", err)
		}
		h.commit(everything())
	})

	t.Run("keeps nothing of the batch", func(t *testing.T) {
		h := e.open(t)
		b := everything()
		h.commit(b)
		want := dump(t, h)
		b.Instances[0].Tags["team"] = "z"
		b.Instances[0].CustomStatus[0] = 'z'
		b.Instances[0].State[0] = 'z'
		b.History[0].Data[0] = 'z'
		b.Inbox[0].Data[0] = 'z'
		b.Payloads[0].Data[0] = 'z'
		diff(t, "after the caller used its memory again", want, dump(t, h))
	})
}

// state is all that a store gives about the instances, executions and payloads
// of these tests.
type state struct {
	Instances []*store.Instance
	Ended     map[string][]store.Execution
	Inbox     map[string][]store.Message
	Effects   map[string][]store.Effect
	Rows      map[int64]string
	Payload   string
	Recovery  store.Recovery
	Runnable  []string
	Due       []store.Due
}

func dump(t *testing.T, h *handle) *state {
	t.Helper()
	ctx := t.Context()
	s := &state{
		Instances: must(h.Query(ctx, store.Query{}))(t).Instances,
		Ended:     map[string][]store.Execution{},
		Inbox:     map[string][]store.Message{},
		Effects:   map[string][]store.Effect{},
		Rows:      map[int64]string{},
		Recovery:  must(h.Recover(ctx))(t),
		Runnable:  runnable(t, h),
		Due:       must(h.Due(ctx, store.Due{}, 100))(t),
	}
	s.Recovery.Epoch = 0
	for _, in := range s.Instances {
		s.Ended[in.ID] = must(h.Executions(ctx, in.Num))(t)
		s.Inbox[in.ID] = must(h.Inbox(ctx, in.ID))(t)
		s.Effects[in.ID] = must(h.Effects(ctx, in.Num))(t)
	}
	for _, k := range []int64{11, 12, 100} {
		if b, err := h.Row(ctx, k); err == nil {
			s.Rows[k] = string(b)
		} else if !errors.Is(err, store.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if b, err := h.Payload(ctx, history.HashOf([]byte("a payload"))); err == nil {
		s.Payload = string(b)
	}
	return s
}
