package lint

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the module's folder, seen from this package.
var root = filepath.Join("..", "..")

// TestTree applies all rules to the module.
func TestTree(t *testing.T) {
	packages, err := Packages(root)
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) == 0 || len(files) == 0 {
		t.Fatalf("%d packages and %d files in %s: the rules would pass on anything", len(packages), len(files), root)
	}
	texts := map[string][]byte{}
	sources := map[string][]*Source{} // by folder
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = text
		if path.Ext(file) != ".go" || slices.Contains(strings.Split(file, "/"), "testdata") {
			continue
		}
		s, err := Parse(file, text)
		if err != nil {
			t.Fatal(err)
		}
		sources[path.Dir(file)] = append(sources[path.Dir(file)], s)
	}

	onPackages := map[string]func(string, []*Source) []string{"PackageDoc": PackageDoc, "Examples": Examples}
	onSources := map[string]func(*Source) []string{
		"Sleeps": Sleeps, "Prints": Prints, "Notes": Notes, "Length": Length, "Comments": Comments,
	}
	t.Run("Arrows", func(t *testing.T) {
		for _, p := range packages {
			complain(t, Arrows(p))
		}
	})
	for rule, check := range onPackages {
		t.Run(rule, func(t *testing.T) {
			for _, p := range packages {
				complain(t, check(name(p.ImportPath), sources[name(p.ImportPath)]))
			}
		})
	}
	for rule, check := range onSources {
		t.Run(rule, func(t *testing.T) {
			for _, dir := range sources {
				for _, s := range dir {
					complain(t, check(s))
				}
			}
		})
	}
	t.Run("MachinePaths", func(t *testing.T) {
		for file, text := range texts {
			complain(t, MachinePaths(file, text))
		}
	})
}

func complain(t *testing.T, found []string) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

// TestFiles checks the way that is taken where git cannot say which files there are.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	for _, file := range []string{"a.go", "b/c.md", "node_modules/x/x.js", ".agentrun/agentrun.db", "bin/agentrun"} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(dir)) // no repository above counts
	files, err := Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a.go", "b/c.md"}; !slices.Equal(files, want) {
		t.Errorf("files = %q, want %q", files, want)
	}
}
