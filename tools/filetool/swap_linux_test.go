package filetool

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestSwappedFolder writes and reads through a folder that is a link to another, and itself, in turn.
func TestSwappedFolder(t *testing.T) {
	f := open(t, Config{Allow: []string{"a/**"}}, map[string]string{"a/f": "open", "a/g": "open", "secret/f": "secret"})
	at := func(name string) string { return filepath.Join(f.root, name) }
	if err := os.Symlink("secret", at("link")); err != nil {
		t.Fatal(err)
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, at("a"), unix.AT_FDCWD, at("link"), unix.RENAME_EXCHANGE)
			}
		}
	}()
	worked, refused := 0, 0
	count := func(err error) {
		if err == nil {
			worked++
		} else {
			refused++
		}
	}
	for i := 0; i < 2000 && (i < 100 || worked < 50 || refused < 50); i++ {
		for range 20 {
			got, err := f.call("read_file", args{"path": "a/f"})
			if count(err); err == nil && got.Content != "open" {
				t.Errorf("read %q", got.Content)
			}
		}
		_, err := f.call("write_file", args{"path": "a/f", "content": "open"})
		count(err)
		got, err := f.call("search_files", args{"path": "a", "pattern": "secret"})
		if count(err); err == nil && strings.Contains(got.Content, ": secret") {
			t.Errorf("found %q", got.Content)
		}
		_, err = f.call("move_file", args{"from": "a/f", "to": "a/h/f"})
		count(err)
		_, err = f.call("move_file", args{"from": "a/h/f", "to": "a/f"})
		count(err)
	}
	close(stop)
	<-done
	if f.content("secret/f") != "secret" || worked == 0 || refused == 0 {
		t.Errorf("secret is %q, %d calls worked and %d were refused", f.content("secret/f"), worked, refused)
	}
	if entries, _ := os.ReadDir(at("secret")); len(entries) != 1 {
		t.Errorf("something was put to the secret: %v", entries)
	}
}
