//go:build unix

package taskhub_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// TestSocketMode looks at who could connect.
func TestSocketMode(t *testing.T) {
	_, path := listen(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o600 {
		t.Errorf("the socket has mode %v", got)
	}
}

// TestStaleSocket listens where a dead process left its socket.
func TestStaleSocket(t *testing.T) {
	path := socketPath(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	old.Close()
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("closing left the socket: %v", err)
	}
}

// TestForeignDirectory puts a directory that others can write to where the private one should be.
func TestForeignDirectory(t *testing.T) {
	temp, err := os.MkdirTemp("", "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(temp) })
	t.Setenv("TMPDIR", temp)
	dir := taskhub.PrivateDir(temp)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "hub.sock")
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	server := taskhub.Serve(lis, newEngine(t), taskhub.Info{})
	defer server.Close()
	dial(t, path)

	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := taskhub.Dial(t.Context(), path); !errors.Is(err, taskhub.ErrUnavailable) || !strings.Contains(err.Error(), "belongs to you alone") {
		t.Errorf("Dial gave %v", err)
	}
	if _, err := taskhub.Listen(filepath.Join(dir, "other.sock")); err == nil || !strings.Contains(err.Error(), "belongs to you alone") {
		t.Errorf("Listen gave %v", err)
	}
}
