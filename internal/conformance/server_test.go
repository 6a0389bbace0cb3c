package conformance

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// buildFlags are those of the go command, see race_test.go.
var buildFlags []string

// build compiles the command and gives its path.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agentrun")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	args := append([]string{"build", "-o", path}, buildFlags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "../../cmd/agentrun")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// serve starts a server on a new store, and gives the address of its protocol. The server is ended
// as an operator would end it, and must then say that all went well; what it logged is shown if the
// test fails.
func serve(t *testing.T, command string, env ...string) string {
	t.Helper()
	store := "sqlite:" + filepath.ToSlash(filepath.Join(t.TempDir(), "hub.db"))
	cmd := exec.Command(command, "serve", "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0", "--store", store, "-o", "json")
	cmd.Env = append(os.Environ(), env...)
	var log bytes.Buffer
	cmd.Stderr = &log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stdout)
	t.Cleanup(func() { end(t, cmd, &log) })
	line, err := said.ReadBytes('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	var ready struct {
		Ready bool
		GRPC  string
	}
	if err := json.Unmarshal(line, &ready); err != nil || !ready.Ready || ready.GRPC == "" {
		t.Fatalf("the server said %s (%v)", line, err)
	}
	return ready.GRPC
}

// end ends a server, and kills one that does not end.
func end(t *testing.T, cmd *exec.Cmd, log *bytes.Buffer) {
	t.Helper()
	kill := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		_ = cmd.Process.Kill() // Windows has no such signal
	}
	err := cmd.Wait()
	const interrupted = 130
	if err != nil && cmd.ProcessState.ExitCode() != interrupted && runtime.GOOS != "windows" {
		t.Errorf("the server ended with %v", err)
	}
	if t.Failed() {
		t.Logf("the server logged:\n%s", tail(log.Bytes(), 16<<10))
	}
}

// tail is the end of a text, n bytes at most.
func tail(text []byte, n int) []byte {
	if len(text) > n {
		text = append([]byte("...\n"), text[len(text)-n:]...)
	}
	return text
}
