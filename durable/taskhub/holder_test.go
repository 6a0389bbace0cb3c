package taskhub_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// holderEnv makes the test's own binary a program that serves a hub at the socket named there.
const holderEnv = "TASKHUB_TEST_HOLDER"

// hold serves until its standard input ends.
func hold(path string) {
	eng, err := engine.Open(context.Background(), memory.New(), engine.Definitions{}, engine.Options{})
	if err != nil {
		panic(err)
	}
	lis, err := taskhub.Listen(path)
	if err != nil {
		panic(err)
	}
	server := taskhub.Serve(lis, eng, taskhub.Info{Program: "holder", Version: "0.9"})
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := errors.Join(server.Close(), eng.Close()); err != nil {
		panic(err)
	}
	os.Exit(0)
}

// startHolder starts such a program and waits until it serves. end makes it end by itself.
func startHolder(t *testing.T, path string) (p *os.Process, end func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), holderEnv+"="+path)
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
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "ready\n" {
		t.Fatalf("the holder said %q (%v)", line, err)
	}
	return cmd.Process, func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
}

// TestHolderEnds lets the other program end while somebody waits: the wait ends at once, so that a
// take-over can begin, and the socket is gone.
func TestHolderEnds(t *testing.T) {
	path := socketPath(t)
	process, end := startHolder(t, path)
	r := dial(t, path)
	if got := r.Info(); got.PID != process.Pid || got.Program != "holder" {
		t.Errorf("Info gave %v, want the process %d", got, process.Pid)
	}
	if _, err := r.Start(t.Context(), engine.Start{ID: "one", Name: "nobody's"}); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	go func() {
		_, err := r.Wait(t.Context(), "one")
		waited <- err
	}()
	end()
	if err := <-waited; !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Wait gave %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}

	// A successor at the same place is another program: it needs a new Dial.
	path2, _ := serve(t, newEngine(t))
	if err := os.Rename(path2, path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Remove(path) })
	if _, err := r.Get(t.Context(), "one", false); !errors.Is(err, taskhub.ErrUnavailable) {
		t.Errorf("Get gave %v, want that the old connection does not reach the successor", err)
	}
	if got := dial(t, path).Info(); got.PID != os.Getpid() {
		t.Errorf("the successor is %v", got)
	}
}

// namesPID checks that an error is about a silent program and says which.
func namesPID(t *testing.T, call string, err error, pid int) {
	t.Helper()
	if !errors.Is(err, taskhub.ErrNoAnswer) || errors.Is(err, taskhub.ErrUnavailable) || !strings.Contains(err.Error(), fmt.Sprint("(pid ", pid, ")")) {
		t.Errorf("%s gave %v", call, err)
	}
}
