package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/durable/store"
)

const holdVariable = "AGENTRUN_TEST_HOLD"

// holdUntilKilled is the other process: it opens the store, says so, and goes on
// holding it until its standard input ends.
func holdUntilKilled(path string) {
	s, err := Open(context.Background(), path, Options{Program: "holder"})
	if err == nil {
		err = put(s, 1, 10)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	os.Exit(0) // without Close, as a crash
}

// hold starts the other process and gives what ends it.
func hold(t *testing.T, path string) (pid int, end func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holdVariable+"="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end = func() {
		if !ended {
			ended = true
			_ = in.Close()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(end)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "held\n" {
		t.Fatalf("the other process: %q, %v", line, err)
	}
	return cmd.Process.Pid, end
}

func TestHeldByAnotherProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	started := time.Now().Add(-2 * time.Second)
	pid, end := hold(t, path)

	_, err := Open(t.Context(), path, Options{})
	var held *store.HeldError
	if !errors.As(err, &held) {
		t.Fatalf("got %v", err)
	}
	if held.Store != path || held.PID != pid || held.Program != "holder" || held.Since.Before(started) {
		t.Errorf("holder: %+v, want process %d", held, pid)
	}
	if want := fmt.Sprintf("is in use by process %d (holder) since ", pid); !strings.Contains(err.Error(), want) {
		t.Errorf("%q does not say %q", err, want)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := Open(ctx, path, Options{Wait: true}); !errors.As(err, &held) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting in vain: %v", err)
	}

	// Its end, without a Close, is enough.
	opened := make(chan *Store)
	go func() {
		s, err := Open(t.Context(), path, Options{Wait: true, NoPreallocation: true})
		if err != nil {
			t.Error(err)
		}
		opened <- s
	}()
	end()
	s := <-opened
	if s == nil {
		return
	}
	defer s.Close()
	if n := rowsOf(t, s, 1); n != 1 {
		t.Errorf("%d rows of the one that the other process committed", n)
	}
	if s.epoch != 2 {
		t.Errorf("epoch %d", s.epoch)
	}
}

func TestHeldByThisProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hub.db")
	s := open(t, path)
	var held *store.HeldError
	if _, err := Open(t.Context(), path, Options{}); !errors.As(err, &held) || held.PID != os.Getpid() {
		t.Fatalf("got %v", err)
	}
	// The refused one left the lease, and SQLite's locks, alone.
	if err := put(s, 1, 10); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), path, Options{}); !errors.As(err, &held) {
		t.Fatalf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + holderSuffix); err == nil {
		t.Error("the holder file was left behind")
	}
	open(t, path)
}
