package storetest

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func testProgress(t *testing.T, e *env) {
	progress := func(num int64, execution string, call int32, seconds int, data history.Payload) store.ProgressWrite {
		return store.ProgressWrite{Progress: store.Progress{
			ProgressKey: store.ProgressKey{Num: num, Execution: execution, Call: call}, At: at(seconds), Data: data}}
	}
	gone := func(num int64, execution string, call int32) store.ProgressWrite {
		w := progress(num, execution, call, 9, history.Payload("left over"))
		w.Gone = true
		return w
	}
	h := e.open(t)
	want := func(what string, list ...store.ProgressWrite) {
		t.Helper()
		var wanted, got []store.Progress
		for _, w := range list {
			wanted = append(wanted, w.Progress)
		}
		for p, err := range h.Progress(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, p)
		}
		diff(t, what, wanted, got)
	}
	want("nothing")
	h.commit(store.Batch{Progress: []store.ProgressWrite{
		progress(2, "a", 1, 0, nil), progress(1, "b", 1, 1, history.Payload{}), progress(1, "a", 10, 2, history.Payload("ten")),
		progress(1, "a", 2, 3, history.Payload("two")),
	}})
	want("in order; absent is not empty",
		progress(1, "a", 2, 3, history.Payload("two")), progress(1, "a", 10, 2, history.Payload("ten")),
		progress(1, "b", 1, 1, history.Payload{}), progress(2, "a", 1, 0, nil))

	h.commit(store.Batch{Progress: []store.ProgressWrite{
		progress(1, "a", 2, 4, history.Payload("half")), progress(1, "a", 2, 5, history.Payload("more")), gone(1, "a", 10),
		progress(3, "a", 1, 6, history.Payload("short")), gone(3, "a", 1), gone(2, "a", 1), progress(2, "a", 1, 7, history.Payload("again")),
		gone(7, "never", 7),
	}})
	h = e.reopen(t, h)
	want("the last word counts",
		progress(1, "a", 2, 5, history.Payload("more")), progress(1, "b", 1, 1, history.Payload{}), progress(2, "a", 1, 7, history.Payload("again")))

	b := store.Batch{Progress: []store.ProgressWrite{gone(1, "b", 1)}, Consumed: []int64{99}}
	if err := h.try(b); err == nil {
		t.Fatal("a batch that consumes a message which is not there was taken")
	}
	for range h.Progress(t.Context()) {
		break // also one that is not read to its end
	}
	want("a batch that failed", progress(1, "a", 2, 5, history.Payload("more")), progress(1, "b", 1, 1, history.Payload{}),
		progress(2, "a", 1, 7, history.Payload("again")))
}
