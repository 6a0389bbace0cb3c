package shelltool_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools/shelltool"
)

// TestEscape has a child that leaves the group and holds the output open. The call ends nevertheless.
func TestEscape(t *testing.T) {
	dir := t.TempDir()
	tool := shell(t, shelltool.Config{Dir: dir, Grace: 100 * time.Millisecond})
	// The child says that it has left before the program ends.
	got, err := run(t, t.Context(), tool, "", `mkfifo left; setsid sh -c 'echo $$ > pid; echo > left; exec sleep 1000' & read x < left; echo done`)
	if err != nil || got.Content != "[exit code 0]\ndone\n\n[a process that it has started goes on by itself, and its output is not waited for]" {
		t.Errorf("%q, %v", got.Content, err)
	}
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(id, syscall.SIGKILL); err != nil {
		t.Errorf("the child is gone: %v", err)
	}
}
