//go:build unix

package taskhub_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// TestHolderFreezes stops the other program as Ctrl-Z does, lets it go on, and kills it.
func TestHolderFreezes(t *testing.T) {
	path := socketPath(t)
	process, _ := startHolder(t, path)
	d := taskhub.Dialer{Store: "sqlite:x.db", Timeout: 2 * time.Second}
	r, err := d.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	_, err = r.Wait(t.Context(), "one")
	namesPID(t, "Wait", err, process.Pid)
	_, err = r.Get(t.Context(), "one", false)
	namesPID(t, "Get", err, process.Pid)
	for _, err := range r.History(t.Context(), "one", "") {
		namesPID(t, "History", err, process.Pid)
	}
	_, err = d.Dial(t.Context(), path)
	namesPID(t, "Dial", err, process.Pid)

	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	again := dial(t, path)
	waited := make(chan error, 1)
	go func() {
		_, err := again.Wait(t.Context(), "one")
		waited <- err
	}()
	if err := process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Wait gave %v after the holder was killed", err)
	}
	if _, err := taskhub.Dial(t.Context(), path); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Dial gave %v after the holder was killed", err)
	}
	lis, err := taskhub.Listen(path)
	if err != nil {
		t.Fatalf("the socket that a killed process left: %v", err)
	}
	lis.Close()
}
