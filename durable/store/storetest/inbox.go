package storetest

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/store"
)

func testInbox(t *testing.T, e *env) {
	msg := func(key int64, to string) store.Message {
		return store.Message{Key: key, To: to, Data: []byte{byte(key)}}
	}
	h := e.open(t)
	h.commit(store.Batch{Inbox: []store.Message{msg(1, "b"), msg(2, "a"), msg(3, "b"), msg(4, "a"), msg(5, "b")}})
	h.commit(store.Batch{Inbox: []store.Message{msg(9, "a")}, Consumed: []int64{1, 4}})
	for range 2 {
		diff(t, "of a", []store.Message{msg(2, "a"), msg(9, "a")}, must(h.Inbox(t.Context(), "a"))(t))
		diff(t, "of b", []store.Message{msg(3, "b"), msg(5, "b")}, must(h.Inbox(t.Context(), "b"))(t))
		if got := must(h.Inbox(t.Context(), "c"))(t); len(got) != 0 {
			t.Errorf("nobody has %v", got)
		}
		if r := must(h.Recover(t.Context()))(t); r.LastMsg != 9 {
			t.Errorf("last message %d, not 9", r.LastMsg)
		}
		h = e.reopen(t, h)
	}
	h.commit(store.Batch{Inbox: []store.Message{msg(10, "a")}, Consumed: []int64{10}})
	diff(t, "sent and consumed in one batch", []store.Message{msg(2, "a"), msg(9, "a")}, must(h.Inbox(t.Context(), "a"))(t))
}
