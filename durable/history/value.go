package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"
)

// A property of a failure is JSON for us and a google.protobuf.Value on the wire. Both hold the
// same things, but a Value's numbers are float64: a whole number beyond 2^53 loses digits, so who
// needs those writes a string. Failures with properties are rare, so that this file may allocate.

// appendProperties appends a map<string, Value> in the order of its keys.
func appendProperties(b []byte, n protowire.Number, m map[string]json.RawMessage) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		var v any
		if err := json.Unmarshal(m[k], &v); err != nil && len(m[k]) > 0 {
			v = string(m[k]) // no JSON, or a number that float64 cannot hold
		}
		var start int
		b, start = openMessage(b, n)
		b = appendText(b, 1, k)
		b = appendValue(b, 2, v, 1)
		b = closeLength(b, start)
	}
	return b
}

// appendValue appends what json.Unmarshal makes of a JSON text. Below maxDepth there is only text.
func appendValue(b []byte, n protowire.Number, v any, depth int) []byte {
	b, start := openMessage(b, n)
	switch v := v.(type) {
	case nil:
		b = protowire.AppendTag(b, 1, protowire.VarintType)
		b = protowire.AppendVarint(b, 0)
	case float64:
		b = protowire.AppendTag(b, 2, protowire.Fixed64Type)
		b = protowire.AppendFixed64(b, math.Float64bits(v))
	case string:
		b = protowire.AppendTag(b, 3, protowire.BytesType)
		b = protowire.AppendString(b, v)
	case bool:
		b = protowire.AppendTag(b, 4, protowire.VarintType)
		b = protowire.AppendVarint(b, protowire.EncodeBool(v))
	default:
		if depth >= maxDepth {
			b = protowire.AppendTag(b, 3, protowire.BytesType)
			b = protowire.AppendBytes(b, marshalValue(v))
		} else {
			b = appendContainer(b, v, depth)
		}
	}
	return closeLength(b, start)
}

// appendContainer appends the Struct or ListValue inside a Value.
func appendContainer(b []byte, v any, depth int) []byte {
	var start int
	switch v := v.(type) {
	case map[string]any:
		b, start = openMessage(b, 5)
		for _, k := range slices.Sorted(maps.Keys(v)) {
			var entry int
			b, entry = openMessage(b, 1)
			b = appendText(b, 1, k)
			b = appendValue(b, 2, v[k], depth+1)
			b = closeLength(b, entry)
		}
	case []any:
		b, start = openMessage(b, 6)
		for _, item := range v {
			b = appendValue(b, 1, item, depth+1)
		}
	}
	return closeLength(b, start)
}

// marshalValue gives the JSON text of a value that decodeValue or json.Unmarshal made, with sorted
// keys. Such a value has nothing that JSON could not hold.
func marshalValue(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}

// decodeProperty reads one entry of a map<string, Value> into m.
func decodeProperty(m map[string]json.RawMessage, b []byte) error {
	key, v, err := decodeEntry(b, 1)
	if err != nil {
		return err
	}
	m[key] = marshalValue(v)
	return nil
}

// decodeEntry reads an entry of a map from string to Value.
func decodeEntry(b []byte, depth int) (key string, v any, err error) {
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.BytesType):
			key = string(c.bytes)
		case c.is(2, protowire.BytesType):
			if v, err = decodeValue(c.bytes, depth); err != nil {
				return "", nil, fmt.Errorf("value of %.40q: %w", key, err)
			}
		}
	}
	return key, v, c.err
}

func decodeValue(b []byte, depth int) (v any, err error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested more than %d deep", maxDepth)
	}
	c := cursor{rest: b}
	for c.next() {
		switch {
		case c.is(1, protowire.VarintType):
			v = nil
		case c.is(2, protowire.Fixed64Type):
			v = decodeFloat(c.varint)
		case c.is(3, protowire.BytesType):
			v = string(c.bytes)
		case c.is(4, protowire.VarintType):
			v = protowire.DecodeBool(c.varint)
		case c.is(5, protowire.BytesType):
			v, err = decodeStruct(c.bytes, depth)
		case c.is(6, protowire.BytesType):
			v, err = decodeList(c.bytes, depth)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, c.err
}

// decodeFloat gives a number, and for the three that JSON does not have their names.
func decodeFloat(bits uint64) any {
	f := math.Float64frombits(bits)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	return f
}

func decodeStruct(b []byte, depth int) (any, error) {
	m := map[string]any{}
	c := cursor{rest: b}
	for c.next() {
		if !c.is(1, protowire.BytesType) {
			continue
		}
		key, v, err := decodeEntry(c.bytes, depth+1)
		if err != nil {
			return nil, err
		}
		m[key] = v
	}
	return m, c.err
}

func decodeList(b []byte, depth int) (any, error) {
	list := []any{}
	c := cursor{rest: b}
	for c.next() {
		if !c.is(1, protowire.BytesType) {
			continue
		}
		v, err := decodeValue(c.bytes, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, c.err
}
