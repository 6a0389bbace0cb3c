//go:build unix

package confine

import (
	"errors"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestPipe would hang if a pipe were opened as a file is.
func TestPipe(t *testing.T) {
	r, at := root(t)
	if err := unix.Mkfifo(filepath.Join(at, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := File(r, "pipe"); !errors.Is(err, ErrKind) {
		t.Errorf("a pipe: %v, want ErrKind", err)
	}
	f, err := r.OpenFile("pipe", nonBlock, 0) // had it come after the look
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
}
