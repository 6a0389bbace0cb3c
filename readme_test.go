package agentrun_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// block is a fenced block of a document.
type block struct {
	line       int
	kind, text string
	file       string // of the comment above it: the file that it shows
	stays      string // of the comment above it: the name of a program that runs on
}

func blocks(t *testing.T, path string) (all []block) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cur *block
	var next block
	for i, line := range strings.Split(string(b), "\n") {
		switch fence, ok := strings.CutPrefix(line, "```"); {
		case ok && cur == nil:
			next.line, next.kind = i+2, fence
			cur = &next
		case ok:
			all = append(all, *cur)
			cur, next = nil, block{}
		case cur != nil:
			cur.text += line + "\n"
		case strings.HasPrefix(line, "<!-- file: "):
			next.file = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- file: "), " -->")
		case strings.HasPrefix(line, "<!-- stays: "):
			next.stays = strings.TrimSuffix(strings.TrimPrefix(line, "<!-- stays: "), " -->")
		}
	}
	return all
}

// TestReadme runs every command of the README, in order, and compares every
// listing with what it shows: a file, or the output of the command before it. Only
// `make test` and `make deps` are left out: they are what runs this.
func TestReadme(t *testing.T) {
	t.Cleanup(func() { _ = os.Remove("night.json") })
	runDocument(t, "README.md", 8)
}

// TestServerDoc does the same with docs/server.md.
func TestServerDoc(t *testing.T) {
	t.Cleanup(func() {
		for _, name := range []string{"cert.pem", "key.pem"} {
			_ = os.Remove(name)
		}
	})
	runDocument(t, "docs/server.md", 10)
}

// runDocument runs the commands of a document, at least so many blocks of them.
func runDocument(t *testing.T, path string, least int) {
	t.Helper()
	s := newShell(t, path)
	ran, skipped := 0, false
	for _, b := range blocks(t, path) {
		switch b.kind {
		case "sh":
			if b.text == "make test\n" || b.text == "make deps\n" {
				continue
			}
			ran++
			if skipped = strings.Contains(b.text, "node ") && !s.hasNode(); skipped {
				continue
			}
			s.run(b)
		case "text":
			if !skipped {
				s.printed(b)
			}
		case "go", "js":
			got, err := os.ReadFile(filepath.FromSlash(b.file))
			if err != nil {
				t.Errorf("%s:%d: %v", path, b.line, err)
			} else if !bytes.Equal(got, []byte(b.text)) {
				t.Errorf("%s:%d: %s is another than what is shown", path, b.line, b.file)
			}
		default:
			t.Errorf("%s:%d: nothing checks a block of kind %q", path, b.line, b.kind)
		}
	}
	if ran < least {
		t.Errorf("only %d blocks of commands were found", ran)
	}
}
