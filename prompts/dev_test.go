package prompts_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/google/go-cmp/cmp"
)

// counting counts how often files are opened, and may do something when one is.
type counting struct {
	fstest.MapFS
	reads  int
	onOpen func(name string)
}

func (c *counting) Open(name string) (fs.File, error) {
	f, err := c.MapFS.Open(name)
	if strings.HasSuffix(name, ".md") && err == nil {
		c.reads++
		if c.onOpen != nil {
			c.onOpen(name)
		}
	}
	return f, err
}

// Stat does not count as reading.
func (c *counting) Stat(name string) (fs.FileInfo, error) { return c.MapFS.Stat(name) }

var longAgo = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (c *counting) write(name, text string, at time.Time) {
	c.MapFS[name] = &fstest.MapFile{Data: []byte(text), ModTime: at}
}

// text is what a prompt of the library says now.
func text(t *testing.T, lib *prompts.Library, ref string) string {
	t.Helper()
	p, err := lib.Get(ref)
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Render(nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDev(t *testing.T) {
	files := &counting{MapFS: fstest.MapFS{}}
	files.write("p/a.md", "---\n---\none {{ template \"b\" . }}", longAgo)
	files.write("p/b.md", "---\n---\nb", longAgo)
	var reported []string
	lib, err := prompts.LoadDev(files, "p", func(err error) { reported = append(reported, err.Error()) })
	if err != nil {
		t.Fatal(err)
	}
	first := prompts.Must(lib.Get("a"))
	if files.reads != 2 {
		t.Errorf("%d files were read, want 2: nothing has changed", files.reads)
	}

	files.write("p/b.md", "---\n---\nB", longAgo.Add(1))
	if got := text(t, lib, "a"); got != "one B" {
		t.Errorf("after an edit: %q", got)
	}
	if s, err := first.Render(nil); err != nil || s != "one b" {
		t.Errorf("what was given before is now %q, %v", s, err)
	}

	files.write("p/b.md", "---\n---\n{{ .x }}", longAgo.Add(2))
	files.write("p/c.md", "---\n---\nc", longAgo)
	for range 3 {
		if got := text(t, lib, "a"); got != "one B" {
			t.Errorf("after a broken edit: %q", got)
		}
	}
	if _, err := lib.Get("c"); err == nil || !strings.HasPrefix(err.Error(), `unknown prompt "c": there are a, b (what was changed since cannot be loaded: p/b.md:3: variable x`) {
		t.Errorf("a new prompt beside a broken one: %v", err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, lib.Names()); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}

	files.write("p/b.md", "---\n---\nnew", longAgo.Add(3))
	if got := text(t, lib, "c") + text(t, lib, "a"); got != "cone new" {
		t.Errorf("after the repair: %q", got)
	}
	delete(files.MapFS, "p/c.md")
	if len(lib.All()) != 2 {
		t.Errorf("a prompt whose file is gone stays: %v", lib.Names())
	}
	delete(files.MapFS, "p/b.md")
	if got := text(t, lib, "a"); got != "one new" {
		t.Errorf("without the partial: %q", got)
	}
	delete(files.MapFS, "p/a.md")
	if got := text(t, lib, "a"); got != "one new" {
		t.Errorf("without the directory: %q", got)
	}
	want := []string{"p/b.md:3: variable x is used but not declared: add it to variables in the front matter",
		`p/a.md:3: no such partial: unknown prompt "b": there are a`, "load prompts: open p: file does not exist"}
	if diff := cmp.Diff(want, reported); diff != "" {
		t.Errorf("reported (-want +got):\n%s", diff)
	}
}

// TestDevSameTime edits a file so that its size and time stay, as happens within the time's granularity.
func TestDevSameTime(t *testing.T) {
	for name, at := range map[string]time.Time{"no time": {}, "just now": time.Now(), "to come": time.Now().Add(time.Hour)} {
		files := &counting{MapFS: fstest.MapFS{}}
		files.write("p/a.md", "---\n---\none", at)
		lib := prompts.Must(prompts.LoadDev(files, "p", nil))
		files.write("p/a.md", "---\n---\ntwo", at)
		if got := text(t, lib, "a"); got != "two" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestDevHalfWritten changes a file while the library is read.
func TestDevHalfWritten(t *testing.T) {
	files := &counting{MapFS: fstest.MapFS{}}
	files.write("p/a.md", "---\n---\na {{ template \"b\" . }}", longAgo)
	files.write("p/b.md", "---\n---\none", longAgo)
	lib := prompts.Must(prompts.LoadDev(files, "p", func(err error) { t.Errorf("reported: %v", err) }))
	files.write("p/b.md", "---\n---\nha", longAgo.Add(1))
	files.onOpen = func(name string) {
		if name == "p/b.md" {
			files.write("p/b.md", "---\n---\nhalf is more", longAgo.Add(2))
		}
	}
	if got := text(t, lib, "a"); got != "a one" {
		t.Errorf("while it is written: %q", got)
	}
	files.onOpen = nil
	if got := text(t, lib, "a"); got != "a half is more" {
		t.Errorf("afterwards: %q", got)
	}

	files.onOpen = func(string) { files.write("p/b.md", "---\n---\nx", time.Now()) }
	if _, err := prompts.LoadDev(files, "p", nil); err == nil || !strings.Contains(err.Error(), "change while they are read") {
		t.Errorf("at the beginning: %v", err)
	}
}

// TestDevOnDisk edits real files while many ask.
func TestDevOnDisk(t *testing.T) {
	root := t.TempDir()
	write := func(text string) {
		temp := filepath.Join(root, "new")
		if err := os.WriteFile(temp, []byte("---\n---\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(temp, filepath.Join(root, "a.md")); err != nil {
			t.Fatal(err)
		}
	}
	write("0")
	lib := prompts.Must(prompts.LoadDev(os.DirFS(root), ".", func(err error) { t.Errorf("reported: %v", err) }))
	stop := make(chan struct{})
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for last := ""; ; {
				p, err := lib.Get("a")
				if err != nil {
					t.Error(err)
					return
				}
				s, err := p.Render(nil)
				if err != nil || s < last {
					t.Errorf("%q after %q, %v", s, last, err)
					return
				}
				last = s
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for _, s := range []string{"1", "2", "3"} {
		write(s)
		if got := text(t, lib, "a"); got != s {
			t.Errorf("right after the edit: %q, want %q", got, s)
		}
	}
	close(stop)
	group.Wait()
	if _, err := prompts.LoadDev(os.DirFS(root), "none", nil); err == nil {
		t.Error("a directory that is not there is loaded")
	}
}
