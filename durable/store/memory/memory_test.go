package memory_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Factory {
		return storetest.Factory{
			Open:   func(*testing.T) store.Store { return memory.New() },
			Reopen: func(_ *testing.T, s store.Store) store.Store { return s.(*memory.Store).Reopen() },
			Fence:  func(_ *testing.T, s store.Store) { s.(*memory.Store).Reopen() },
		}
	})
}

// A clone and what it was made from share nothing.
func TestClone(t *testing.T) {
	ctx := t.Context()
	batch := func(epoch uint64, num int64, consumed ...int64) *store.Batch {
		id, data := fmt.Sprint("i", num), []byte(fmt.Sprint("data", num))
		h := history.HashOf(data)
		return &store.Batch{
			Epoch:     epoch,
			Instances: []store.InstanceRow{{New: true, Instance: &store.Instance{Num: num, ID: id}}},
			History:   []store.HistoryRow{{Key: num, Data: data}},
			Ended:     []store.Execution{{Num: 1, Generation: int32(num)}},
			Inbox:     []store.Message{{Key: num, To: "i1", Data: data}},
			Consumed:  consumed,
			Payloads:  []store.Payload{{Hash: h, Data: data}},
			Refs:      []store.PayloadRef{{Hash: h, Num: num}},
			Effects:   []store.EffectWrite{{Effect: store.Effect{EffectKey: store.EffectKey{Num: 1, ID: int32(num)}}}},
		}
	}
	// what tells all that is kept for instance 1, and what there is of 1 to 3.
	what := func(s *memory.Store) (list []any) {
		add := func(v any, err error) {
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Error(err)
			}
			list = append(list, v)
		}
		r, err := s.Recover(ctx)
		r.Epoch = 0
		add(r, err)
		for num := range int64(3) {
			in, err := s.Instance(ctx, fmt.Sprint("i", num+1))
			add(in, err)
			row, err := s.Row(ctx, num+1)
			add(row, err)
			p, err := s.Payload(ctx, history.HashOf([]byte(fmt.Sprint("data", num+1))))
			add(p, err)
		}
		inbox, err := s.Inbox(ctx, "i1")
		add(inbox, err)
		ended, err := s.Executions(ctx, 1)
		add(ended, err)
		effects, err := s.Effects(ctx, 1)
		add(effects, err)
		return list
	}
	commit := func(s *memory.Store, num int64, consumed ...int64) {
		t.Helper()
		r, err := s.Recover(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(ctx, batch(r.Epoch, num, consumed...)); err != nil {
			t.Fatal(err)
		}
	}

	s := memory.New()
	commit(s, 1)
	c := s.Clone()
	if d := cmp.Diff(what(s), what(c)); d != "" {
		t.Errorf("the clone differs (-original +clone):\n%s", d)
	}
	before := what(c)
	commit(s, 2, 1)
	if d := cmp.Diff(before, what(c)); d != "" {
		t.Errorf("a commit to the original changed the clone:\n%s", d)
	}
	before = what(s)
	commit(c, 3, 1)
	if d := cmp.Diff(before, what(s)); d != "" {
		t.Errorf("a commit to the clone changed the original:\n%s", d)
	}
}
