package models

import (
	"encoding/json"
	"math"
	"testing"
)

func sample() *Request {
	temperature := 0.5
	return &Request{
		Model:    "m",
		Agent:    "a",
		Messages: []Message{SystemMessage("s"), UserMessage("<u>"), AssistantMessage("", ToolCall{ID: "1", Name: "t", Arguments: `{"b":1,"a":2}`})},
		Tools:    []ToolSpec{{Name: "t", Schema: json.RawMessage(`{"type":"object","maximum":12345678901234567890}`)}},
		Output:   &OutputSchema{Name: "o", Schema: json.RawMessage(`{"type":"object"}`)},
		Params:   Params{Temperature: &temperature},
	}
}

// TestHashIsStable pins the hash: recordings on disk are found by it.
func TestHashIsStable(t *testing.T) {
	const want = "48a7ccac4c47a5a8d7ea9ee178800d591eeba5700436de89a3eddd27e4996443"
	if got := sample().Hash(); got != want {
		t.Errorf("hash is %s; want %s: recordings of earlier versions would be lost", got, want)
	}
}

func TestHashSame(t *testing.T) {
	want := sample().Hash()
	for name, change := range map[string]func(*Request){
		"white space and key order of a schema": func(r *Request) {
			r.Tools[0].Schema = json.RawMessage("{ \"maximum\": 12345678901234567890,\n \"type\": \"object\" }")
		},
		"empty slices": func(r *Request) { r.Params.Stop = []string{}; r.Messages[0].ToolCalls = []ToolCall{} },
	} {
		r := sample()
		change(r)
		if r.Hash() != want {
			t.Errorf("%s: another hash", name)
		}
	}
	if (&Request{}).Hash() != (&Request{Messages: []Message{}, Tools: []ToolSpec{}}).Hash() {
		t.Error("empty request: another hash")
	}
}

func TestHashDiffers(t *testing.T) {
	seen := map[string]string{sample().Hash(): "the sample"}
	for name, change := range map[string]func(*Request){
		"model":            func(r *Request) { r.Model = "n" },
		"agent":            func(r *Request) { r.Agent = "b" },
		"content":          func(r *Request) { r.Messages[1].Content = "v" },
		"order":            func(r *Request) { r.Messages[0], r.Messages[1] = r.Messages[1], r.Messages[0] },
		"arguments' order": func(r *Request) { r.Messages[2].ToolCalls[0].Arguments = `{"a":2,"b":1}` },
		"call id":          func(r *Request) { r.Messages[2].ToolCalls[0].ID = "2" },
		"tool name":        func(r *Request) { r.Tools[0].Name = "x" },
		"large number": func(r *Request) {
			r.Tools[0].Schema = json.RawMessage(`{"type":"object","maximum":12345678901234567891}`)
		},
		"broken schema":    func(r *Request) { r.Tools[0].Schema = json.RawMessage(`{"type":`) },
		"other broken one": func(r *Request) { r.Tools[0].Schema = json.RawMessage(`{"kind":`) },
		"no schema":        func(r *Request) { r.Tools[0].Schema = nil },
		"no output":        func(r *Request) { r.Output = nil },
		"no output schema": func(r *Request) { r.Output.Schema = nil },
		"temperature":      func(r *Request) { *r.Params.Temperature = 0 },
		"no temperature":   func(r *Request) { r.Params.Temperature = nil },
		"stop":             func(r *Request) { r.Params.Stop = []string{"x"} },
	} {
		r := sample()
		change(r)
		h := r.Hash()
		if other, ok := seen[h]; ok {
			t.Errorf("%s has the hash of %s", name, other)
		}
		seen[h] = name
	}
	r := sample()
	*r.Params.Temperature = math.NaN()
	if _, ok := seen[r.Hash()]; r.Hash() == "" || (ok && seen[r.Hash()] != "no temperature") {
		t.Error("a request that is not JSON has no sensible hash")
	}
}
