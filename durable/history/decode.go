package history

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// decodeEvent reads a HistoryEvent into e, which is zero.
func decodeEvent(e *Event, b []byte) error {
	c := cursor{rest: b}
	for c.next() {
		var err error
		switch {
		case c.is(eventIDField, protowire.VarintType):
			e.ID = int32(c.varint)
		case c.is(timestampField, protowire.BytesType):
			e.Time, err = decodeTime(c.bytes)
		case c.is(dataRefField, protowire.BytesType):
			if len(c.bytes) != len(e.DataRef) {
				err = fmt.Errorf("payload reference of %d bytes, not %d", len(c.bytes), len(e.DataRef))
				break
			}
			e.DataRef = Hash(c.bytes)
		case c.is(attemptField, protowire.VarintType):
			e.Attempt = int32(c.varint)
		case c.is(callField, protowire.VarintType):
			e.Call = int32(c.varint)
		case c.is(lineageField, protowire.BytesType):
			e.Lineage = string(c.bytes)
		case c.is(termsField, protowire.BytesType):
			e.Terms, err = decodeTerms(c.bytes)
		case c.wire == protowire.BytesType && c.number >= protowire.Number(firstKind) && c.number <= protowire.Number(lastKind):
			err = decodeBody(e, Kind(c.number), c.bytes)
		}
		if err != nil {
			return fmt.Errorf("field %d: %w", c.number, err)
		}
	}
	switch {
	case c.err != nil:
		return c.err
	case e.Kind == 0:
		return errors.New("it has no kind")
	}
	return nil
}

// decodeBody reads the message of a kind. Of several kinds in one event, which nobody writes, the
// last counts, as for every member of a oneof; but an unknown one, which may just as well be no kind
// but something new beside it, never replaces a known one.
func decodeBody(e *Event, k Kind, b []byte) error {
	l := k.layout()
	if l == nil && e.Kind.layout() != nil {
		return nil
	}
	if e.Kind != 0 && e.Kind != k {
		*e = Event{ID: e.ID, Time: e.Time, DataRef: e.DataRef, Attempt: e.Attempt, Call: e.Call, Lineage: e.Lineage, Terms: e.Terms}
	}
	e.Kind = k
	if l == nil || l.raw {
		e.Raw = slices.Clone(b)
		return nil
	}
	c := cursor{rest: b}
	for c.next() {
		f := l.field(c.number)
		if f == nil || c.wire != f.form.wire() {
			continue
		}
		if err := decodeField(e, f, &c); err != nil {
			return fmt.Errorf("%s, field %d: %w", l.name, f.number, err)
		}
	}
	if c.err != nil {
		return fmt.Errorf("%s: %w", l.name, c.err)
	}
	return nil
}

// wire is the wire type of a form.
func (f form) wire() protowire.Type {
	if f == asNumber || f == asBool {
		return protowire.VarintType
	}
	return protowire.BytesType
}

func decodeField(e *Event, f *field, c *cursor) (err error) {
	switch f.form {
	case asText:
		*e.text(f.slot) = decodeText(f.slot, c.bytes)
	case asWrapped:
		var s []byte
		s, err = unwrap(c.bytes)
		*e.text(f.slot) = decodeText(f.slot, s)
	case asPayload:
		var s []byte
		s, err = unwrap(c.bytes)
		e.Data = append(Payload{}, s...)
	case asNumber:
		*e.number(f.slot) = int32(c.varint)
	case asBool:
		e.Recurse = protowire.DecodeBool(c.varint)
	case asTexts:
		e.LockSet = append(e.LockSet, string(c.bytes))
	case asTimestamp:
		e.FireAt, err = decodeTime(c.bytes)
	case asInstance:
		err = decodeInstance(&e.Instance, c.bytes)
	case asParent:
		if e.Parent == nil {
			e.Parent = new(Parent)
		}
		err = decodeParent(e.Parent, c.bytes)
	case asTrace:
		err = decodeTrace(&e.Trace, c.bytes)
	case asFailure:
		if e.Failure == nil {
			e.Failure = new(Failure)
		}
		err = decodeFailure(e.Failure, c.bytes, 1)
	case asTags:
		if e.Tags == nil {
			e.Tags = make(map[string]string)
		}
		err = decodeTag(e.Tags, c.bytes)
	}
	return err
}

// decodeText gives a text, and one of those that come again and again from the table of names.
func decodeText(s slot, b []byte) string {
	if s == inName || s == inVersion {
		return intern(b)
	}
	return string(b)
}

// unwrap gives the content of a StringValue, still part of b.
func unwrap(b []byte) (s []byte, err error) {
	c := cursor{rest: b}
	for c.next() {
		if c.is(1, protowire.BytesType) {
			s = c.bytes
		}
	}
	return s, c.err
}

func decodeTime(b []byte) (time.Time, error) {
	var seconds int64
	var nanos int32
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.VarintType):
			seconds = int64(c.varint)
		case c.is(2, protowire.VarintType):
			nanos = int32(c.varint)
		}
	}
	if c.err != nil {
		return time.Time{}, c.err
	}
	if seconds < minSeconds || seconds > maxSeconds || nanos < 0 || nanos > 1e9-1 {
		return time.Time{}, fmt.Errorf("time of %d s and %d ns is out of range", seconds, nanos)
	}
	return time.Unix(seconds, int64(nanos)).UTC(), nil
}

func decodeInstance(i *Instance, b []byte) error {
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.BytesType):
			i.ID = string(c.bytes)
		case c.is(2, protowire.BytesType):
			s, err := unwrap(c.bytes)
			if err != nil {
				return err
			}
			i.Execution = string(s)
		}
	}
	return c.err
}

func decodeParent(p *Parent, b []byte) error {
	c := cursor{rest: b}
	for c.next() {
		var s []byte
		var err error
		switch {
		case c.is(1, protowire.VarintType):
			p.Scheduled = int32(c.varint)
		case c.is(2, protowire.BytesType):
			s, err = unwrap(c.bytes)
			p.Name = intern(s)
		case c.is(3, protowire.BytesType):
			s, err = unwrap(c.bytes)
			p.Version = intern(s)
		case c.is(4, protowire.BytesType):
			err = decodeInstance(&p.Instance, c.bytes)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func decodeTrace(t *TraceContext, b []byte) error {
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.BytesType):
			t.Parent = string(c.bytes)
		case c.is(2, protowire.BytesType):
			t.SpanID = string(c.bytes)
		case c.is(3, protowire.BytesType):
			s, err := unwrap(c.bytes)
			if err != nil {
				return err
			}
			t.State = string(s)
		}
	}
	return c.err
}

func decodeFailure(f *Failure, b []byte, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("a chain of more than %d failures", maxDepth)
	}
	c := cursor{rest: b}
	for c.next() {
		var err error
		switch {
		case c.is(1, protowire.BytesType):
			f.Type = intern(c.bytes)
		case c.is(2, protowire.BytesType):
			f.Message = string(c.bytes)
		case c.is(3, protowire.BytesType):
			var s []byte
			s, err = unwrap(c.bytes)
			f.Stack = string(s)
		case c.is(4, protowire.BytesType):
			if f.Cause == nil {
				f.Cause = new(Failure)
			}
			err = decodeFailure(f.Cause, c.bytes, depth+1)
		case c.is(5, protowire.VarintType):
			f.NonRetriable = protowire.DecodeBool(c.varint)
		case c.is(6, protowire.BytesType):
			if f.Properties == nil {
				f.Properties = make(map[string]json.RawMessage)
			}
			err = decodeProperty(f.Properties, c.bytes)
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func decodeTag(m map[string]string, b []byte) error {
	var key, value string
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.BytesType):
			key = intern(c.bytes)
		case c.is(2, protowire.BytesType):
			value = string(c.bytes)
		}
	}
	if c.err != nil {
		return c.err
	}
	m[key] = value
	return nil
}
