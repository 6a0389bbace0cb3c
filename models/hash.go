package models

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Hash returns the name of the request: the SHA-256, in hexadecimal, of its JSON in
// canonical form (no white space, keys sorted, schemas included that way, numbers
// as they were written). Recorded answers are found by it.
//
// It covers every field, Agent too: a script may answer two agents differently
// whose requests are otherwise the same, and a recording of that run must be able to
// tell them apart. A missing slice and an empty one are the same.
func (r *Request) Hash() string {
	c := *r
	if c.Messages == nil {
		c.Messages = []Message{}
	}
	c.Tools = make([]ToolSpec, len(r.Tools))
	for i, t := range r.Tools {
		t.Schema = canonical(t.Schema)
		c.Tools[i] = t
	}
	if r.Output != nil {
		c.Output = &OutputSchema{Name: r.Output.Name, Schema: canonical(r.Output.Schema)}
		if c.Output.Schema == nil {
			c.Output.Schema = json.RawMessage("null")
		}
	}
	// A struct's own keys are sorted by the second pass, which sees only maps. What
	// can fail to marshal is a number that JSON does not have (NaN as temperature):
	// it is left out, and the provider will refuse the request.
	text, err := json.Marshal(c)
	if err != nil {
		c.Params.Temperature, c.Params.TopP = nil, nil
		text, _ = json.Marshal(c)
	}
	sum := sha256.Sum256(canonical(text))
	return hex.EncodeToString(sum[:])
}

// canonical returns JSON text in canonical form; text that is not JSON becomes a
// JSON string, so that a broken schema still has a hash of its own.
func canonical(text []byte) json.RawMessage {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber() // a float64 would round large integers
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		v = string(text)
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // cannot happen: v was decoded from JSON
		return nil
	}
	return bytes.TrimSpace(buf.Bytes())
}
