package prompts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
)

// convert brings a value into the form that templates see: string, float64, int64, bool, []any, map[string]any,
// and nil inside of lists and objects. It goes through JSON, so that a struct is an object by its json tags. A
// problem completes a sentence that begins with the variable.
func convert(t Type, value any) (converted any, problem string) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, "has no JSON form: " + err.Error()
	}
	v, err := decode(data)
	if err != nil {
		return nil, "has no JSON form: " + err.Error()
	}
	ok := false
	switch v := v.(type) {
	case nil:
		if t == List {
			return []any{}, "" // a nil slice is how Go writes an empty list
		}
	case string:
		ok = t == String
	case bool:
		ok = t == Boolean
	case []any:
		ok = t == List
	case map[string]any:
		ok = t == Object
	case json.Number:
		switch t {
		case Number:
			f, err := v.Float64()
			if err != nil {
				return nil, "is out of range: " + v.String()
			}
			return f, ""
		case Integer:
			if i, ok := whole(v); ok {
				return i, ""
			}
			return nil, fmt.Sprintf("must be a whole number of 64 bits, not %s", v)
		}
	}
	if !ok {
		return nil, fmt.Sprintf("must be %s, not %s", article(t), describe(v))
	}
	return plain(v), ""
}

func decode(data []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	err := dec.Decode(&v)
	return v, err
}

// whole reads a whole number, also one that is written 3.0 or 3e2.
func whole(n json.Number) (int64, bool) {
	if i, err := n.Int64(); err == nil {
		return i, true
	}
	// From 2^53 on, a float64 may stand for a whole number next to the one that was meant.
	f, err := n.Float64()
	return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
}

// plain replaces JSON numbers inside of a value, which a template would take for text.
func plain(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, _ := v.Float64() // out of range is infinite, which no JSON number that Go wrote is
		return f
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	}
	return v
}

func article(t Type) string {
	if t == Integer || t == Object {
		return "an " + string(t)
	}
	return "a " + string(t)
}

func describe(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return article(String)
	case bool:
		return article(Boolean)
	case []any:
		return article(List)
	case map[string]any:
		return article(Object)
	}
	return article(Number)
}

// text writes a value into a prompt: a string as it is, anything else as JSON.
func text(v any) (string, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}
