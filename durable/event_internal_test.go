package durable

import (
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// An event that nobody takes does not keep those in memory that were taken after it.
func TestArrivalsDoNotGrow(t *testing.T) {
	x := &executor{}
	x.raise(&history.Event{Name: "nobody's"})
	for range 1000 {
		x.raise(&history.Event{Name: "taken"})
		if x.queue("taken").take(x) == nil {
			t.Fatal("it did not come")
		}
	}
	if n := len(x.arrivals); n > 4 {
		t.Errorf("%d arrivals are kept for 1 event", n)
	}
	if q := x.arrivals[0]; q.ev.Name != "nobody's" || q.taken {
		t.Errorf("the first is %+v", q)
	}
}
