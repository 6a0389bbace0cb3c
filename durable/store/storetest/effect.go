package storetest

import (
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
)

func testEffect(t *testing.T, e *env) {
	effect := func(num int64, execution string, id int32, intent, receipt time.Time, failed bool) store.Effect {
		return store.Effect{EffectKey: store.EffectKey{Num: num, Execution: execution, ID: id},
			Activity: "pay", IdempotencyKey: "key", Intent: intent, Receipt: receipt, Failed: failed}
	}
	h := e.open(t)
	write := func(list ...store.Effect) {
		t.Helper()
		var b store.Batch
		for _, e := range list {
			b.Effects = append(b.Effects, store.EffectWrite{Effect: e})
		}
		h.commit(b)
	}
	none := time.Time{}
	write(effect(1, "b", 1, at(2), none, false), effect(1, "a", 9, at(3), none, false), effect(2, "a", 1, at(0), none, false))
	write(effect(1, "a", 10, at(1), none, false), effect(1, "a", 2, at(2), none, false))
	diff(t, "intents, by time, execution, id", []store.Effect{
		effect(1, "a", 10, at(1), none, false),
		effect(1, "a", 2, at(2), none, false),
		effect(1, "b", 1, at(2), none, false),
		effect(1, "a", 9, at(3), none, false),
	}, must(h.Effects(t.Context(), 1))(t))

	write(effect(1, "a", 2, at(2), at(5), true), effect(1, "a", 10, at(1), at(6), false))
	h = e.reopen(t, h)
	diff(t, "receipts", []store.Effect{
		effect(1, "a", 10, at(1), at(6), false),
		effect(1, "a", 2, at(2), at(5), true),
		effect(1, "b", 1, at(2), none, false),
		effect(1, "a", 9, at(3), none, false),
	}, must(h.Effects(t.Context(), 1))(t))
	diff(t, "of the other instance", []store.Effect{effect(2, "a", 1, at(0), none, false)}, must(h.Effects(t.Context(), 2))(t))
	if got := must(h.Effects(t.Context(), 3))(t); len(got) != 0 {
		t.Errorf("nobody has %v", got)
	}
}
