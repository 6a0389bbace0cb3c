package history

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Terms are what the caller of an activity asked of one call, where that differs
// from what the activity's definition says. They are kept in its TaskScheduled.
type Terms struct {
	// StartToClose bounds one attempt, and Heartbeat the time between two signs of
	// life of it. 0: as defined; below: not bounded.
	StartToClose time.Duration `json:"startToClose,omitempty"`
	Heartbeat    time.Duration `json:"heartbeat,omitempty"`
	// Deadline is when the call must be over, with all its attempts: the time at
	// which the first one was scheduled and the schedule-to-close timeout. Zero:
	// none.
	Deadline time.Time `json:"deadline,omitzero"`
	// Priority is 1 (first) to 5 (last); 0: the usual one.
	Priority int32 `json:"priority,omitempty"`
}

func appendTerms(b []byte, t *Terms) []byte {
	b, start := openMessage(b, termsField)
	b = appendDuration(b, 1, t.StartToClose)
	b = appendDuration(b, 2, t.Heartbeat)
	b = appendTime(b, 3, t.Deadline)
	return closeLength(appendNumber(b, 4, t.Priority), start)
}

// appendDuration appends an int64 of nanoseconds.
func appendDuration(b []byte, n protowire.Number, d time.Duration) []byte {
	if d == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(d))
}

func decodeTerms(b []byte) (*Terms, error) {
	t := new(Terms)
	c := cursor{rest: b}
	for c.next() {
		var err error
		switch {
		case c.is(1, protowire.VarintType):
			t.StartToClose = time.Duration(c.varint)
		case c.is(2, protowire.VarintType):
			t.Heartbeat = time.Duration(c.varint)
		case c.is(3, protowire.BytesType):
			t.Deadline, err = decodeTime(c.bytes)
		case c.is(4, protowire.VarintType):
			t.Priority = int32(c.varint)
		}
		if err != nil {
			return nil, err
		}
	}
	return t, c.err
}
