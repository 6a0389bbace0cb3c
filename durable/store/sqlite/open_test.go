package sqlite

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/store"
)

func TestOpenCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "hub.db")
	s := open(t, path)
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("no permission bits")
	}
	for name, want := range map[string]os.FileMode{
		path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + lockSuffix: 0o600, path + holderSuffix: 0o600,
		filepath.Dir(path): 0o700, filepath.Dir(filepath.Dir(path)): 0o700,
	} {
		info, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, not %v", name, info.Mode().Perm(), want)
		}
	}
}

func TestOpenRelativePath(t *testing.T) {
	t.Chdir(t.TempDir())
	s := open(t, "hub.db")
	t.Chdir(t.TempDir())
	if err := put(s, 1, 10); err != nil { // readers open later, in another directory
		t.Fatal(err)
	}
	if n := rowsOf(t, s, 1); n != 1 {
		t.Errorf("%d rows", n)
	}
}

// Each way in which what is there cannot be used has one line that says so and
// what to do, and changes nothing.
func TestOpenRefuses(t *testing.T) {
	if asNobody(t) {
		return
	}
	real := func(t *testing.T, path string, queries ...string) {
		t.Helper()
		s := open(t, path)
		if err := put(s, 1, 100<<10); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			outside(t, path, q)
		}
	}
	write := func(t *testing.T, path string, b []byte) {
		t.Helper()
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link := func(t *testing.T, target, path string) {
		t.Helper()
		if err := os.Symlink(target, path); err != nil {
			t.Skip(err)
		}
	}
	for name, c := range map[string]struct {
		make func(t *testing.T, dir, path string) string // gives the path to open, "" for path
		want []string
	}{
		"text": {
			func(t *testing.T, _, path string) string {
				write(t, path, bytes.Repeat([]byte("not a database\n"), 100))
				return ""
			},
			[]string{"is not an agentrun database or is damaged: file is not a database; restore a backup or choose another --store"},
		},
		"cut off": {
			func(t *testing.T, _, path string) string {
				real(t, path)
				if err := os.Truncate(path, 2*pageSize); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			[]string{"is not an agentrun database or is damaged: ", "malformed", "; restore a backup"},
		},
		"schema overwritten": {
			func(t *testing.T, _, path string) string {
				real(t, path)
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if _, err := f.WriteAt(bytes.Repeat([]byte{0xa5}, pageSize-100), 100); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			[]string{"is not an agentrun database or is damaged: ", "; restore a backup"},
		},
		"a table missing": {
			func(t *testing.T, _, path string) string { real(t, path, "drop table history"); return "" },
			[]string{"is not an agentrun database or is damaged: ", "no such table: history", "; restore a backup"},
		},
		"no epoch": {
			func(t *testing.T, _, path string) string { real(t, path, "delete from meta"); return "" },
			[]string{"is not an agentrun database or is damaged: ", "table meta", "; restore a backup"},
		},
		"another program's": {
			func(t *testing.T, _, path string) string { outside(t, path, "create table t(x)"); return "" },
			[]string{"is not an agentrun database or is damaged: it is the database of another program; "},
		},
		"newer": {
			func(t *testing.T, _, path string) string { real(t, path, "pragma user_version = 7"); return "" },
			[]string{"was written by a newer agentrun (format 7, this one reads up to 2); update this program or choose another --store"},
		},
		"a directory": {
			func(t *testing.T, _, path string) string {
				if err := os.Mkdir(path, 0o700); err != nil {
					t.Fatal(err)
				}
				return ""
			},
			[]string{"is not a file; choose another --store"},
		},
		"a file as directory": {
			func(t *testing.T, _, path string) string { write(t, path, nil); return filepath.Join(path, "hub.db") },
			[]string{"cannot be created: ", "is a file, not a directory; "},
		},
		"a linked directory": {
			func(t *testing.T, dir, path string) string {
				link(t, t.TempDir(), filepath.Join(dir, "link"))
				return filepath.Join(dir, "link", "hub.db")
			},
			[]string{"is refused because ", "link is a link to ", "; give the real path"},
		},
		"a linked file": {
			func(t *testing.T, dir, path string) string {
				target := filepath.Join(t.TempDir(), "target.db")
				real(t, target)
				link(t, target, path)
				return ""
			},
			[]string{"is refused because ", "hub.db is a link to ", "target.db; give the real path"},
		},
		"a link to nothing": {
			func(t *testing.T, dir, path string) string {
				link(t, filepath.Join(dir, "elsewhere"), path+lockSuffix)
				return ""
			},
			[]string{"hub.db.lock is a link to ", "elsewhere; "},
		},
		"a directory that cannot be written": {
			func(t *testing.T, dir, path string) string {
				unwritable(t, dir, 0o500)
				return ""
			},
			[]string{"cannot be locked: ", "permission denied; make its directory writable"},
		},
		"a file that cannot be written": {
			func(t *testing.T, _, path string) string {
				real(t, path)
				unwritable(t, path, 0o400)
				return ""
			},
			[]string{"is read-only: ", "; make the file and its directory writable"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "hub.db")
			if other := c.make(t, dir, path); other != "" {
				path = other
			}
			before, _ := os.ReadFile(path)
			_, err := Open(t.Context(), path, Options{})
			var oe *store.OpenError
			if !errors.As(err, &oe) || oe.Store != path {
				t.Fatalf("got %v", err)
			}
			text := err.Error()
			if !strings.HasPrefix(text, path+" ") || strings.Contains(text, "\n") {
				t.Errorf("not one line about the store: %q", text)
			}
			rest := text
			for _, w := range c.want {
				_, after, ok := strings.Cut(rest, w)
				if !ok {
					t.Fatalf("%q lacks %q", text, w)
				}
				rest = after
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
			if _, err := Open(t.Context(), path, Options{}); err == nil || err.Error() != text {
				t.Errorf("then: %v", err)
			}
		})
	}
}

// unwritable takes a permission away, for whom that makes a difference.
func unwritable(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if os.Geteuid() <= 0 {
		t.Skip("permissions do not stop this user")
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(path, 0o700) })
}
