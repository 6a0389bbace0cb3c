package storetest

import (
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func runnable(t *testing.T, h *handle) (list []string) {
	t.Helper()
	for id, err := range h.Runnable(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, id)
	}
	return list
}

func testRecover(t *testing.T, e *env) {
	t.Run("numbers", func(t *testing.T) {
		h := e.open(t)
		diff(t, "of an empty store", store.Recovery{Epoch: h.epoch}, must(h.Recover(t.Context()))(t))
		h.commit(store.Batch{
			Instances: born(small(5, "five"), small(3, "three")),
			History:   []store.HistoryRow{{Key: 17}, {Key: 18}},
			Inbox:     []store.Message{{Key: 6, To: "x"}, {Key: 8, To: "y"}},
		})
		diff(t, "now", store.Recovery{Epoch: h.epoch, LastNum: 5, LastRow: 18, LastMsg: 8}, must(h.Recover(t.Context()))(t))
		h.commit(store.Batch{Consumed: []int64{8}})
		diff(t, "with a message less", store.Recovery{Epoch: h.epoch, LastNum: 5, LastRow: 18, LastMsg: 6}, must(h.Recover(t.Context()))(t))
	})

	t.Run("runnable", func(t *testing.T) {
		h := e.open(t)
		pending := func(num int64, id string, n int) *store.Instance {
			in := small(num, id)
			in.Pending = n
			return in
		}
		h.commit(store.Batch{
			Instances: born(pending(1, "z", 2), pending(2, "y", 0), pending(3, "@x", 1), small(4, "w"), small(5, "v")),
			Inbox: []store.Message{{Key: 1, To: "unborn2"}, {Key: 2, To: "w"}, {Key: 3, To: "z"},
				{Key: 4, To: "unborn1"}, {Key: 5, To: "unborn2"}, {Key: 6, To: "w"}},
		})
		diff(t, "at first", []string{"z", "@x", "w", "unborn2", "unborn1"}, runnable(t, h))
		h.commit(store.Batch{
			Instances: changed(pending(1, "z", 5), pending(2, "y", 1), pending(3, "@x", 0)),
			Consumed:  []int64{1, 2, 3, 6},
		})
		diff(t, "later", []string{"z", "y", "unborn1", "unborn2"}, runnable(t, h))
		h = e.reopen(t, h)
		diff(t, "after opening again", []string{"z", "y", "unborn1", "unborn2"}, runnable(t, h))
		h.commit(store.Batch{Instances: changed(pending(1, "z", 0), pending(2, "y", 0)), Consumed: []int64{4, 5}})
		diff(t, "at last", []string(nil), runnable(t, h))

		later := small(6, "later")
		later.Status, later.Due = history.Pending, at(9)
		lacks := small(7, "lacks a definition")
		lacks.Status = history.Pending
		timer := small(8, "has a timer")
		timer.Due = at(9)
		b := store.Batch{Instances: born(later, lacks, timer)}
		for i, in := range b.Instances {
			b.Inbox = append(b.Inbox, store.Message{Key: int64(10 + i), To: in.ID})
		}
		h.commit(b)
		diff(t, "one that starts later", []string{"lacks a definition", "has a timer"}, runnable(t, h))
	})

	t.Run("runnable's body may use the store", func(t *testing.T) {
		h := e.open(t)
		in := small(1, "a")
		in.Pending = 1
		h.commit(store.Batch{Instances: born(in)})
		for id, err := range h.Runnable(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			must(h.Instance(t.Context(), id))(t)
			h.commit(store.Batch{Instances: changed(small(1, "a"))})
			break
		}
		diff(t, "afterwards", []string(nil), runnable(t, h))
	})

	t.Run("due", func(t *testing.T) {
		h := e.open(t)
		due := func(num int64, seconds int) *store.Instance {
			in := small(num, fmt.Sprint("i", num))
			if seconds >= 0 {
				in.Due = at(seconds)
			}
			return in
		}
		entry := func(num int64, seconds int) store.Due {
			return store.Due{At: at(seconds), Num: num, ID: fmt.Sprint("i", num)}
		}
		h.commit(store.Batch{Instances: born(due(1, 30), due(2, 10), due(3, -1), due(4, 20), due(5, 20), due(6, 5))})
		all := []store.Due{entry(6, 5), entry(2, 10), entry(4, 20), entry(5, 20), entry(1, 30)}
		diff(t, "all", all, must(h.Due(t.Context(), store.Due{}, 10))(t))
		for size := 1; size <= 6; size++ {
			var got []store.Due
			for after := (store.Due{}); ; after = got[len(got)-1] {
				part := must(h.Due(t.Context(), after, size))(t)
				if len(part) == 0 {
					break
				}
				got = append(got, part...)
			}
			diff(t, fmt.Sprint("by ", size), all, got)
		}
		if got := must(h.Due(t.Context(), store.Due{}, 0))(t); len(got) != 0 {
			t.Errorf("limit 0 gave %v", got)
		}
		// One loses its timer, one gains one, one has another.
		h.commit(store.Batch{Instances: changed(due(6, -1), due(3, 1), due(2, 40))})
		h = e.reopen(t, h)
		diff(t, "after changes", []store.Due{entry(3, 1), entry(4, 20), entry(5, 20), entry(1, 30), entry(2, 40)},
			must(h.Due(t.Context(), store.Due{}, 10))(t))
	})
}
