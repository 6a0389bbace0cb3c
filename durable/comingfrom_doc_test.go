package durable_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const comingFrom = "../docs/coming-from.md"

// regions gives the code between "// doc: NAME" and "// end" in the tests of the
// document, without its common indentation.
func regions(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("comingfrom*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name, indent, code := "", "", ""
		for line := range strings.Lines(string(src)) {
			trimmed := strings.TrimSpace(line)
			switch begins, ok := strings.CutPrefix(trimmed, "// doc: "); {
			case ok:
				name, code = begins, ""
				indent, _, _ = strings.Cut(line, "//")
			case trimmed == "// end":
				all[name], name = code, ""
			case name != "":
				code += strings.TrimPrefix(line, indent)
			}
		}
		if name != "" {
			t.Errorf("%s: region %s has no end", file, name)
		}
	}
	return all
}

// TestComingFrom compares each block of code in docs/coming-from.md with the tested
// code of the same name, and looks up every name of ours in its tables.
func TestComingFrom(t *testing.T) {
	doc, err := os.ReadFile(comingFrom)
	if err != nil {
		t.Fatal(err)
	}
	code, ours := regions(t), exported(t)
	name, block, inside, tables := "", "", false, 0
	header := ""
	for i, line := range strings.Split(string(doc), "\n") {
		at := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s:%d: "+format, append([]any{comingFrom, i + 1}, args...)...)
		}
		if n, ok := strings.CutPrefix(line, "<!-- code: "); ok {
			name = strings.TrimSuffix(n, " -->")
			continue
		}
		if strings.HasPrefix(line, "```") {
			if inside {
				if want, ok := code[name]; !ok {
					at("no tested code is named %q", name)
				} else if block != want {
					at("%s is another than what is tested:\n%s\nis, in the test,\n%s", name, block, want)
				}
				delete(code, name)
				name, block = "", ""
			} else if line != "```go" {
				at("nothing checks a block of kind %q", line)
			}
			inside = !inside
			continue
		}
		switch {
		case inside:
			block += line + "\n"
		case !strings.HasPrefix(line, "|"):
			header = ""
		case header == "":
			header = line
			tables++
		case !strings.HasPrefix(line, "|---"):
			cells := strings.Split(strings.Trim(line, "|"), "|")
			if want := strings.Count(header, "|"); strings.Count(line, "|") != want {
				at("%d bars in the row, %d in the header", strings.Count(line, "|"), want)
			}
			for _, span := range spans.FindAllString(cells[len(cells)-1], -1) {
				for _, id := range identifiers.FindAllString(span, -1) {
					if !ours[id] {
						at("nothing exported by durable is named %s", id)
					}
				}
			}
		}
	}
	for name := range code {
		t.Errorf("%s does not show %s", comingFrom, name)
	}
	if tables < 15 {
		t.Errorf("%s has only %d tables", comingFrom, tables)
	}
}

var (
	spans       = regexp.MustCompile("`[^`]*`")
	identifiers = regexp.MustCompile(`\b[A-Z]\w*`)
)

// exported gives the exported names of durable and of the packages whose names are
// seen through it: functions, types, methods, fields, constants and variables.
func exported(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, dir := range []string{".", "durabletest", "engine", "history", "store", "store/codec"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				ast.Inspect(d, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.FuncDecl:
						names[n.Name.Name] = true
						return false
					case *ast.TypeSpec:
						names[n.Name.Name] = true
					case *ast.ValueSpec:
						for _, id := range n.Names {
							names[id.Name] = true
						}
					case *ast.Field:
						for _, id := range n.Names {
							names[id.Name] = true
						}
					}
					return true
				})
			}
		}
	}
	return names
}
