package history

import (
	"hash/maphash"
	"sync/atomic"

	"google.golang.org/protobuf/encoding/protowire"
)

// A cursor walks over the fields of one message. After next has returned true, number and kind say
// which field it is; varint has its value (fixed ones too), bytes its content, still part of the input.
type cursor struct {
	rest   []byte
	number protowire.Number
	wire   protowire.Type
	varint uint64
	bytes  []byte
	err    error
}

// next reads a field. It returns false at the end and at an error, which is then in c.err.
func (c *cursor) next() bool {
	if len(c.rest) == 0 {
		return false
	}
	number, wire, n := protowire.ConsumeTag(c.rest)
	if n < 0 {
		return c.fail(n)
	}
	c.rest, c.number, c.wire = c.rest[n:], number, wire
	switch wire {
	case protowire.VarintType:
		c.varint, n = protowire.ConsumeVarint(c.rest)
	case protowire.Fixed64Type:
		c.varint, n = protowire.ConsumeFixed64(c.rest)
	case protowire.BytesType:
		c.bytes, n = protowire.ConsumeBytes(c.rest)
	default: // nothing in our messages: walk over it
		n = protowire.ConsumeFieldValue(number, wire, c.rest)
	}
	if n < 0 {
		return c.fail(n)
	}
	c.rest = c.rest[n:]
	return true
}

func (c *cursor) fail(n int) bool {
	c.err = protowire.ParseError(n)
	return false
}

// is reports whether the field has this number and wire type. One of another type is an unknown
// field, as it is for every protobuf decoder.
func (c *cursor) is(n protowire.Number, wire protowire.Type) bool {
	return c.number == n && c.wire == wire
}

// Names repeat in a history without end: a table keeps those met last, so that reading one again
// allocates nothing. It is bounded (a name that needs the place of another takes it), holds short
// names only, and needs no lock.
const (
	internedNames  = 512
	internedLength = 64
)

var (
	interned [internedNames]atomic.Pointer[string]
	hashSeed = maphash.MakeSeed()
)

// intern gives b as a string, the same one as last time where that is still known.
func intern(b []byte) string {
	if len(b) == 0 || len(b) > internedLength {
		return string(b)
	}
	place := &interned[maphash.Bytes(hashSeed, b)%internedNames]
	if known := place.Load(); known != nil && *known == string(b) {
		return *known
	}
	s := string(b)
	place.Store(&s)
	return s
}
