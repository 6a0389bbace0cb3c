package filetool

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/tools"
)

func TestRead(t *testing.T) {
	lines := ""
	for i := range 100 {
		lines += fmt.Sprintf("line %d\n", i+1)
	}
	f := open(t, Config{MaxFile: 1 << 20}, map[string]string{
		"a.txt": "hello\n", "empty": "", "latin": "caf\xe9\n", "bin": "a\x00b", "lines": lines, "long": strings.Repeat("é", 1000), "big": strings.Repeat("x", 1<<20+1),
		"pic.txt": "\x89PNG\r\n\x1a\nrest"})
	for _, test := range []struct {
		in   args
		want string
	}{
		{args{"path": "a.txt"}, "hello\n"},
		{args{"path": "./a.txt"}, "hello\n"},
		{args{"path": "empty"}, "(the file is empty)"},
		{args{"path": "latin"}, "caf\uFFFD\n"},
		{args{"path": "lines", "limit": 20}, "line 1\nline 2\n[lines 1 to 2 of 100, bytes 0 to 14 of 792: read on with offset 14]"},
		{args{"path": "lines", "limit": 20, "offset": 14}, "line 3\nline 4\n[lines 3 to 4 of 100, bytes 14 to 28 of 792: read on with offset 28]"},
		{args{"path": "lines", "line": 99}, "line 99\nline 100\n[lines 99 to 100 of 100, bytes 775 to 792 of 792: this is the end]"},
		{args{"path": "long", "limit": 5}, "éé\n[lines 1 to 1 of 1, bytes 0 to 4 of 2000: read on with offset 4]"},
		{args{"path": "long", "offset": 1998}, "é\n[lines 1 to 1 of 1, bytes 1998 to 2000 of 2000: this is the end]"},
	} {
		if got := f.ok("read_file", test.in); got != test.want {
			t.Errorf("%v = %q, want %q", test.in, got, test.want)
		}
	}
	f.fails("read_file", args{"path": "bin"}, "bin: it is a binary file of 3 bytes")
	f.fails("read_file", args{"path": "big"}, "big: it is too large")
	f.fails("read_file", args{"path": "none"}, "none: no such file")
	f.fails("read_file", args{"path": "a.txt/x"}, "not a folder")
	f.fails("read_file", args{"path": "lines", "line": 101}, "it has only 100 lines")
	f.fails("read_file", args{"path": "lines", "line": 2, "offset": 3}, "not both")
	f.fails("read_file", args{"path": "a.txt", "offset": 7}, "a.txt: offset 7 is outside")
	got, err := f.call("read_file", args{"path": "pic.txt"})
	if err != nil || len(got.Images) != 1 || got.Images[0].MediaType != "image/png" || got.Content != "pic.txt (image/png, 12 bytes)" {
		t.Errorf("an image = %+v, %v", got, err)
	}
	huge := filepath.Join(f.root, "sparse")
	if err := os.WriteFile(huge, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(huge, 1<<40); err != nil {
		t.Fatal(err)
	}
	f.fails("read_file", args{"path": "sparse"}, "too large")
	f.fails("edit_file", args{"path": "sparse", "old": "a", "new": "b"}, "too large")
	if got := f.ok("search_files", args{"pattern": "hello"}); !strings.HasPrefix(got, "a.txt:1: hello\n[3 files were not searched") {
		t.Errorf("search = %q", got)
	}
}

func TestSearch(t *testing.T) {
	f := open(t, Config{}, map[string]string{
		"a/x.go": "package a\r\nfunc Ab() {}\n", "b.txt": "func ab\nnothing\nfunc", "long": strings.Repeat("é", 5000) + "needle" + strings.Repeat("é", 5000),
		"many": strings.Repeat("hit\n", 1000)})
	for _, test := range []struct {
		in   args
		want string
	}{
		{args{"pattern": "func .b"}, "a/x.go:2: func Ab() {}\nb.txt:1: func ab"},
		{args{"pattern": "AB", "ignore_case": true}, "a/x.go:2: func Ab() {}\nb.txt:1: func ab"},
		{args{"pattern": "a$"}, "a/x.go:1: package a"},
		{args{"pattern": "func", "glob": "**/*.go"}, "a/x.go:2: func Ab() {}"},
		{args{"pattern": "func", "path": "a"}, "a/x.go:2: func Ab() {}"},
		{args{"pattern": "absent"}, "(no matches)"},
	} {
		if got := f.ok("search_files", test.in); got != test.want {
			t.Errorf("%v = %q, want %q", test.in, got, test.want)
		}
	}
	if got := f.ok("search_files", args{"pattern": "needle"}); !strings.Contains(got, "needle") || len(got) > 400 || !utf8.ValidString(got) {
		t.Errorf("a long line: %q", got)
	}
	if got := strings.Split(f.ok("search_files", args{"pattern": "hit"}), "\n"); len(got) != maxMatches+1 || !strings.HasPrefix(got[maxMatches], "[not all was searched") {
		t.Errorf("%d lines, the last %s", len(got), got[len(got)-1])
	}
	f.fails("search_files", args{"pattern": "("}, "no regular expression")
	f.fails("search_files", args{"pattern": "((a{1000}){1000}){1000}"}, "no regular expression")
	f.fails("search_files", args{"pattern": strings.Repeat("a", 2000)}, "longer than")
	f.fails("search_files", args{"pattern": "x", "glob": strings.Repeat("a/", 1000) + "a"}, "longer than")
	f.fails("list_files", args{"glob": strings.Repeat("a/", 1000) + "a"}, "longer than")
	// What makes others try for ever is linear here.
	if got := f.ok("search_files", args{"pattern": "(é*)*(é*)*X$", "glob": "long"}); got != "(no matches)" {
		t.Errorf("%q", got)
	}
}

// FuzzRead reads a file page by page, which must give all of it.
func FuzzRead(f *testing.F) {
	f.Add("a\nbb\nccc", 3)
	f.Add("€€€\n€", 4)
	f.Add("\n\xac000", 4)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit = max(1, limit&0xff)
		var all strings.Builder
		for offset := 0; ; {
			shown, err := page(text, offset, limit)
			if err != nil {
				t.Fatal(err)
			}
			p, err := tools.PageOf(text, offset, limit)
			if err != nil {
				t.Fatal(err)
			}
			if end := strings.LastIndexByte(p.Text, '\n') + 1; p.More() && end > 0 {
				p.Next = offset + end
			}
			if p.More() && !strings.HasSuffix(shown, fmt.Sprintf("read on with offset %d]", p.Next)) {
				t.Fatalf("page at %d of %q: %q does not lead to %d", offset, text, shown, p.Next)
			}
			if !strings.HasPrefix(shown, strings.TrimSuffix(text[offset:p.Next], "\n")) {
				t.Fatalf("page at %d of %q: %q", offset, text, shown)
			}
			all.WriteString(text[offset:p.Next])
			if p.Next <= offset {
				break
			}
			offset = p.Next
		}
		if all.String() != text {
			t.Fatalf("the pages of %q are %q", text, all.String())
		}
	})
}
