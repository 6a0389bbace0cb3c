package tools_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/tools"
)

type stubborn struct{}

func (*stubborn) UnmarshalJSON(b []byte) error {
	if string(b) == `"panic"` {
		panic("boom")
	}
	return errors.New("never right")
}

type place struct {
	X int8    `json:"x,omitempty"`
	Y float64 `json:"y,omitempty"`
}

type query struct {
	City   string         `json:"city" jsonschema:"minLength=2,maxLength=400"`
	Unit   string         `json:"unit,omitempty" jsonschema:"enum=C,enum=F,default=C"`
	Days   int            `json:"days,omitempty" jsonschema:"minimum=1,maximum=7"`
	Mail   string         `json:"mail,omitempty" jsonschema:"format=email"`
	Places []place        `json:"places,omitempty"`
	Odd    *stubborn      `json:"odd,omitempty"`
	Any    map[string]any `json:"any,omitempty"`
}

func queryTool(opts ...tools.Option) tools.Tool {
	return tools.New("query", "", func(_ context.Context, in query) (query, error) { return in, nil }, opts...)
}

func TestArguments(t *testing.T) {
	deep := strings.Repeat(`[`, 200) + strings.Repeat(`]`, 200)
	tests := []struct {
		name, arguments string
		want            string // a part of the message, or "" if they are valid
	}{
		{"valid", `{"city": "Oslo", "places": [{"x": 1}], "any": {"deep": [null]}}`, ""},
		{"whole number as a decimal", `{"city": "Oslo", "days": 3.0}`, ""},
		{"whole number with exponent", `{"city": "Oslo", "days": 0.3e1}`, ""},
		{"escaped pair", `{"city": "\ud83d\ude00\ud83d\ude00"}`, ""},
		{"escaped backslash before u", `{"city": "\\ud83d"}`, ""},
		{"empty", ``, "/city: missing, string is required"},
		{"white space", " \n", "/city: missing, string is required"},
		{"invalid JSON", `{"city": "Oslo"`, "not valid JSON at byte 15"},
		{"text behind", `{"city": "Oslo"} done`, "not valid JSON at byte 18"},
		{"comment", `{"city": "Oslo" /* capital */}`, "not valid JSON"},
		{"invalid UTF-8", "{\"city\": \"Os\xfflo\"}", "not valid UTF-8"},
		{"half a surrogate pair", `{"city": "a\ud83d"}`, "not valid Unicode at byte 11"},
		{"half a pair, then another", `{"city": "\ud83d\u0041"}`, "not valid Unicode at byte 10"},
		{"no object", `["Oslo"]`, "arguments: expected object, got array"},
		{"null", `null`, "arguments: expected object, got null"},
		{"wrong type", `{"city": 7}`, "/city: expected string, got number"},
		{"wrong type inside", `{"city": "Oslo", "places": [{"x": 1}, {"x": "a"}]}`, "/places/1/x: expected integer, got string"},
		{"fraction", `{"city": "Oslo", "days": 1.5}`, "/days: expected integer, got number"},
		{"unknown field", `{"city": "Oslo", "days/": 1}`, "/days~1: unknown field, the fields are any, city, days, mail, odd, places, unit"},
		{"unknown field inside", `{"city": "Oslo", "places": [{"z": 1}]}`, "/places/0/z: unknown field, the fields are x, y"},
		{"other case", `{"City": "Oslo"}`, "/City: unknown field"},
		{"twice", `{"city": "Oslo", "city": "Bergen"}`, "/city: the field is given twice"},
		{"twice inside", `{"city": "Oslo", "any": {"a": [{"b": 1, "b": 1}]}}`, "/any/a/0/b: the field is given twice"},
		{"not in the enum", `{"city": "Oslo", "unit": "K"}`, "/unit: value must be one of 'C', 'F'"},
		{"too small", `{"city": "Oslo", "days": 0}`, "/days: must be at least 1"},
		{"too large", `{"city": "Oslo", "days": 8}`, "/days: must be at most 7"},
		{"too short", `{"city": "O"}`, "/city: minLength: got 1, want 2"},
		{"format", `{"city": "Oslo", "mail": "nobody"}`, "/mail: 'nobody' is not valid email"},
		{"does not fit", `{"city": "Oslo", "places": [{"x": 300}]}`, "number 300 does not fit into int8"},
		{"own type refuses", `{"city": "Oslo", "odd": 1}`, "never right"},
		{"too deep", `{"city": "Oslo", "any": {"a": ` + deep + `}}`, "nested deeper than 100 levels"},
		{"huge exponent", `{"city": "Oslo", "days": 1e999999}`, "/days: a number out of range"},
		{"huge negative exponent", `{"city": "Oslo", "places": [{"y": 1e-999999}]}`, "/places/0/y: a number out of range"},
		{"huge number", `{"city": "Oslo", "days": ` + strings.Repeat("9", 900) + `}`, "/days: a number of more than 800 digits"},
		{"too many problems", `{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"j":1,"k":1}`, "and 2 more"},
		{"too long", `{"city": "` + strings.Repeat("o", 10<<20) + `"}`, "10485772 bytes of arguments are too long, the limit is 1048576"},
	}
	tool := queryTool()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, callErr := tool.Call(t.Context(), tools.Call{Arguments: tt.arguments})
			err := tool.Validate(tt.arguments)
			if tt.want == "" {
				if err != nil || callErr != nil {
					t.Errorf("error = %v, %v", err, callErr)
				}
				return
			}
			var bad *tools.ArgumentError
			if !errors.As(err, &bad) || bad.Tool != "query" || len(bad.Problems) == 0 {
				t.Fatalf("error = %#v, want an ArgumentError", err)
			}
			if msg := err.Error(); !strings.Contains(msg, tt.want) || strings.ContainsAny(msg, "\n") || !utf8.ValidString(msg) || len(msg) > 2000 {
				t.Errorf("message = %q, want one short line with %q", msg, tt.want)
			}
			if callErr == nil || callErr.Error() != err.Error() {
				t.Errorf("Call says %v, Validate %v", callErr, err)
			}
		})
	}
}

func TestMaxArguments(t *testing.T) {
	tool := queryTool(tools.MaxArguments(16))
	if err := tool.Validate(`{"city": "Oslo"}`); err != nil {
		t.Errorf("16 bytes of 16: %v", err)
	}
	if err := tool.Validate(`{"city": "Oslo" }`); err == nil {
		t.Error("17 bytes of 16 are accepted")
	}
}

func TestUnmarshalPanics(t *testing.T) {
	_, err := queryTool().Call(t.Context(), tools.Call{Arguments: `{"city": "Oslo", "odd": "panic"}`})
	var panicked *tools.PanicError
	if !errors.As(err, &panicked) || !strings.Contains(panicked.Stack, "UnmarshalJSON") {
		t.Errorf("error = %#v", err)
	}
}

func TestDefaults(t *testing.T) {
	type inner struct {
		N int `json:"n,omitempty" jsonschema:"default=5"`
	}
	type in struct {
		S    string   `json:"s,omitempty" jsonschema:"default=x"`
		B    bool     `json:"b,omitempty" jsonschema:"default=true"`
		L    []string `json:"l,omitempty" jsonschema:"default=p,default=q"`
		List []inner  `json:"list"`
		One  *inner   `json:"one"`
	}
	tool := tools.New("t", "", func(_ context.Context, in in) (in, error) { return in, nil })
	for arguments, want := range map[string]string{
		`{"list": [{}, {"n": 0}]}`:                              `{"s":"x","b":true,"l":["p","q"],"list":[{"n":5},{}],"one":null}`,
		`{"s": "", "b": false, "l": [], "list": [], "one": {}}`: `{"list":[],"one":{"n":5}}`,
	} {
		got, err := tool.Call(t.Context(), tools.Call{Arguments: arguments})
		if err != nil || got.Content != want {
			t.Errorf("%s: %s, %v, want %s", arguments, got.Content, err, want)
		}
	}
}

func TestDigest(t *testing.T) {
	same := [][]string{
		{`{}`, ``, ` `, "{ }"},
		{`{"a": 1, "b": [true, null]}`, `{"b":[true,null],"a":1.0}`, `{"b":[true,null],"\u0061":10e-1}`},
		{`{"a": "é</"}`, `{"a": "\u00e9\u003c\/"}`},
		{`{"a": 0}`, `{"a": -0}`, `{"a": 0.00}`, `{"a": 0e7}`},
		{`{"a": 9007199254740993}`, `{"a": 9007199254740993.0}`},
		{`{"a": 9007199254740992}`},
		{`{"a": 0.1}`, `{"a": 1e-1}`}, {`{"a": -0.1}`}, {`{"a": "0.1"}`},
		{`{"a": 1e300}`, `{"a": 10e299}`}, {`{"a": 1e301}`},
		{`{"a": null}`}, {`{"a": []}`}, {`{"a": {}}`}, {`{"a": ["b", "c"]}`}, {`{"a": ["c", "b"]}`}, {`{"a": ["b,c"]}`},
		{`{"a"`}, {`{"a" `}, {`{"a": 1, "a": 1}`}, {"\xff"}, {"\ufffd"}, {`"\ud800"`}, {`"\ufffd"`},
	}
	seen := map[string]string{}
	for _, group := range same {
		first := tools.Digest(group[0])
		if len(first) != 64 {
			t.Errorf("digest of %s is %q", group[0], first)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("%s and %s have the same digest", group[0], other)
		}
		seen[first] = group[0]
		for _, arguments := range group[1:] {
			if tools.Digest(arguments) != first {
				t.Errorf("%s and %s have different digests", group[0], arguments)
			}
		}
	}
	// Stored keys and approvals hold digests: this one must never change.
	if got, want := tools.Digest(`{"service": "api", "to": 41}`), "c7a1a9533908685ddc63edcc2dd95ad4d662db278c795810071cfc407bf93a9d"; got != want {
		t.Errorf("digest = %s, want %s", got, want)
	}
}

func FuzzValidate(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"city":"Oslo","days":3}`, `{"city":7,"x":1}`, `{"city":"\ud800"}`, `{"city":"a","city":"b"}`, `[[[[`, "\xff", `{"places":[{"x":1e400,"y":-0.0}]}`, `{"any":{"a":[1,2.50,"\u0000"]}}`,
	} {
		f.Add(seed)
	}
	tool := queryTool(tools.Pure())
	f.Fuzz(func(t *testing.T, arguments string) {
		err := tool.Validate(arguments)
		digest := tools.Digest(arguments)
		if err != nil {
			var bad *tools.ArgumentError
			var panicked *tools.PanicError // the stubborn field
			if !errors.As(err, &bad) && !errors.As(err, &panicked) {
				t.Fatalf("%T: %v", err, err)
			}
			if msg := err.Error(); !utf8.ValidString(msg) || strings.Contains(msg, "\n") {
				t.Fatalf("message %q", msg)
			}
			return
		}
		var v any
		if err := json.Unmarshal([]byte(arguments), &v); err != nil {
			t.Fatalf("%q was accepted: %v", arguments, err)
		}
		// What is valid stays so, with the same digest, when another program has rewritten it.
		dec := json.NewDecoder(strings.NewReader(arguments))
		dec.UseNumber()
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if err := tool.Validate(string(again)); err != nil || tools.Digest(string(again)) != digest {
			t.Fatalf("%q became %q: %v", arguments, again, err)
		}
	})
}
