package prompts_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/prompts"
)

const declarations = `---
variables:
  s: {type: string, required: false}
  n: {type: number, required: false}
  i: {type: integer, required: false}
  b: {type: boolean, required: false}
  l: {type: list, required: false}
  o: {type: object, required: false}
---
`

func TestRender(t *testing.T) {
	type person struct {
		Name string `json:"name"`
		Age  int    `json:"age"`
	}
	type words string
	tests := []struct {
		name, body string
		vars       map[string]any
		want       string
	}{
		{"nothing given", "[{{ .s }} {{ .n }} {{ .i }} {{ .b }} {{ .l }} {{ .o }}]", nil, "[ 0 0 false [] {}]"},
		{"string", "{{ .s }}", map[string]any{"s": "<a> & {{ .b }}"}, "<a> & {{ .b }}"},
		{"named string", "{{ .s }}", map[string]any{"s": words("w")}, "w"},
		{"number", "{{ .n }}", map[string]any{"n": 1e6}, "1000000"},
		{"small number", "{{ .n }}", map[string]any{"n": float32(0.5)}, "0.5"},
		{"large number", "{{ .n }}", map[string]any{"n": 1e300}, "1e+300"},
		{"whole number for a number", "{{ .n }}", map[string]any{"n": 3}, "3"},
		{"integer", "{{ .i }}", map[string]any{"i": int64(math.MaxInt64)}, "9223372036854775807"},
		{"integer from JSON", "{{ .i }}", map[string]any{"i": 3.0}, "3"},
		{"JSON number", "{{ .i }}", map[string]any{"i": json.Number("9007199254740993")}, "9007199254740993"},
		{"list", "{{ .l }}", map[string]any{"l": []string{"<a>", "b"}}, `["<a>","b"]`},
		{"object", "{{ .o }} {{ .o.name }}", map[string]any{"o": person{"Ann", 3}}, `{"age":3,"name":"Ann"} Ann`},
		{"whole number inside", "{{ .o.id }}", map[string]any{"o": map[string]any{"id": int64(9007199254740993)}}, "9007199254740993"},
		{"null inside", "{{ .o.x }}", map[string]any{"o": map[string]any{"x": nil}}, "null"},
		{"field named like a method", "{{ .o.String }}", map[string]any{"o": map[string]any{"String": "s"}}, "s"},
		{"range", "{{ range $k, $p := .l }}{{ $k }}={{ $p.name }}/{{ .age }}/{{ $.s }} {{ else }}none{{ end }}",
			map[string]any{"l": []person{{"Ann", 3}, {"Bob", 4}}, "s": "x"}, "0=Ann/3/x 1=Bob/4/x "},
		{"empty range", "{{ range .l }}x{{ else }}none{{ end }}", nil, "none"},
		{"nil slice", "{{ .l }}", map[string]any{"l": []int(nil)}, "[]"},
		{"range over an object is sorted", "{{ range $k, $v := .o }}{{ $k }}{{ $v }} {{ end }}", map[string]any{"o": map[string]int{"b": 2, "a": 1}}, "a1 b2 "},
		{"range over a field", "{{ range .o.x }}{{ . }}{{ end }}", map[string]any{"o": map[string]any{"x": []int{1, 2}}}, "12"},
		{"nested range", "{{ range .l }}{{ range . }}{{ . }}{{ end }};{{ end }}", map[string]any{"l": [][]int{{1, 2}, {3}}}, "12;3;"},
		{"break", "{{ range .l }}{{ if eq . 2 }}{{ break }}{{ end }}{{ . }}{{ end }}", map[string]any{"l": []int{1, 2, 3}}, "1"},
		{"zero inside is false", "{{ range .l }}{{ if . }}y{{ else }}n{{ end }}{{ end }}", map[string]any{"l": []any{0, 1, ""}}, "nyn"},
		{"conditions", `{{ if and .b (or (eq .s "x") (ne .i 0)) (not .l) }}yes{{ else if .b }}b{{ else }}no{{ end }}`, map[string]any{"b": true, "s": "x"}, "yes"},
		{"printed condition", `{{ eq .s "x" }}`, map[string]any{"s": "x"}, "true"},
		{"trim and comment", "a {{- /* c */ -}} b", nil, "ab"},
		{"braces", `{{ "{{" }} .s }}`, nil, "{{ .s }}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := prompts.Parse("p.md", []byte(declarations+tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.Render(tt.vars); err != nil || got != tt.want {
				t.Errorf("rendered %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestRenderErrors(t *testing.T) {
	p := prompts.Must(prompts.Parse("p.md", []byte(declarations+"x\n{{ range .l }}{{ .name }}{{ end }}")))
	tests := []struct {
		name string
		vars map[string]any
		want string
	}{
		{"string", map[string]any{"s": 1}, "variable s must be a string, not a number"},
		{"number", map[string]any{"n": "1"}, "variable n must be a number, not a string"},
		{"no number", map[string]any{"n": math.NaN()}, "variable n has no JSON form"},
		{"integer", map[string]any{"i": 1.5}, "variable i must be a whole number of 64 bits, not 1.5"},
		{"large integer", map[string]any{"i": uint64(math.MaxUint64)}, "variable i must be a whole number of 64 bits"},
		{"boolean", map[string]any{"b": "true"}, "variable b must be a boolean, not a string"},
		{"list", map[string]any{"l": map[string]any{}}, "variable l must be a list, not an object"},
		{"object", map[string]any{"o": []int{}}, "variable o must be an object, not a list"},
		{"null", map[string]any{"s": nil}, "variable s must be a string, not null"},
		{"nil map", map[string]any{"o": map[string]int(nil)}, "variable o must be an object, not null"},
		{"channel", map[string]any{"l": make(chan int)}, "variable l has no JSON form"},
		{"unknown", map[string]any{"z": 1}, "variable z is not declared (there are b, i, l, n, o, s)"},
		{"several", map[string]any{"z": 1, "s": 1, "a": 1}, "variable a is not declared (there are b, i, l, n, o, s); variable s must be a string, not a number; variable z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := p.Render(tt.vars)
			var bad *prompts.VariableError
			if !errors.As(err, &bad) || bad.Prompt != "p" || !strings.HasPrefix(err.Error(), "prompt p: "+tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
	_, err := p.Render(map[string]any{"l": []map[string]any{{"nom": "x"}}})
	if err == nil || !strings.HasPrefix(err.Error(), `prompt p: p.md:11: at <.name>: map has no entry for key "name"`) {
		t.Errorf("missing field of an element: %v", err)
	}
}

func TestRenderStruct(t *testing.T) {
	p := prompts.Must(prompts.Parse("p.md", []byte("---\nvariables:\n  name: {type: string}\n  n: {type: integer, default: 7}\n---\n{{ .name }} {{ .n }}")))
	type vars struct {
		Name string `json:"name,omitempty"`
		N    int    `json:"n,omitempty"`
	}
	if got, err := prompts.Render(p, vars{Name: "Ann"}); err != nil || got != "Ann 7" {
		t.Errorf("struct: %q, %v", got, err)
	}
	if got, err := prompts.Render(p, &vars{"Ann", 1}); err != nil || got != "Ann 1" {
		t.Errorf("pointer: %q, %v", got, err)
	}
	var bad *prompts.VariableError
	if _, err := prompts.Render(p, vars{}); !errors.As(err, &bad) {
		t.Errorf("missing: %v", err)
	}
	if _, err := prompts.Render(p, struct{ Name, Other string }{}); !errors.As(err, &bad) || !strings.Contains(err.Error(), "variable Other is not declared") {
		t.Errorf("unknown: %v", err)
	}
	if _, err := prompts.Render[*vars](p, nil); err == nil || !strings.Contains(err.Error(), "is null in JSON") {
		t.Errorf("nil: %v", err)
	}
	if _, err := prompts.Render(p, func() {}); err == nil || !strings.Contains(err.Error(), "no JSON form") {
		t.Errorf("function: %v", err)
	}
}

func TestText(t *testing.T) {
	p := prompts.Text(" {{ .x }}\n")
	if got, err := p.Render(nil); err != nil || got != " {{ .x }}\n" {
		t.Errorf("text = %q, %v, want it as it is", got, err)
	}
	if _, err := p.Render(map[string]any{"x": 1}); err == nil || err.Error() != "prompt text: variable x is not declared (the prompt has no variables)" {
		t.Errorf("variable for a text: %v", err)
	}
}

func TestRenderKeepsDefaults(t *testing.T) {
	p := prompts.Must(prompts.Parse("p.md", []byte("---\nvariables:\n  l: {type: list, default: [1, 2]}\n---\n{{ .l }}")))
	done := make(chan string)
	for range 4 {
		go func() {
			text, err := p.Render(nil)
			if err != nil {
				text = err.Error()
			}
			done <- text
		}()
	}
	for range 4 {
		if got := <-done; got != "[1,2]" {
			t.Errorf("rendered %q", got)
		}
	}
}
