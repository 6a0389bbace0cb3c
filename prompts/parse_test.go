package prompts_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	p, err := prompts.Parse("dir/file.md", []byte(`---
name: plan
description: Makes a plan.
model: gpt-4.1
version: "1.10"
variables:
  n: {type: integer, default: 3.0, description: How many}
  s: {type: string}
  o: {type: object, required: false}
  l:
    type: list
    default: [1, 2.5, {a: b}, null]
---

{{ .s }}

`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Name() != "plan" || p.Description() != "Makes a plan." || p.Model() != "gpt-4.1" || p.Version() != "1.10" {
		t.Errorf("prompt = %q, %q, %q, %q", p.Name(), p.Description(), p.Model(), p.Version())
	}
	want := []prompts.Variable{
		{Name: "l", Type: prompts.List, Default: []any{int64(1), 2.5, map[string]any{"a": "b"}, nil}},
		{Name: "n", Type: prompts.Integer, Default: int64(3), Description: "How many"},
		{Name: "o", Type: prompts.Object, Default: map[string]any{}},
		{Name: "s", Type: prompts.String, Required: true},
	}
	if diff := cmp.Diff(want, p.Variables()); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	if got, err := p.Render(map[string]any{"s": "x"}); err != nil || got != "x" {
		t.Errorf("body = %q, %v, want it without blank lines around", got, err)
	}
	bare, err := prompts.Parse("dir/file.v2.md", []byte("---\n---\nHello."))
	if err != nil || bare.Name() != "file.v2" || bare.Version() != "" || len(bare.Variables()) != 0 {
		t.Errorf("bare prompt = %+v, %v", bare, err)
	}
	if p := prompts.Must(prompts.Parse("p.md", []byte("---\nversion: 007\n---\nx"))); p.Version() != "007" {
		t.Errorf("version = %q, want it as it is written", p.Version())
	}
}

func TestParseErrors(t *testing.T) {
	// head declares a string s, an integer n, a list l and an object o. The body begins in line 8.
	const head = "---\nvariables:\n  s: {type: string}\n  n: {type: integer}\n  l: {type: list}\n  o: {type: object}\n---\n"
	tests := []struct {
		name, file, want string
	}{
		{"empty", "", "p.md:1: no front matter"},
		{"no front matter", "Hello.", "p.md:1: no front matter"},
		{"open front matter", "---\nname: a\n", "p.md:1: the front matter does not end"},
		{"no body", "---\nname: a\n---\n\n", "p.md:3: the prompt is empty"},
		{"unknown key", "---\nname: a\n\nmodell: x\n---\nx", `p.md:4: unknown field "modell"`},
		{"unknown key of a variable", "---\nvariables:\n  a:\n    typ: string\n---\nx", `p.md:4: unknown field "typ"`},
		{"duplicate key", "---\nname: a\nname: b\n---\nx", "p.md:3: mapping key"},
		{"duplicate variable", "---\nvariables:\n  a: {type: list}\n  a: {type: list}\n---\nx", "p.md:4: mapping key"},
		{"no mapping", "---\n- a\n---\nx", "p.md:2: "},
		{"no YAML", "---\nname: [a\n---\nx", "p.md:2: "},
		{"wrong type of a key", "---\nmodel: {a: b}\n---\nx", "p.md:2: "},
		{"alias", "---\nname: &a x\nmodel: *a\n---\nx", "p.md:2: anchors and aliases are not supported"},
		{"version is a fraction", "---\nversion: 1.10\n---\nx", "p.md:2: a version is text or a whole number"},
		{"bad name", "---\nname: a b\n---\nx", `the name "a b" does not match`},
		{"variables is a list", "---\nvariables: [a]\n---\nx", "p.md:2: variables must be a mapping"},
		{"variable without declaration", "---\nvariables:\n  a:\n---\nx", "p.md:3: variable a needs a declaration"},
		{"short declaration", "---\nvariables:\n  a: string\n---\nx", "p.md:3: variable a needs a declaration"},
		{"bad variable name", "---\nvariables:\n  a-b: {type: string}\n---\nx", `p.md:3: the variable name "a-b"`},
		{"no type", "---\nvariables:\n  a: {required: true}\n---\nx", `p.md:3: variable a: unknown type ""`},
		{"unknown type", "---\nvariables:\n  a: {type: text}\n---\nx", `p.md:3: variable a: unknown type "text"`},
		{"required with default", "---\nvariables:\n  a: {type: string, required: true, default: x}\n---\nx", "p.md:3: variable a is required and has a default"},
		{"default of another type", "---\nvariables:\n  b: {type: list}\n  a: {type: string, default: 3}\n---\nx", "p.md:4: the default of variable a must be a string, not a number"},
		{"default not whole", "---\nvariables:\n  a: {type: integer, default: 3.5}\n---\nx", "must be a whole number of 64 bits, not 3.5"},
		{"invalid UTF-8", "---\nname: a\n---\na\xff", "p.md:4: not valid UTF-8"},
		{"too large", "---\n---\n" + strings.Repeat("x", 1<<20), "p.md: too large for a prompt: the limit is 1048576 bytes"},

		{"undeclared", head + "x\n{{ .t }}", "p.md:9: variable t is used but not declared"},
		{"undeclared after blank lines", head + "\n\n{{ .t }}", "p.md:10: variable t is used but not declared"},
		{"undeclared in a condition", head + "{{ if not (eq .s .t) }}{{ end }}", "p.md:8: variable t"},
		{"undeclared in else", head + "{{ range .l }}{{ else }}{{ .t }}{{ end }}", "p.md:8: variable t"},
		{"undeclared by dollar", head + "{{ range .l }}\n{{ $.t }}{{ end }}", "p.md:9: variable t"},
		{"undeclared range", head + "{{ range .t }}{{ end }}", "p.md:8: variable t"},
		{"field of a string", head + "{{ .s.x }}", "p.md:8: variable s is a string and has no field x"},
		{"range over a string", head + "{{ range .s }}{{ end }}", "p.md:8: range needs a list or an object, and variable s is a string"},
		{"range over a number", head + "{{ range 3 }}x{{ end }}", "p.md:8: range takes one variable, not 3"},
		{"range over a call", head + "{{ range and .l .l }}x{{ end }}", "p.md:8: range takes one variable"},
		{"dot alone", head + "{{ . }}", "p.md:8: a dot alone"},
		{"dollar alone", head + "{{ range .l }}{{ $ }}{{ end }}", "p.md:8: a dollar alone"},
		{"function", head + `{{ printf "%s" .s }}`, "p.md:8: function printf is not supported"},
		{"our own function", head + `{{ _text .s }}`, "p.md:8: function _text is not supported"},
		{"unknown function", head + `{{ upper .s }}`, `p.md:8: function "upper" not defined`},
		{"assignment", head + "{{ $x := .s }}", "p.md:8: assignments are not supported"},
		{"assignment in a condition", head + "{{ if $x := .s }}{{ end }}", "p.md:8: assignments are not supported"},
		{"with", head + "{{ with .o }}{{ end }}", "p.md:8: {{with .o}}{{end}} is not supported"},
		{"template", head + `{{ template "x" }}`, "p.md:8: "},
		{"define", head + `{{ define "x" }}{{ end }}x`, "p.md:8: define and block are not supported"},
		{"block", head + `{{ block "x" . }}y{{ end }}`, "not supported"},
		{"define with text", head + `{{ define "x" }}y{{ end }}x`, "p.md:8: define and block are not supported"},
		{"chain", head + "{{ (.o).x }}", "p.md:8: "},
		{"nil", head + "{{ if eq .s nil }}{{ end }}", "p.md:8: "},
		{"open action", head + "x\n{{ .s", "p.md:9: unclosed action"},
		{"open if", head + "x\n{{ if .s }}", "p.md:9: unexpected EOF"},
		{"undeclared loop variable", head + "{{ $x }}", `p.md:8: undefined variable "$x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := prompts.Parse("p.md", []byte(tt.file))
			var bad *prompts.ParseError
			if !errors.As(err, &bad) || bad.File != "p.md" {
				t.Fatalf("error = %#v, want a ParseError", err)
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error = %q, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestNameFromFile(t *testing.T) {
	if _, err := prompts.Parse("my prompt.md", []byte("---\n---\nx")); err == nil || !strings.Contains(err.Error(), "give it one in the front matter") {
		t.Errorf("error = %v", err)
	}
}

func TestHash(t *testing.T) {
	parse := func(file string) string { return prompts.Must(prompts.Parse("p.md", []byte(file))).Hash() }
	want := parse("---\nname: a\n---\nx\ny\n")
	for _, same := range []string{"---\r\nname: a\r\n---\r\nx\r\ny\r\n", "\uFEFF---\nname: a\n---\nx\ny", "---\nname: a\n---\nx\ny\n\n"} {
		if parse(same) != want {
			t.Errorf("%q has another hash", same)
		}
	}
	for _, other := range []string{"---\nname: b\n---\nx\ny\n", "---\nname: a\n---\nx\n\ny\n", "---\nname: a\n---\nx \ny\n"} {
		if parse(other) == want {
			t.Errorf("%q has the same hash", other)
		}
	}
	// printf 'x' | sha256sum
	if got := prompts.Text("x").Hash(); got != "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" {
		t.Errorf("hash of a text = %s", got)
	}
}

func TestLibrary(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	lib, err := prompts.LoadDir(fstest.MapFS{
		"p/a.md": file("---\n---\nA"), "p/sub/b.md": file("---\nname: bee\n---\nB"), "p/notes.txt": file("none"), "q/c.md": file("broken"),
	}, "p")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "bee"}, lib.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	if p, err := lib.Get("bee"); err != nil || p.Name() != "bee" {
		t.Errorf("bee = %v, %v", p, err)
	}
	if _, err := lib.Get("c"); err == nil || err.Error() != `unknown prompt "c": there are a, bee` {
		t.Errorf("unknown prompt: %v", err)
	}
	for name, tt := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"duplicate":    {fstest.MapFS{"p/a.md": file("---\n---\nA"), "p/b.md": file("---\nname: a\n---\nB")}, `p/b.md: duplicate prompt name "a", also in p/a.md`},
		"broken":       {fstest.MapFS{"p/a.md": file("---\n---\n{{ .x }}")}, "p/a.md:3: variable x is used but not declared"},
		"none":         {fstest.MapFS{"p/a.txt": file("x")}, "no file in p ends in .md"},
		"no directory": {fstest.MapFS{}, "load prompts: "},
	} {
		if _, err := prompts.LoadDir(tt.files, "p"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := prompts.Load(fstest.MapFS{}, "x.md"); err == nil {
		t.Error("a file that is not there is loaded")
	}
}

func TestMust(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("Must does not panic")
		}
	}()
	prompts.Must(prompts.Parse("p.md", nil))
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "---\n---\nx", "---\nname: a\nvariables:\n  s: {type: string}\n  l: {type: list, default: [1, {a: b}]}\n---\n{{ .s }}{{ range $i, $x := .l }}{{ if eq $i 0 }}{{ $x }}{{ else }}{{ break }}{{ end }}{{ end }}",
		"---\nparameters: {temperature: 0.5, stop: [a], seed: 1e3}\n---\nx", "---\n---\n{{ template \"a@1\" . }}{{ range $ }}{{ template \"b\" $ }}{{ end }}",
		"---\nname: &a [*a]\n---\n{{", "---\n<<: {}\n? a\n---\n{{ define \"x\" }}{{ end }}", "\uFEFF---\r\nversion: 0x1\r\n---\r\n{{- \"\\xff\" -}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := prompts.Parse("p.md", data)
		if err != nil {
			var bad *prompts.ParseError
			if !errors.As(err, &bad) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%T %q", err, err)
			}
			return
		}
		vars := map[string]any{}
		for _, v := range p.Variables() {
			if v.Required {
				vars[v.Name] = map[prompts.Type]any{prompts.String: "s", prompts.Number: 1.5, prompts.Integer: 2, prompts.Boolean: true,
					prompts.List: []any{"a", 1, nil}, prompts.Object: map[string]any{"a": 1}}[v.Type]
			}
		}
		text, err := p.Render(vars)
		var bad *prompts.VariableError
		if errors.As(err, &bad) {
			t.Fatalf("variables as they are declared: %v", err)
		}
		if err == nil && !utf8.ValidString(text) && utf8.Valid(data) && !strings.Contains(string(data), `\`) && !strings.Contains(string(data), "'") {
			t.Fatalf("rendered %q", text)
		}
	})
}
