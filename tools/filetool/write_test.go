package filetool

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/tools"
)

func TestWrite(t *testing.T) {
	f := open(t, Config{MaxFile: 1000}, map[string]string{"a.txt": "old", "run.sh": "old", "dir/x": "x"})
	if err := os.Chmod(filepath.Join(f.root, "run.sh"), 0o777); err != nil {
		t.Fatal(err)
	}
	if got := f.ok("write_file", args{"path": "a.txt", "content": "néw"}); got != "a.txt now has 4 bytes" || f.content("a.txt") != "néw" {
		t.Errorf("%q, the file has %q", got, f.content("a.txt"))
	}
	f.ok("write_file", args{"path": "new/deep/b.txt", "content": ""})
	if f.content("new/deep/b.txt") != "" {
		t.Error("a new file was not made")
	}
	f.ok("write_file", args{"path": "run.sh", "content": "new"})
	if info, err := os.Stat(filepath.Join(f.root, "run.sh")); err != nil || info.Mode().Perm() != 0o777 {
		t.Errorf("mode %v, %v: it was another", info.Mode(), err)
	}
	f.fails("write_file", args{"path": "dir", "content": "x"}, "dir: it is not a regular file: it is a folder")
	f.fails("write_file", args{"path": "a.txt/b", "content": "x"}, "a.txt: it is not a folder")
	f.fails("write_file", args{"path": "big", "content": strings.Repeat("x", 1001)}, "too large")
	if left, _ := filepath.Glob(filepath.Join(f.root, ".agentrun-*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestEdit(t *testing.T) {
	for _, test := range []struct {
		name, content, old, new string
		all                     bool
		want                    string // the content after, or "!" and what the error has
	}{
		{"one", "a b c", "b", "x", false, "a x c"},
		{"first lines", "a\nb\nc", "a\nb", "x", false, "x\nc"},
		{"removed", "a b", " b", "", false, "a"},
		{"all", "b a b", "b", "bb", true, "bb a bb"},
		{"no UTF-8 around it", "\xff b \xfe", "b", "€", false, "\xff € \xfe"},
		{"twice", "b b", "b", "x", false, "!2 times"},
		{"overlapping itself", "aaa", "aa", "b", false, "!2 times"},
		{"overlapping itself, all", "aaa", "aa", "b", true, "ba"},
		{"absent", "abc", "B", "x", false, "!does not have the old piece"},
		{"other line ends", "a\r\nb", "a\nb", "x", false, `!lines end in \r\n`},
		{"same", "a", "a", "a", false, "!are the same"},
		{"empty", "a", "", "x", false, "!/old"},
		{"grows without end", strings.Repeat("a", 900), "a", strings.Repeat("b", 100), true, "!too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := open(t, Config{MaxFile: 1000}, map[string]string{"f": test.content})
			in := args{"path": "f", "old": test.old, "new": test.new, "all": test.all}
			if why, bad := strings.CutPrefix(test.want, "!"); bad {
				f.fails("edit_file", in, why)
				test.want = test.content
			} else {
				f.ok("edit_file", in)
			}
			if got := f.content("f"); got != test.want {
				t.Errorf("the file has %q, want %q", got, test.want)
			}
		})
	}
	open(t, Config{}, nil).fails("edit_file", args{"path": "none", "old": "a", "new": "b"}, "none: no such file")
}

func TestMoveAndDelete(t *testing.T) {
	f := open(t, Config{}, map[string]string{"a": "A", "b": "B", "dir/c": "C", "full/d": "D"})
	if got := f.ok("move_file", args{"from": "a", "to": "new/a2"}); got != "a is now new/a2" || f.content("new/a2") != "A" || f.content("a") != "error" {
		t.Errorf("%q, %q", got, f.content("new/a2"))
	}
	f.ok("move_file", args{"from": "b", "to": "b2"})
	f.fails("move_file", args{"from": "b2", "to": "dir/c"}, "there is something already")
	f.fails("move_file", args{"from": "b2", "to": "dir"}, "there is something already")
	f.fails("move_file", args{"from": "b2", "to": "b2"}, "there is something already")
	f.fails("move_file", args{"from": "none", "to": "x"}, "none: no such file")
	f.fails("move_file", args{"from": "dir", "to": "x"}, "it is a folder")
	if f.content("b2") != "B" || f.content("dir/c") != "C" {
		t.Error("a move that was refused did something")
	}
	f.ok("delete_file", args{"path": "dir/c"})
	f.ok("delete_file", args{"path": "dir"})
	f.fails("delete_file", args{"path": "dir"}, "dir: no such file")
	f.fails("delete_file", args{"path": "full"}, "full: directory not empty")
	if f.content("full/d") != "D" {
		t.Error("a folder was deleted with what was in it")
	}
}

// TestReconcile asks after calls that were made, and that were not.
func TestReconcile(t *testing.T) {
	for _, test := range []struct {
		tool string
		in   args
	}{
		{"write_file", args{"path": "f", "content": "new"}},
		{"write_file", args{"path": "x/new", "content": ""}},
		{"edit_file", args{"path": "f", "old": "old", "new": "older than old"}},
		{"edit_file", args{"path": "f", "old": "old", "new": ""}},
		{"move_file", args{"from": "f", "to": "x/g"}},
		{"delete_file", args{"path": "f"}},
	} {
		f := open(t, Config{}, map[string]string{"f": "the old text"})
		encoded, err := json.Marshal(test.in)
		if err != nil {
			t.Fatal(err)
		}
		ask := func() (tools.Outcome, error) {
			return f.tools[test.tool].Reconcile(t.Context(), tools.Call{Key: "k", Arguments: string(encoded)})
		}
		if got, err := ask(); err == nil || !strings.Contains(err.Error(), "to decide whether it happened") {
			t.Errorf("%s %v before: %v, %v, want that nobody can tell", test.tool, test.in, got, err)
		}
		if f.content("f") != "the old text" {
			t.Errorf("to ask after %s changed the file to %q", test.tool, f.content("f"))
		}
		f.ok(test.tool, test.in)
		if got, err := ask(); err != nil || !got.Happened || got.Result.Content == "" {
			t.Errorf("%s %v after: %v, %v", test.tool, test.in, got, err)
		}
	}
}

// TestConcurrentEdits loses none.
func TestConcurrentEdits(t *testing.T) {
	var content strings.Builder
	for i := range 20 {
		fmt.Fprintf(&content, "<%d>", i)
	}
	f := open(t, Config{}, map[string]string{"f": content.String()})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			f.ok("edit_file", args{"path": "f", "old": fmt.Sprintf("<%d>", i), "new": fmt.Sprintf("[%d]", i)})
		})
	}
	wg.Wait()
	if got := f.content("f"); strings.Contains(got, "<") {
		t.Errorf("an edit is lost: %s", got)
	}
}

// TestChangedUnderWay has somebody else write between the look and the replacement.
func TestChangedUnderWay(t *testing.T) {
	root := t.TempDir()
	s, err := Open("files", Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	theirs := func(name, content string) {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	theirs("f", "old")
	f, err := s.file("f", false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	_, old, err := f.read(100)
	if err != nil {
		t.Fatal(err)
	}
	theirs("f", "theirs")
	if err := s.replace(t.Context(), f, old, []byte("mine")); err == nil || !strings.Contains(err.Error(), "somebody else has changed it") {
		t.Errorf("changed: %v", err)
	}
	if err := s.replace(t.Context(), f, nil, []byte("mine")); err == nil {
		t.Error("a file that has come is overwritten")
	}
	_, old, _ = f.read(100)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.replace(ended, f, old, []byte("mine")); err == nil {
		t.Error("written after the call was over")
	}
	if b, _ := os.ReadFile(filepath.Join(root, "f")); string(b) != "theirs" {
		t.Errorf("the file has %q", b)
	}
	if left, _ := filepath.Glob(filepath.Join(root, ".agentrun-*")); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}
