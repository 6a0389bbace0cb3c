package agentrun_test

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

// namedTest is a test as documents name it: its package's directory, a dot, its name.
var namedTest = regexp.MustCompile("`([a-z0-9_/]+)\\.((?:Test|Example|Fuzz|Benchmark)\\w*)`")

// TestComparePage holds docs/compare.md to what is there: each row of its tables that
// says what something is called here ends with tests, and these exist.
func TestComparePage(t *testing.T) {
	const path = "docs/compare.md"
	checkLinks(t, path)
	named, header := 0, []string(nil)
	for i, line := range documentLines(t, path) {
		if !strings.HasPrefix(line, "|") {
			header = nil
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		switch {
		case header == nil:
			header = cells
		case len(cells) != len(header):
			t.Errorf("%s:%d: %d cells, and %d in the header", path, i+1, len(cells), len(header))
		case strings.HasPrefix(line, "|---"):
		case strings.TrimSpace(header[len(header)-1]) == "test":
			tests := namedTest.FindAllStringSubmatch(cells[len(cells)-1], -1)
			if len(tests) == 0 {
				t.Errorf("%s:%d: no test is named", path, i+1)
			}
			for _, m := range tests {
				named++
				if !testsOf(t, m[1])[m[2]] {
					t.Errorf("%s:%d: there is no %s in %s", path, i+1, m[2], m[1])
				}
			}
		}
	}
	if named < 100 {
		t.Errorf("%s names only %d tests", path, named)
	}
}

// TestReliabilityPage looks up the tests that docs/reliability.md names, by a name alone.
func TestReliabilityPage(t *testing.T) {
	const path = "docs/reliability.md"
	checkLinks(t, path)
	all := map[string]bool{}
	for _, dir := range []string{"durable", "durable/durabletest", "durable/engine", "durable/taskhub", "internal/torture", "internal/serverfaults", "agents"} {
		for name := range testsOf(t, dir) {
			all[name] = true
		}
	}
	named := regexp.MustCompile("`(Test\\w+)(…?)`")
	for i, line := range documentLines(t, path) {
	names:
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			if m[2] == "" && all[m[1]] {
				continue
			}
			for name := range all {
				if m[2] != "" && strings.HasPrefix(name, m[1]) {
					continue names
				}
			}
			t.Errorf("%s:%d: there is no test %s", path, i+1, m[1])
		}
	}
}

func documentLines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(string(b), "\n")
}

// testsOf gives the tests, examples, fuzz tests and benchmarks of a directory's package.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}

var (
	inlineLink    = regexp.MustCompile(`\]\(([^)]+)\)`)
	referenceLink = regexp.MustCompile(`\]\[([a-z0-9-]+)\]`)
	definedLink   = regexp.MustCompile(`^\[([a-z0-9-]+)\]: (\S+)$`)
	headingMarks  = regexp.MustCompile(`[^a-z0-9 -]`)
)

// checkLinks checks that the links of a document lead to files and headings that are
// there, and that its references are defined once and used. Others' pages are not asked.
func checkLinks(t *testing.T, path string) {
	t.Helper()
	lines := documentLines(t, path)
	defined, used, headings := map[string]string{}, map[string]bool{}, map[string]bool{}
	for i, line := range lines {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			headings[strings.ReplaceAll(headingMarks.ReplaceAllString(strings.ToLower(title), ""), " ", "-")] = true
		}
		if m := definedLink.FindStringSubmatch(line); m != nil {
			if defined[m[1]] != "" {
				t.Errorf("%s:%d: %s is defined twice", path, i+1, m[1])
			}
			defined[m[1]] = m[2]
		}
	}
	for i, line := range lines {
		for _, m := range referenceLink.FindAllStringSubmatch(line, -1) {
			if used[m[1]] = true; defined[m[1]] == "" {
				t.Errorf("%s:%d: [%s] is not defined", path, i+1, m[1])
			}
		}
		for _, m := range inlineLink.FindAllStringSubmatch(line, -1) {
			file, heading, _ := strings.Cut(m[1], "#")
			switch {
			case strings.HasPrefix(m[1], "https://"):
			case file == "" && !headings[heading]:
				t.Errorf("%s:%d: there is no heading %s", path, i+1, heading)
			case file != "":
				if _, err := os.Stat(filepath.Join(filepath.Dir(path), filepath.FromSlash(file))); err != nil {
					t.Errorf("%s:%d: %v", path, i+1, err)
				}
			}
		}
	}
	for name := range defined {
		if !used[name] {
			t.Errorf("%s: nothing refers to [%s]", path, name)
		}
	}
}
