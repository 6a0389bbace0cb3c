package confine

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

func TestClean(t *testing.T) {
	for name, want := range map[string]string{
		"": ".", ".": ".", "./": ".", "a": "a", "a/b": "a/b", "a//b/": "a/b", "./a/./b": "a/b", "...": "...", "..a": "..a", "a/..b": "a/..b", "Ünï/日本": "Ünï/日本",
		"/": "!", "/etc/passwd": "!", "..": "!", "../a": "!", "a/../b": "!", "a/..": "!", "./..": "!", "a\x00b": "!", "a\nb": "!", "\xff": "!", "a\x7f": "!",
		strings.Repeat("a", 4097): "!", strings.Repeat("a/", 200) + "a": "!",
	} {
		got, err := Clean(name)
		if want == "!" {
			if !errors.Is(err, ErrName) {
				t.Errorf("Clean(%q) = %q, %v, want ErrName", name, got, err)
			}
		} else if got != want || err != nil {
			t.Errorf("Clean(%q) = %q, %v, want %q", name, got, err, want)
		}
	}
}

// TestCleanOnWindows has what a system with drives, backslashes and names that it shortens takes for something else.
func TestCleanOnWindows(t *testing.T) {
	for name, want := range map[string]string{
		"": ".", "a/b": "a/b", "./a": "a", "a.b/c d": "a.b/c d",
		`a\b`: "!", `..\a`: "!", `\\host\share`: "!", "C:": "!", "C:/a": "!", "a/b:stream": "!", "a.": "!", "a /b": "!", "a. .": "!", "...": "!", "/a": "!", "..": "!",
	} {
		got, err := clean(name, true)
		if want == "!" && !errors.Is(err, ErrName) || want != "!" && (got != want || err != nil) {
			t.Errorf("%q = %q, %v, want %q", name, got, err, want)
		}
	}
}

// FuzzClean checks that what is clean is its own clean form, local, and goes through no other name.
func FuzzClean(f *testing.F) {
	for _, seed := range []string{"a/b", "../x", "/x", "a//./b", "a/../../b", `C:\x`, `..\x`, "a\x00", "con", "a. /b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := Clean(name)
		if err != nil {
			if len(err.Error()) > 2000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		again, err := Clean(clean)
		if err != nil || again != clean || clean != path.Clean(name) {
			t.Fatalf("Clean(%q) = %q, and of that %q, %v", name, clean, again, err)
		}
		if !filepath.IsLocal(filepath.FromSlash(clean)) || strings.HasPrefix(clean, "/") || path.Join("/root", clean) != "/root" && !strings.HasPrefix(path.Join("/root", clean), "/root/") {
			t.Fatalf("Clean(%q) = %q, which leaves the root", name, clean)
		}
	})
}

func root(t *testing.T) (*os.Root, string) {
	t.Helper()
	dir := t.TempDir()
	r, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, dir
}

func TestDir(t *testing.T) {
	r, at := root(t)
	d, err := Dir(r, "a/b/c", true)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteFile("f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	d.Close()
	if _, err := os.Stat(filepath.Join(at, "a/b/c/f")); err != nil {
		t.Error(err)
	}
	for name, want := range map[string]string{"a/x": "a/x: ", "a/b/c/f": "not a folder", "a/b/c/f/g": "a/b/c/f: it is not a folder"} {
		if _, err := Dir(r, name, false); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), at) {
			t.Errorf("%s: %v, want one line with %q and without the root", name, err, want)
		}
	}
	if _, err := Dir(r, "a/x", false); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

func TestLinks(t *testing.T) {
	r, at := root(t)
	outside := t.TempDir()
	for _, err := range []error{
		os.WriteFile(filepath.Join(outside, "f"), []byte("secret"), 0o600),
		os.MkdirAll(filepath.Join(at, "dir"), 0o700),
		os.WriteFile(filepath.Join(at, "dir/f"), nil, 0o600),
		os.Symlink(outside, filepath.Join(at, "out")),
		os.Symlink("dir", filepath.Join(at, "within")),
		os.Symlink("f", filepath.Join(at, "dir/link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"out", "within", "within/x", "out/f"} {
		if _, err := Dir(r, name, true); !errors.Is(err, ErrLink) {
			t.Errorf("%s: %v, want ErrLink", name, err)
		}
	}
	d, err := Dir(r, "dir", false)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, err := File(d, "link"); !errors.Is(err, ErrLink) {
		t.Errorf("a link to a file: %v, want ErrLink", err)
	}
	if _, _, err := File(d, "."); !errors.Is(err, ErrKind) {
		t.Errorf("a folder: %v, want ErrKind", err)
	}
	f, info, err := File(d, "f")
	if err != nil || info.Size() != 0 {
		t.Fatal(err)
	}
	f.Close()
}

// TestSwappedLinks has a folder and a file that are a link to others and themselves in turn, as fast as they can be.
func TestSwappedLinks(t *testing.T) {
	r, at := root(t)
	for _, err := range []error{
		os.MkdirAll(filepath.Join(at, "secret"), 0o700),
		os.WriteFile(filepath.Join(at, "secret/f"), []byte("secret"), 0o600),
		os.MkdirAll(filepath.Join(at, "a"), 0o700),
		os.WriteFile(filepath.Join(at, "a/f"), []byte("open"), 0o600),
		os.Symlink("secret", filepath.Join(at, "link")),
		os.Symlink("../secret/f", filepath.Join(at, "a/link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rename := func(from, to string) { os.Rename(filepath.Join(at, from), filepath.Join(at, to)) }
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			rename("a", "kept")
			rename("link", "a")
			rename("a", "link")
			rename("kept", "a")
			rename("a/f", "a/kept")
			rename("a/link", "a/f")
			rename("a/f", "a/link")
			rename("a/kept", "a/f")
		}
	}()
	read, refused := 0, 0
	for i := 0; i < 200_000 && (i < 2000 || read < 100 || refused < 100); i++ {
		d, base, err := Split(r, "a/f", false)
		if err != nil {
			refused++
			continue
		}
		f, _, err := File(d, base)
		d.Close()
		if err != nil {
			refused++
			continue
		}
		var text [16]byte
		n, _ := f.Read(text[:])
		f.Close()
		if string(text[:n]) != "open" {
			t.Errorf("read %q", text[:n])
			break
		}
		read++
	}
	close(stop)
	<-done
	if read == 0 || refused == 0 {
		t.Errorf("read %d times and refused %d times: nothing was swapped under way", read, refused)
	}
}
