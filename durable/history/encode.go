package history

import (
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// usualSize is room for an event without its data, so that writing one grows a new buffer once.
const usualSize = 96

func appendEvent(b []byte, e *Event) []byte {
	room := usualSize
	if e.DataRef.IsZero() {
		room += len(e.Data)
	}
	b = slices.Grow(b, room)
	b = appendNumber(b, eventIDField, e.ID)
	b = appendTime(b, timestampField, e.Time)
	if e.Kind >= firstKind && e.Kind <= lastKind {
		b = appendBody(b, e)
	}
	if !e.DataRef.IsZero() {
		b = protowire.AppendTag(b, dataRefField, protowire.BytesType)
		b = protowire.AppendBytes(b, e.DataRef[:])
	}
	b = appendNumber(b, attemptField, e.Attempt)
	b = appendNumber(b, callField, e.Call)
	if e.Lineage != "" {
		b = protowire.AppendTag(b, lineageField, protowire.BytesType)
		b = protowire.AppendString(b, e.Lineage)
	}
	if e.Terms != nil {
		b = appendTerms(b, e.Terms)
	}
	return b
}

// appendBody appends the message of the event's kind; where it has no layout, what came is what goes.
func appendBody(b []byte, e *Event) []byte {
	b, start := openMessage(b, protowire.Number(e.Kind))
	l := e.Kind.layout()
	if l == nil || l.raw {
		return closeLength(append(b, e.Raw...), start)
	}
	for i := range l.fields {
		b = appendField(b, e, &l.fields[i])
	}
	return closeLength(b, start)
}

func appendField(b []byte, e *Event, f *field) []byte {
	switch f.form {
	case asText:
		return appendText(b, f.number, *e.text(f.slot))
	case asWrapped:
		return appendWrapped(b, f.number, *e.text(f.slot))
	case asPayload:
		if e.Data == nil || !e.DataRef.IsZero() {
			return b
		}
		return appendStringValue(b, f.number, e.Data)
	case asNumber:
		return appendNumber(b, f.number, *e.number(f.slot))
	case asBool:
		return appendBool(b, f.number, e.Recurse)
	case asTexts:
		for _, s := range e.LockSet {
			b = protowire.AppendTag(b, f.number, protowire.BytesType)
			b = protowire.AppendString(b, s)
		}
		return b
	case asTimestamp:
		return appendTime(b, f.number, e.FireAt)
	case asInstance:
		return appendInstance(b, f.number, e.Instance)
	case asParent:
		return appendParent(b, f.number, e.Parent)
	case asTrace:
		return appendTrace(b, f.number, &e.Trace)
	case asFailure:
		return appendFailure(b, f.number, e.Failure, 1)
	default: // asTags
		return appendTags(b, f.number, e.Tags)
	}
}

// openMessage begins a nested message and openLength its length alone: both leave one byte for it,
// which is enough for most. closeLength writes it, and moves the message where it needs more.
func openMessage(b []byte, n protowire.Number) (grown []byte, start int) {
	return openLength(protowire.AppendTag(b, n, protowire.BytesType))
}

func openLength(b []byte) (grown []byte, start int) {
	b = append(b, 0)
	return b, len(b)
}

func closeLength(b []byte, start int) []byte {
	n := len(b) - start
	if more := protowire.SizeVarint(uint64(n)) - 1; more > 0 {
		b = slices.Grow(b, more)[:len(b)+more]
		copy(b[start+more:], b[start:start+n])
	}
	protowire.AppendVarint(b[:start-1], uint64(n)) // in place
	return b
}

func appendText[T string | Payload](b []byte, n protowire.Number, s T) []byte {
	if len(s) == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(len(s)))
	return append(b, s...)
}

// appendStringValue appends a StringValue, be it empty.
func appendStringValue[T string | Payload](b []byte, n protowire.Number, s T) []byte {
	size := 0
	if len(s) > 0 {
		size = protowire.SizeTag(1) + protowire.SizeBytes(len(s))
	}
	b = protowire.AppendTag(b, n, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	return appendText(b, 1, s)
}

func appendWrapped(b []byte, n protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return appendStringValue(b, n, s)
}

func appendNumber(b []byte, n protowire.Number, v int32) []byte {
	if v == 0 {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.VarintType)
	return protowire.AppendVarint(b, uint64(int64(v))) // negative ones take ten bytes, as protobuf wants it
}

func appendBool(b []byte, n protowire.Number, v bool) []byte {
	if !v {
		return b
	}
	b = protowire.AppendTag(b, n, protowire.VarintType)
	return protowire.AppendVarint(b, 1)
}

// The seconds that a Timestamp may have: those of the years 1 to 9999.
const (
	minSeconds = -62135596800
	maxSeconds = 253402300799
)

func appendTime(b []byte, n protowire.Number, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	seconds, nanos := t.Unix(), int32(t.Nanosecond())
	switch {
	case seconds < minSeconds:
		seconds, nanos = minSeconds, 0
	case seconds > maxSeconds:
		seconds, nanos = maxSeconds, 1e9-1
	}
	b, start := openMessage(b, n)
	if seconds != 0 {
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		b = protowire.AppendVarint(b, uint64(seconds))
	}
	return closeLength(appendNumber(b, 2, nanos), start)
}

func appendInstance(b []byte, n protowire.Number, i Instance) []byte {
	if i == (Instance{}) {
		return b
	}
	b, start := openMessage(b, n)
	b = appendText(b, 1, i.ID)
	b = appendWrapped(b, 2, i.Execution)
	return closeLength(b, start)
}

func appendParent(b []byte, n protowire.Number, p *Parent) []byte {
	if p == nil {
		return b
	}
	b, start := openMessage(b, n)
	b = appendNumber(b, 1, p.Scheduled)
	b = appendWrapped(b, 2, p.Name)
	b = appendWrapped(b, 3, p.Version)
	b = appendInstance(b, 4, p.Instance)
	return closeLength(b, start)
}

func appendTrace(b []byte, n protowire.Number, t *TraceContext) []byte {
	if *t == (TraceContext{}) {
		return b
	}
	b, start := openMessage(b, n)
	b = appendText(b, 1, t.Parent)
	b = appendText(b, 2, t.SpanID)
	b = appendWrapped(b, 3, t.State)
	return closeLength(b, start)
}

func appendFailure(b []byte, n protowire.Number, f *Failure, depth int) []byte {
	if f == nil || depth > maxDepth {
		return b
	}
	b, start := openMessage(b, n)
	b = appendText(b, 1, f.Type)
	b = appendText(b, 2, f.Message)
	b = appendWrapped(b, 3, f.Stack)
	b = appendFailure(b, 4, f.Cause, depth+1)
	b = appendBool(b, 5, f.NonRetriable)
	if len(f.Properties) > 0 {
		b = appendProperties(b, 6, f.Properties)
	}
	return closeLength(b, start)
}

func appendTags(b []byte, n protowire.Number, m map[string]string) []byte {
	var few [8]string // an event rarely has more, and these cost nothing
	keys := few[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		var start int
		b, start = openMessage(b, n)
		b = appendText(b, 1, k)
		b = appendText(b, 2, m[k])
		b = closeLength(b, start)
	}
	return b
}
