package history

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// ToProto gives an event as the generated message, as workers and clients of any language get it:
// without our extension fields. It fails on an event whose Data is still only a DataRef, since the
// store has to put the value back first, and on text that is not UTF-8, which the protocol cannot carry.
func ToProto(e *Event) (*protocol.HistoryEvent, error) {
	plain, err := forOthers(e)
	if err != nil {
		return nil, err
	}
	m := new(protocol.HistoryEvent)
	if err := proto.Unmarshal(AppendEvent(nil, &plain), m); err != nil {
		return nil, fmt.Errorf("history: %s event %d for the protocol: %w", e.Kind, e.ID, err)
	}
	return m, nil
}

// AppendProto appends to b the length and the bytes of the message that ToProto gives, which it does
// not make. It does not look at text: it is for events that have been a message before, or are known
// to become one. An error leaves b as it was.
func AppendProto(b []byte, e *Event) ([]byte, error) {
	plain, err := forOthers(e)
	if err != nil {
		return b, err
	}
	return AppendRow(b, &plain), nil
}

// forOthers gives an event without our extension fields.
func forOthers(e *Event) (Event, error) {
	if e.Data == nil && !e.DataRef.IsZero() {
		return Event{}, fmt.Errorf("history: %s event %d: its payload %s was not loaded", e.Kind, e.ID, e.DataRef)
	}
	plain := *e
	plain.DataRef, plain.Attempt, plain.Call, plain.Lineage, plain.Terms = Hash{}, 0, 0, "", nil
	return plain, nil
}

// FromProto is the inverse of ToProto. Extension fields in m are not taken over: they are for our
// store only, and a reference in a message would let its sender name the payload of another.
func FromProto(m *protocol.HistoryEvent) (*Event, error) {
	if m == nil {
		return nil, errors.New("history: there is no event to convert")
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("history: event %d from the protocol: %w", m.GetEventId(), err)
	}
	e, err := DecodeEvent(b)
	if err != nil {
		return nil, err
	}
	e.DataRef, e.Attempt, e.Call, e.Lineage, e.Terms = Hash{}, 0, 0, "", nil
	return e, nil
}
