package storetest

import (
	"errors"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func testLease(t *testing.T, e *env) {
	t.Run("the epoch grows", func(t *testing.T) {
		h := e.open(t)
		if h.epoch == 0 {
			t.Error("epoch 0")
		}
		for range 3 {
			next := e.reopen(t, h)
			if next.epoch <= h.epoch {
				t.Errorf("epoch %d after %d", next.epoch, h.epoch)
			}
			h = next
		}
	})

	t.Run("a commit of another epoch", func(t *testing.T) {
		h := e.open(t)
		for _, epoch := range []uint64{0, h.epoch - 1, h.epoch + 1} {
			b := everything()
			b.Epoch = epoch
			if err := h.Commit(t.Context(), &b); !errors.Is(err, store.ErrFenced) {
				t.Errorf("epoch %d of %d: %v", epoch, h.epoch, err)
			}
		}
		if got := dump(t, h); len(got.Instances) != 0 {
			t.Error("something was written")
		}
		h.commit(everything())
	})

	t.Run("lease lost", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{Instances: born(small(9, "mine"))})
		e.factory.Fence(t, h.Store)
		if err := h.try(everything()); !errors.Is(err, store.ErrFenced) {
			t.Errorf("commit: %v", err)
		}
		if _, err := h.Instance(t.Context(), "one"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("something was written: %v", err)
		}
	})

	t.Run("closed", func(t *testing.T) {
		h := e.open(t)
		for range 2 {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
		}
		ctx := t.Context()
		first := func(seq func(func([]byte, error) bool)) (err error) {
			seq(func(_ []byte, e error) bool { err = e; return false })
			return err
		}
		for name, err := range map[string]error{
			"commit":     h.try(everything()),
			"recover":    second(h.Recover(ctx)),
			"due":        second(h.Due(ctx, store.Due{}, 1)),
			"instance":   second(h.Instance(ctx, "a")),
			"executions": second(h.Executions(ctx, 1)),
			"history":    first(h.History(ctx, 1)),
			"row":        second(h.Row(ctx, 1)),
			"inbox":      second(h.Inbox(ctx, "a")),
			"payload":    second(h.Payload(ctx, history.Hash{})),
			"effects":    second(h.Effects(ctx, 1)),
			"query":      second(h.Query(ctx, store.Query{})),
		} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, err := range h.Runnable(ctx) {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("runnable: %v", err)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }
