package taskhub_test

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// TestBusyListener has a program that takes no connections, until the system queues no more.
func TestBusyListener(t *testing.T) {
	path := socketPath(t)
	socket := func() int {
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { syscall.Close(fd) })
		return fd
	}
	fd := socket()
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for syscall.Connect(socket(), &syscall.SockaddrUnix{Name: path}) == nil {
	}
	if _, err := taskhub.Dial(t.Context(), path); !errors.Is(err, taskhub.ErrNoAnswer) {
		t.Errorf("Dial gave %v", err)
	}
	if _, err := taskhub.Listen(path); err == nil || !strings.Contains(err.Error(), "still there") {
		t.Errorf("Listen gave %v", err)
	}
}

// TestModeFromTheStart makes a socket as the least careful umask would have it: its mode must come
// from the socket, not from a chmod after it can be connected to.
func TestModeFromTheStart(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := socketPath(t)
	lis, err := taskhub.ListenWithoutChmod(path)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("the socket has mode %v", got)
	}
}
