package history

import (
	"fmt"
	"iter"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxDepth bounds the chain of causes of a failure, and how deep a value among its properties may
// be nested. It keeps hostile input from growing our stack, and our events below the hundred levels
// at which the protobuf runtimes of other languages refuse a message.
const maxDepth = 64

// AppendEvent appends e to b as one HistoryEvent message of the protocol, with our extension fields,
// and returns the extended buffer. The same event always gives the same bytes.
//
// Every event can be written, and what is written can be read. So what the wire cannot hold is
// written as the nearest that it can: of a chain of causes the first 64 failures, of a time outside
// the years 1 to 9999 the end of that range. An invalid property is a string of its text. Where
// DataRef is set, it is written and Data is not. A Kind that is no field number of a kind (one
// below 3 or above 999) leaves the event without a body, which DecodeEvent refuses.
func AppendEvent(b []byte, e *Event) []byte {
	return appendEvent(b, e)
}

// DecodeEvent reads one HistoryEvent message. The event shares no memory with b.
//
// Unknown fields are dropped: inside the body of a known kind, and beside it. A kind that is
// unknown as a whole is kept in Raw. Truncated or malformed input is an error that says which field
// it is in. Text is not required to be UTF-8: who wrote it into a history must get it back.
func DecodeEvent(b []byte) (*Event, error) {
	e := new(Event)
	if err := decodeEvent(e, b); err != nil {
		return nil, fmt.Errorf("history: malformed event: %w", err)
	}
	return e, nil
}

// AppendRow appends e to b with its length in front. Events written one after the other this way
// are a row of a stored history, and rows written one after the other are a row again.
func AppendRow(b []byte, e *Event) []byte {
	b, start := openLength(b)
	return closeLength(appendEvent(b, e), start)
}

// DecodeRows gives the events of a row in their order. It ends at the first malformed event with a
// nil event and an error that has its place in the row. Each event is independent of b and of the others.
func DecodeRows(b []byte) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		for at := 0; at < len(b); {
			body, n := protowire.ConsumeBytes(b[at:])
			if n < 0 {
				yield(nil, fmt.Errorf("history: row of %d bytes, at byte %d: %w", len(b), at, protowire.ParseError(n)))
				return
			}
			e, err := DecodeEvent(body)
			if err != nil {
				yield(nil, fmt.Errorf("history: row of %d bytes, at byte %d: %w", len(b), at, err))
				return
			}
			if !yield(e, nil) {
				return
			}
			at += n
		}
	}
}
