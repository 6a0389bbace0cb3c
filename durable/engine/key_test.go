package engine

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// TestKeys holds the recipe of idempotency keys fast: other systems have stored
// them.
func TestKeys(t *testing.T) {
	for _, c := range []struct {
		ev   history.Event
		want string
	}{
		{history.Event{ID: 4, Call: 3}, "0ecd4ddd940ae32d990c0c00039d7f46"},
		{history.Event{ID: 4}, "bf85c35ae0780681a512bddc25cda793"}, // of a history that numbers no calls
	} {
		got := (&call{hub: "h", in: &instance{id: "i"}, origin: "o", generation: 2, ev: &c.ev}).idempotencyKey()
		equal(t, "key", got, c.want)
	}
}
