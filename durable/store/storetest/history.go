package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// rows reads a history to its end.
func rows(h *handle, last int64) (list []string, err error) {
	for b, err := range h.History(context.Background(), last) {
		if err != nil {
			return list, err
		}
		list = append(list, string(b))
	}
	return list, nil
}

func testHistory(t *testing.T, e *env) {
	t.Run("interleaved executions", func(t *testing.T) {
		h := e.open(t)
		const executions, length = 5, 40
		last, half, want := [executions]int64{}, [executions]int64{}, [executions][]string{}
		key := int64(0)
		for i := range length {
			var b store.Batch
			for x := range executions {
				key += int64(1 + i%2) // keys may have gaps
				data := fmt.Sprintf("%d.%d", x, i)
				b.History = append(b.History, store.HistoryRow{Key: key, Prev: last[x], Data: []byte(data)})
				last[x] = key
				if i == length/2-1 {
					half[x] = key
				}
				want[x] = append(want[x], data)
			}
			h.commit(b)
		}
		for x := range executions {
			diff(t, fmt.Sprint("execution ", x), want[x], must(rows(h, last[x]))(t))
			diff(t, "its first half", want[x][:length/2], must(rows(h, half[x]))(t))
		}
	})

	t.Run("none", func(t *testing.T) {
		if got := must(rows(e.open(t), 0))(t); len(got) != 0 {
			t.Errorf("key 0 gave %q", got)
		}
	})

	t.Run("large rows, empty rows", func(t *testing.T) {
		h := e.open(t)
		sizes := []int{1, 0, 3 << 20, 16 << 10, 250 << 10, 10 << 10, 0, 1 << 20, 1}
		for i, n := range sizes {
			h.commit(store.Batch{History: []store.HistoryRow{{Key: int64(i + 1), Prev: int64(i), Data: bytes.Repeat([]byte{byte('a' + i)}, n)}}})
		}
		got := must(rows(h, int64(len(sizes))))(t)
		if len(got) != len(sizes) {
			t.Fatalf("%d rows of %d", len(got), len(sizes))
		}
		for i, n := range sizes {
			if got[i] != string(bytes.Repeat([]byte{byte('a' + i)}, n)) {
				t.Errorf("row %d differs (%d bytes of %d)", i+1, len(got[i]), n)
			}
		}
	})

	t.Run("a missing row", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{History: []store.HistoryRow{{Key: 2, Prev: 1, Data: []byte("x")}}})
		if got, err := rows(h, 2); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %q, %v", got, err)
		}
	})

	t.Run("one row", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{History: []store.HistoryRow{{Key: 7, Data: []byte("seven")}, {Key: 8, Prev: 7, Data: nil}}})
		diff(t, "row", "seven", string(must(h.Row(t.Context(), 7))(t)))
		diff(t, "empty row", "", string(must(h.Row(t.Context(), 8))(t)))
		if _, err := h.Row(t.Context(), 9); !errors.Is(err, store.ErrNotFound) {
			t.Error(err)
		}
	})

	t.Run("the body may use the store", func(t *testing.T) {
		h := e.open(t)
		data := []byte("kept apart")
		hash := history.HashOf(data)
		h.commit(store.Batch{
			History:  []store.HistoryRow{{Key: 1, Data: []byte("a")}, {Key: 2, Prev: 1, Data: []byte("b")}},
			Payloads: []store.Payload{{Hash: hash, Data: data}},
		})
		// More readers inside each other than any store has connections.
		var nest func(depth int) int
		nest = func(depth int) int {
			if depth == 0 {
				must(h.Payload(t.Context(), hash))(t)
				return 1
			}
			n := 0
			for _, err := range h.History(t.Context(), 2) {
				if err != nil {
					t.Fatal(err)
				}
				n += nest(depth - 1)
			}
			return n
		}
		if n := nest(6); n != 64 {
			t.Errorf("%d payloads read, not 64", n)
		}
		for range h.History(t.Context(), 2) {
			h.commit(store.Batch{Instances: born(small(1, "one"))})
			break
		}
	})

	t.Run("a context that is done ends it", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{History: []store.HistoryRow{{Key: 1, Data: []byte("a")}}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range h.History(ctx, 1) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
	})
}
