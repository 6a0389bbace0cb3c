package filetool

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

// fixture is a set over a folder with files, and its tools.
type fixture struct {
	t     *testing.T
	root  string
	tools map[string]tools.Tool
}

func open(t *testing.T, c Config, files map[string]string) *fixture {
	t.Helper()
	if c.Root == "" {
		c.Root = t.TempDir()
	}
	for name, content := range files {
		at := filepath.Join(c.Root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open("files", c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	list, err := s.Tools(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	byName, err := tools.Index(list)
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, c.Root, byName}
}

type args = map[string]any

func (f *fixture) call(tool string, in args) (tools.Result, error) {
	f.t.Helper()
	encoded, err := json.Marshal(in)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.tools[tool].Call(f.t.Context(), tools.Call{Arguments: string(encoded)})
}

// ok makes a call that must succeed.
func (f *fixture) ok(tool string, in args) string {
	f.t.Helper()
	got, err := f.call(tool, in)
	if err != nil {
		f.t.Errorf("%s %v: %v", tool, in, err)
	}
	return got.Content
}

// fails makes a call that must fail, with want in its error and nothing of where the root is.
func (f *fixture) fails(tool string, in args, want string) {
	f.t.Helper()
	got, err := f.call(tool, in)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), f.root) {
		f.t.Errorf("%s %v = %q, %v, want an error with %q", tool, in, got.Content, err, want)
	}
}

// content is that of a file, or what is wrong.
func (f *fixture) content(name string) string {
	b, err := os.ReadFile(filepath.Join(f.root, name))
	if err != nil {
		return "error"
	}
	return string(b)
}

func TestTools(t *testing.T) {
	f := open(t, Config{}, nil)
	for name, want := range map[string]tools.Effect{
		"list_files": tools.EffectPure, "read_file": tools.EffectPure, "search_files": tools.EffectPure,
		"write_file": tools.EffectUnsafe, "edit_file": tools.EffectUnsafe, "move_file": tools.EffectUnsafe, "delete_file": tools.EffectUnsafe,
	} {
		tool := f.tools[name]
		if tool.Effect() != want || tool.Name() == "" || tool.HasReconcile() != (want == tools.EffectUnsafe) {
			t.Errorf("%q is %s, reconcile %v", name, tool.Effect(), tool.HasReconcile())
		}
	}
	if only := open(t, Config{ReadOnly: true}, nil); len(only.tools) != 3 || len(f.tools) != 7 {
		t.Errorf("%d tools, read-only %d", len(f.tools), len(only.tools))
	}
	for _, c := range []Config{{Root: filepath.Join(f.root, "none")}, {Root: f.root, Allow: []string{"["}}, {Root: f.root, Allow: []string{"/x"}}, {Root: f.root, MaxFile: -1}} {
		if _, err := Open("files", c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}

// TestBadPaths tries each path with each tool.
func TestBadPaths(t *testing.T) {
	f := open(t, Config{}, map[string]string{"a.txt": "a"})
	outside := filepath.Join(filepath.Dir(f.root), "outside.txt")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../outside.txt", outside, "/etc/hostname", "x/../../outside.txt", "./../outside.txt", "a\x00b", "a\nb", strings.Repeat("x/", 3000), strings.Repeat("d/", 150) + "f", "..", "."} {
		want := "not a path that may be used"
		if path == "." {
			want = "is the root"
		} else {
			f.fails("list_files", args{"path": path}, want)
			f.fails("search_files", args{"path": path, "pattern": "a"}, want)
		}
		f.fails("read_file", args{"path": path}, want)
		f.fails("write_file", args{"path": path, "content": "x"}, want)
		f.fails("edit_file", args{"path": path, "old": "secret", "new": "x"}, want)
		f.fails("move_file", args{"from": path, "to": "b"}, want)
		f.fails("move_file", args{"from": "a.txt", "to": path}, want)
		f.fails("delete_file", args{"path": path}, want)
	}
	if b, _ := os.ReadFile(outside); string(b) != "secret" || f.content("a.txt") != "a" {
		t.Errorf("outside: %q, inside: %q", b, f.content("a.txt"))
	}
}

// TestLinks has links out of the root, within it, to folders and to files, and tries each with each tool.
func TestLinks(t *testing.T) {
	outside := t.TempDir()
	f := open(t, Config{}, map[string]string{"real/f": "inside", "a.txt": "a"})
	links := map[string]string{"out": outside, "up": "..", "within": "real", "file": "real/f", "abs": filepath.Join(f.root, "a.txt"), "dead": "none", "loop": "loop"}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(f.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name := range links {
		for _, path := range []string{name, name + "/f"} {
			f.fails("read_file", args{"path": path}, "link")
			f.fails("write_file", args{"path": path, "content": "x"}, "link")
			f.fails("edit_file", args{"path": path, "old": "s", "new": "x"}, "link")
			f.fails("move_file", args{"from": path, "to": "b"}, "link")
			f.fails("delete_file", args{"path": path}, "link")
		}
		f.fails("list_files", args{"path": name}, "link")
		f.fails("search_files", args{"path": name, "pattern": "s"}, "link")
		f.fails("move_file", args{"from": "a.txt", "to": name + "/g"}, "link")
		f.fails("move_file", args{"from": "a.txt", "to": name}, "there is something already")
	}
	if got := f.ok("search_files", args{"pattern": "secret|inside"}); got != "real/f:1: inside" {
		t.Errorf("search follows links: %s", got)
	}
	want := "a.txt (1 bytes)\nabs (a link, not followed)\ndead (a link, not followed)\nfile (a link, not followed)\nloop (a link, not followed)\nout (a link, not followed)\nreal/\nreal/f (6 bytes)\nup (a link, not followed)\nwithin (a link, not followed)"
	if diff := cmp.Diff(want, f.ok("list_files", args{"recursive": true})); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if b, _ := os.ReadFile(filepath.Join(outside, "f")); string(b) != "secret" || f.content("real/f") != "inside" {
		t.Errorf("outside: %q, inside %q", b, f.content("real/f"))
	}
}

func TestAllow(t *testing.T) {
	f := open(t, Config{Allow: []string{"docs/**", "*.go"}}, map[string]string{
		"docs/a.md": "x", "docs/deep/b.md": "x", "main.go": "x", "sub/x.go": "x", "secret.txt": "x", "DOCS2/a.md": "x"})
	if diff := cmp.Diff("docs/\ndocs/a.md (1 bytes)\ndocs/deep/\ndocs/deep/b.md (1 bytes)\nmain.go (1 bytes)", f.ok("list_files", args{"recursive": true})); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("docs/a.md:1: x\ndocs/deep/b.md:1: x\nmain.go:1: x", f.ok("search_files", args{"pattern": "x"})); diff != "" {
		t.Errorf("search (-want +got):\n%s", diff)
	}
	for _, path := range []string{"sub/x.go", "secret.txt", "DOCS2/a.md", "Docs/a.md", "MAIN.GO"} {
		f.fails("read_file", args{"path": path}, "not one of the files that may be used")
		f.fails("write_file", args{"path": path, "content": "y"}, "not one of the files")
		f.fails("move_file", args{"from": "main.go", "to": path}, "not one of the files")
		f.fails("move_file", args{"from": path, "to": "docs/x"}, "not one of the files")
		f.fails("delete_file", args{"path": path}, "not one of the files")
	}
	f.fails("list_files", args{"path": "sub"}, "none of the files that may be used")
	f.fails("search_files", args{"path": "sub", "pattern": "x"}, "none of the files that may be used")
	f.ok("write_file", args{"path": "docs/new/c.md", "content": "y"})
	if f.content("docs/new/c.md") != "y" {
		t.Error("a file that is allowed was not written")
	}
}

func TestPattern(t *testing.T) {
	for _, test := range []struct {
		pattern, name string
		match, below  bool
	}{
		{"*.go", "a.go", true, false}, {"*.go", "a/b.go", false, false}, {"*.go", ".", false, true},
		{"**", "a/b", true, true}, {"**/*.go", "a.go", true, true}, {"**/*.go", "a/b/c.go", true, true}, {"**/*.go", "a/b", false, true},
		{"a/**/b", "a/b", true, true}, {"a/**/b", "a/x/y/b", true, true}, {"a/**/b", "b", false, false}, {"a/**/b", "a", false, true},
		{"a/?", "a/b", true, false}, {"a/?", "a/bc", false, false}, {"[ab]/c", "b", false, true}, {"a/**", "a", true, true}, {"a/**", "ab", false, false},
	} {
		p, err := parsePattern(test.pattern)
		if err != nil || p.match(test.name, false) != test.match || p.match(test.name, true) != test.below {
			t.Errorf("%s on %s: %v, below %v, %v", test.pattern, test.name, p.match(test.name, false), p.match(test.name, true), err)
		}
	}
	for _, bad := range []string{"", "/a", "a//b", "../a", "./a", "[", "a/"} {
		if _, err := parsePattern(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	many, err := parsePattern(strings.Repeat("**/a/", 100) + "b") // takes for ever if it is tried in all ways
	if err != nil || many.match(strings.Repeat("a/", 150)+"c", false) {
		t.Error(err)
	}
}

// FuzzPattern compares with trying all ways, on short inputs.
func FuzzPattern(f *testing.F) {
	f.Add("a/**/b", "a/x/b")
	f.Add("**/**", "a")
	f.Fuzz(func(t *testing.T, text, name string) {
		p, err := parsePattern(text)
		if err != nil || len(p) > 6 || strings.Count(name, "/") > 6 || name == "." {
			return
		}
		if got, want := p.match(name, false), slow(p, strings.Split(name, "/")); got != want {
			t.Errorf("%q on %q = %v, want %v", text, name, got, want)
		}
	})
}

func slow(p pattern, names []string) bool {
	switch {
	case len(p) == 0:
		return len(names) == 0
	case p[0] == "**":
		return slow(p[1:], names) || len(names) > 0 && slow(p, names[1:])
	case len(names) == 0:
		return false
	}
	return pattern{p[0]}.match(names[0], false) && slow(p[1:], names[1:])
}

func TestFolders(t *testing.T) {
	files := map[string]string{".git/config": "x", "a\nb": "x"}
	for i := range maxEntries + 5 {
		files[fmt.Sprintf("many/%04d", i)] = "x"
	}
	f := open(t, Config{}, files)
	if diff := cmp.Diff(".git/\n\"a\\nb\" (1 bytes)\nmany/", f.ok("list_files", args{})); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	if got := strings.Split(f.ok("list_files", args{"path": "many"}), "\n"); len(got) != maxEntries+1 || got[0] != "many/0000 (1 bytes)" || !strings.HasPrefix(got[maxEntries], "[there is more: these are the first 1000.") {
		t.Errorf("%d lines, the last %s", len(got), got[len(got)-1])
	}
	if got := f.ok("list_files", args{"recursive": true, "glob": "many/*7"}); strings.Count(got, "\n") != 99 || strings.Contains(got, "many/\n") {
		t.Errorf("with a glob: %s", got)
	}
	if got := f.ok("list_files", args{"path": ".git"}); got != ".git/config (1 bytes)" {
		t.Errorf("a folder that is named: %s", got)
	}
	if got := f.ok("search_files", args{"path": ".git", "pattern": "x"}); got != ".git/config:1: x" {
		t.Errorf("a folder that is named: %s", got)
	}
	if got := f.ok("list_files", args{"glob": "none"}); got != "(no files)" {
		t.Errorf("nothing: %s", got)
	}
	f.fails("list_files", args{"path": "none"}, "none: no such file")
	f.fails("list_files", args{"path": "many/0001"}, "not a folder")
	f.fails("list_files", args{"glob": "["}, "syntax error in pattern")
}
