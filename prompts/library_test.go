package prompts_test

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/google/go-cmp/cmp"
)

// dir makes a directory p of prompt files.
func dir(files map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range files {
		fsys["p/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

func TestVersions(t *testing.T) {
	lib, err := prompts.LoadDir(dir(map[string]string{
		"a@9.md": "---\n---\nnine", "a@10.md": "---\n---\nten", "a-two.md": "---\nname: a\nversion: 2\n---\ntwo",
		"b.md": "---\n---\nb", ".hidden.md": "broken", ".git/x.md": "broken",
	}), "p")
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string]string{"a": "ten", "a@10": "ten", "a@9": "nine", "a@2": "two", "b": "b"} {
		if text, err := prompts.Must(lib.Get(ref)).Render(nil); err != nil || text != want {
			t.Errorf("%s is %q, %v", ref, text, err)
		}
	}
	var refs []string
	for _, p := range lib.All() {
		refs = append(refs, p.Ref()+" "+p.File())
	}
	if diff := cmp.Diff([]string{"a@2 p/a-two.md", "a@9 p/a@9.md", "a@10 p/a@10.md", "b p/b.md"}, refs); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	for ref, want := range map[string]string{
		"a@11": `prompt "a" has no version 11: it has 2, 9, 10`,
		"b@1":  `prompt "b" has no version 1: it has none`,
		"c@1":  `unknown prompt "c": there are a, b`,
		"a@":   `"a@" names no prompt: write NAME or NAME@VERSION`,
		"":     `"" names no prompt`,
	} {
		if _, err := lib.Get(ref); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", ref, err, want)
		}
	}
}

func TestVersionOrder(t *testing.T) {
	order := []string{"1", "1.9", "1.10", "2-draft.2", "2-draft.10", "2", "02.1", "2.1", "2025-12-31", "2026-01-02", "v1", "v2"}
	files := map[string]string{}
	for _, v := range order {
		files["a@"+v+".md"] = "---\n---\nx"
	}
	var got []string
	for _, p := range prompts.Must(prompts.LoadDir(dir(files), "p")).All() {
		got = append(got, p.Version())
	}
	if diff := cmp.Diff(order, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestLibraryErrors(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"same version":            {map[string]string{"a@1.md": "---\n---\nx", "b.md": "---\nname: a\nversion: 1\n---\ny"}, `p/b.md: duplicate version 1 of prompt "a", also in p/a@1.md`},
		"one without version":     {map[string]string{"a.md": "---\n---\nx", "a@1.md": "---\n---\ny"}, `p/a.md: prompt "a" has version 1 in p/a@1.md, so this one needs a version too`},
		"two versions in one":     {map[string]string{"a@1.md": "---\nversion: 2\n---\nx"}, `p/a@1.md:1: the front matter says version 2 and the file's name 1`},
		"bad version in the name": {map[string]string{"a@1 .md": "---\n---\nx"}, `p/a@1 .md:1: the version "1 " in the file's name`},
		"bad version":             {map[string]string{"a.md": "---\nversion: a/b\n---\nx"}, `p/a.md:2: the version "a/b" does not match`},
		"missing partial":         {map[string]string{"a.md": "---\n---\nx\n{{ template \"b\" . }}"}, `p/a.md:4: no such partial: unknown prompt "b": there are a`},
		"missing version":         {map[string]string{"a.md": "---\n---\n{{ template \"b@2\" . }}", "b@1.md": "---\n---\nx"}, `p/a.md:3: no such partial: prompt "b" has no version 2: it has 1`},
		"bad partial name":        {map[string]string{"a.md": "---\n---\n{{ template \"b c\" . }}"}, `p/a.md:3: "b c" names no prompt`},
		"partial of itself":       {map[string]string{"a.md": "---\n---\n{{ template \"a\" . }}"}, `p/a.md:3: the partials include one another: a includes a`},
		"cycle": {map[string]string{"a.md": "---\n---\n{{ template \"b\" . }}", "b@1.md": "---\n---\nx\n\n{{ template \"c\" . }}", "c.md": "---\n---\n{{ template \"b@1\" . }}"},
			`p/c.md:3: the partials include one another: b@1 includes c includes b@1`},
		"partial of a variable":    {map[string]string{"a.md": "---\nvariables:\n  o: {type: object}\n---\n{{ template \"a\" .o }}"}, `p/a.md:5: a partial gets all variables: write {{ template "a" . }}`},
		"partial of nothing":       {map[string]string{"a.md": "---\n---\n{{ template \"a\" }}"}, `p/a.md:3: a partial gets all variables: write {{ template "a" . }}`},
		"partial of an element":    {map[string]string{"a.md": "---\nvariables:\n  l: {type: list}\n---\n{{ range .l }}{{ template \"a\" . }}{{ end }}"}, `p/a.md:5: a partial gets all variables: write {{ template "a" $ }}`},
		"types differ":             {map[string]string{"a.md": "---\nvariables:\n  v: {type: list}\n---\n{{ .v }}{{ template \"b\" . }}", "b.md": "---\nvariables:\n  v: {type: string}\n---\n{{ .v }}"}, `p/a.md:5: variable v is a list in a, and a string in the partial b`},
		"types of partials differ": {map[string]string{"a.md": "---\n---\n{{ template \"b\" . }}\n{{ template \"c\" . }}", "b.md": "---\nvariables:\n  v: {type: list}\n---\nx", "c.md": "---\nvariables:\n  v: {type: integer}\n---\nx"}, `p/a.md:4: variable v is a list in b, and an integer in the partial c`},
		"defaults differ": {map[string]string{"a.md": "---\n---\n{{ template \"b\" . }}\n{{ template \"c\" . }}", "b.md": "---\nvariables:\n  v: {type: string, default: x}\n---\nx", "c.md": "---\nvariables:\n  v: {type: string, default: y}\n---\nx"},
			`p/a.md:4: the partials b and c declare variable v differently: declare it in this prompt too`},
		"not its own": {map[string]string{"a.md": "---\n---\n{{ .v }}{{ template \"b\" . }}", "b.md": "---\nvariables:\n  v: {type: string}\n---\n{{ .v }}"}, `p/a.md:3: variable v is used but not declared`},
		"broken":      {map[string]string{"a.md": "---\n---\n{{ template \"b\" . }}", "b.md": "---\n---\n{{ .v }}"}, `p/b.md:3: variable v is used but not declared`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := prompts.LoadDir(dir(tt.files), "p")
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error = %v, want %q", err, tt.want)
			}
		})
	}
}

func TestPartials(t *testing.T) {
	files := map[string]string{
		"main.md": `---
variables:
  who: {type: string}
  items: {type: list, default: [1, 2]}
  tone: {type: string, default: dry}
---
{{ template "style" . }}
{{ range .items }}{{ . }}{{ template "sub@1" $ }} {{ end }}
{{ if .who }}{{ template "style@1" . }}{{ end }}`,
		"style@2.md": "---\nvariables:\n  tone: {type: string}\n---\nBe {{ .tone }}.{{ template \"sub\" . }}",
		"style@1.md": "---\n---\nOld style.",
		"sub@1.md":   "---\nvariables:\n  mark: {type: string, default: \"!\"}\n---\n{{ $.mark }}",
	}
	lib, err := prompts.LoadDir(dir(files), "p")
	if err != nil {
		t.Fatal(err)
	}
	p := prompts.Must(lib.Get("main"))
	const want = "Be dry.!\n1! 2! \nOld style."
	if text, err := p.Render(map[string]any{"who": "Ann"}); err != nil || text != want {
		t.Errorf("rendered %q, %v, want %q", text, err, want)
	}
	var names []string
	for _, v := range p.Variables() {
		names = append(names, fmt.Sprint(v.Name, v.Required))
	}
	if diff := cmp.Diff([]string{"itemsfalse", "markfalse", "tonefalse", "whotrue"}, names); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
	var parts []string
	for _, part := range p.Partials() {
		parts = append(parts, part.Ref())
	}
	if diff := cmp.Diff([]string{"style@2", "sub@1", "style@1"}, parts); diff != "" {
		t.Errorf("partials (-want +got):\n%s", diff)
	}
	if _, err := prompts.Must(lib.Get("style")).Render(nil); err == nil || err.Error() != "prompt style: variable tone is missing (a string)" {
		t.Errorf("a partial alone: %v", err)
	}
	alone := prompts.Must(prompts.Load(dir(files), "p/main.md"))
	if alone.Hash() != p.Hash() {
		t.Error("loaded alone, the prompt has another hash")
	}
}

// TestPartialError has a value that is wrong where a partial uses it, which load cannot know.
func TestPartialError(t *testing.T) {
	lib := prompts.Must(prompts.LoadDir(dir(map[string]string{
		"main.md":    "---\n---\n{{ template \"part\" . }}",
		"part@2.md":  "---\nvariables:\n  l: {type: list}\n---\nx\n\n{{ range .l }}{{ .name }}{{ end }}",
		"other@1.md": "---\n---\nx",
	}), "p"))
	_, err := prompts.Must(lib.Get("main")).Render(map[string]any{"l": []map[string]any{{"nom": "x"}}})
	if err == nil || !strings.HasPrefix(err.Error(), `prompt main: p/part@2.md:7: at <.name>: map has no entry for key "name"`) {
		t.Errorf("error = %v", err)
	}
}

func TestPartialNeedsLibrary(t *testing.T) {
	_, err := prompts.Parse("a.md", []byte("---\n---\nx\n{{ template \"b\" . }}"))
	if err == nil || !strings.HasPrefix(err.Error(), "a.md:4: the partial b is in another file") {
		t.Errorf("error = %v", err)
	}
	_, err = prompts.Load(fstest.MapFS{"a.txt": {Data: []byte("---\n---\n{{ template \"b\" . }}")}, "b.md": {Data: []byte("---\n---\nx")}}, "a.txt")
	if err == nil || !strings.Contains(err.Error(), "call it NAME.md") {
		t.Errorf("error = %v", err)
	}
}

func TestHashCoversPartials(t *testing.T) {
	base := map[string]string{
		"a.md": "---\n---\n{{ template \"d\" . }}{{ template \"b\" . }}{{ template \"d\" . }}", "b.md": "---\n---\n{{ template \"c@1\" . }}",
		"c@1.md": "---\n---\nc", "d.md": "---\n---\nd", "e.md": "---\n---\ne",
	}
	hash := func(change map[string]string) string {
		files := maps.Clone(base)
		maps.Copy(files, change)
		return prompts.Must(prompts.Must(prompts.LoadDir(dir(files), "p")).Get("a")).Hash()
	}
	want := hash(nil)
	for name, change := range map[string]map[string]string{
		"a partial's partial": {"c@1.md": "---\n---\nC"}, "a partial": {"d.md": "---\n---\nD"}, "itself": {"a.md": base["a.md"] + "."},
		"partials change places": {"d.md": base["b.md"], "b.md": base["d.md"]},
	} {
		if hash(change) == want {
			t.Errorf("%s: the hash stays", name)
		}
	}
	for name, change := range map[string]map[string]string{"another prompt": {"e.md": "---\n---\nE"}, "another version": {"c@2.md": "---\n---\nC"}} {
		if hash(change) != want {
			t.Errorf("%s: the hash changes", name)
		}
	}
	sum := func(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
	b := sum(sum(base["b.md"]) + "\nc@1 " + sum(base["c@1.md"]) + "\n")
	if documented := sum(sum(base["a.md"]) + "\nb " + b + "\nd " + sum(base["d.md"]) + "\n"); documented != want {
		t.Errorf("the hash is %s, and %s as documented", want, documented)
	}
}

func TestPartialLimits(t *testing.T) {
	doubling := map[string]string{"a0.md": "---\n---\nx"}
	for i := range 30 {
		doubling[fmt.Sprintf("a%d.md", i+1)] = fmt.Sprintf("---\n---\n{{ template \"a%d\" . }}{{ template \"a%[1]d\" . }}", i)
	}
	many := map[string]string{"all.md": "---\n---\n"}
	for i := range 20 {
		many["all.md"] += fmt.Sprintf("{{ template \"v%d\" . }}", i)
		many[fmt.Sprintf("v%d.md", i)] = "---\nvariables:\n" + declare(20, i) + "---\nx"
	}
	for want, files := range map[string]map[string]string{
		"with its partials the prompt has more than 1048576 bytes":         doubling,
		"with its partials the prompt has 260 variables, the limit is 256": many,
		"p/a.md:3: 257 variables are too many for a prompt":                {"a.md": "---\nvariables:\n" + declare(257, 0) + "---\nx"},
		"p/a.md: too large for a prompt: the limit is 1048576 bytes":       {"a.md": "---\n---\n" + strings.Repeat("x", 1<<20)},
	} {
		if _, err := prompts.LoadDir(dir(files), "p"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
	large := map[string]string{}
	for i := range 65 {
		large[fmt.Sprintf("a%d.md", i)] = "---\n---\n" + strings.Repeat("x", 1<<20-8)
	}
	if _, err := prompts.LoadDir(dir(large), "p"); err == nil || !strings.Contains(err.Error(), "the files in p have more than 64 MiB") {
		t.Errorf("a large library: %v", err)
	}
}

// declare makes declarations of n variables; i makes their names others.
func declare(n, i int) string {
	var b strings.Builder
	for j := range n {
		fmt.Fprintf(&b, "  x%d_%d: {type: string}\n", i, j)
	}
	return b.String()
}
