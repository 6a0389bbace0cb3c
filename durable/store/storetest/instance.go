package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

func testInstance(t *testing.T, e *env) {
	t.Run("not found", func(t *testing.T) {
		h := e.open(t)
		if in, err := h.Instance(t.Context(), "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v, %v", in, err)
		}
	})

	t.Run("every field", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{Instances: born(full(1, "one"), &store.Instance{Num: 2, ID: "@e@two"})})
		diff(t, "all set", full(1, "one"), must(h.Instance(t.Context(), "one"))(t))
		diff(t, "none set", &store.Instance{Num: 2, ID: "@e@two"}, must(h.Instance(t.Context(), "@e@two"))(t))
	})

	t.Run("what changes and what does not", func(t *testing.T) {
		h := e.open(t)
		h.commit(store.Batch{Instances: born(full(1, "one"))})
		h.commit(store.Batch{Instances: changed(&store.Instance{Num: 1, ID: "x", Name: "x", Parent: "x", Origin: "x", Created: at(99)})})
		was := full(1, "one")
		diff(t, "after all else became zero", &store.Instance{Num: 1, ID: "one", Name: was.Name, Parent: was.Parent,
			Created: was.Created, Tags: was.Tags, Origin: was.Origin}, must(h.Instance(t.Context(), "one"))(t))
		h.commit(store.Batch{Instances: changed(full(1, "one"))})
		diff(t, "after it was set again", was, must(h.Instance(t.Context(), "one"))(t))
	})

	t.Run("absent and empty differ", func(t *testing.T) {
		h := e.open(t)
		in := small(1, "one")
		in.CustomStatus, in.State = history.Payload{}, history.Payload{}
		h.commit(store.Batch{Instances: born(in, small(2, "two"))})
		if got := must(h.Instance(t.Context(), "one"))(t); got.CustomStatus == nil || got.State == nil {
			t.Error("an empty payload came back absent")
		}
		if got := must(h.Instance(t.Context(), "two"))(t); got.CustomStatus != nil || got.State != nil {
			t.Error("an absent payload came back empty")
		}
	})

	t.Run("times", func(t *testing.T) {
		h := e.open(t)
		zone := time.FixedZone("far", 5*3600)
		in := small(1, "one")
		in.Due, in.Completed = at(1).In(zone), time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC)
		h.commit(store.Batch{Instances: born(in)})
		got := must(h.Instance(t.Context(), "one"))(t)
		diff(t, "due, in UTC", at(1), got.Due)
		diff(t, "before 1970", in.Completed, got.Completed)
	})

	t.Run("ids are bytes", func(t *testing.T) {
		h := e.open(t)
		ids := []string{"a", "A", "á", "a'b", `a"b`, "a\x00b", "a\nb", "%", "_", "日本"}
		for i, id := range ids {
			h.commit(store.Batch{Instances: born(small(int64(i+1), id))})
		}
		for i, id := range ids {
			if got := must(h.Instance(t.Context(), id))(t); got.Num != int64(i+1) || got.ID != id {
				t.Errorf("%q gave %d %q", id, got.Num, got.ID)
			}
		}
	})

	t.Run("executions", func(t *testing.T) {
		h := e.open(t)
		var want []store.Execution
		h.commit(store.Batch{Instances: born(small(1, "one"), small(2, "two"))})
		for g := range int32(12) {
			x := store.Execution{Num: 1, Generation: g, ID: fmt.Sprint("e", g), First: int64(g) + 1, Last: int64(g) + 5, Events: 5, Started: at(int(g))}
			h.commit(store.Batch{Ended: []store.Execution{x}})
			want = append(want, x)
		}
		diff(t, "of one", want, must(h.Executions(t.Context(), 1))(t))
		if got := must(h.Executions(t.Context(), 2))(t); len(got) != 0 {
			t.Errorf("the other instance has %v", got)
		}
	})
}
