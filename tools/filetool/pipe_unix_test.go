//go:build unix

package filetool

import (
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNotFiles has a pipe, which would hang whoever opens it, and a socket.
func TestNotFiles(t *testing.T) {
	f := open(t, Config{}, map[string]string{"a": "x"})
	if err := unix.Mkfifo(filepath.Join(f.root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(f.root, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for path, kind := range map[string]string{"pipe": "it is a named pipe", "sock": "it is a socket"} {
		f.fails("read_file", args{"path": path}, kind)
		f.fails("write_file", args{"path": path, "content": "x"}, kind)
		f.fails("edit_file", args{"path": path, "old": "x", "new": "y"}, kind)
		f.fails("move_file", args{"from": path, "to": "b"}, kind)
		f.fails("delete_file", args{"path": path}, kind)
	}
	if got := f.ok("search_files", args{"pattern": "x"}); got != "a:1: x" {
		t.Errorf("search = %q", got)
	}
	if got := f.ok("list_files", args{}); got != "a (1 bytes)\npipe (not a regular file)\nsock (not a regular file)" {
		t.Errorf("list = %q", got)
	}
}

// TestDevices reads through the root of the system's devices, one of which has no end.
func TestDevices(t *testing.T) {
	f := open(t, Config{Root: "/dev", ReadOnly: true, Allow: []string{"zero", "null", "tty"}}, nil)
	f.fails("read_file", args{"path": "zero"}, "it is a device")
	f.fails("read_file", args{"path": "null"}, "it is a device")
	if got := f.ok("search_files", args{"pattern": "x"}); got != "(no matches)" {
		t.Errorf("search = %q", got)
	}
}
