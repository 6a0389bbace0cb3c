package vet_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// tool builds cmd/durablevet. It has no race detector, which would take minutes to type-check all
// that this module imports, and does not change when other code does, so that the go command knows
// what it found.
func tool(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "durablevet")
	if runtime.GOOS == "windows" {
		bin += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", bin, "../../cmd/durablevet").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// goVet runs go vet with the tool on all packages of a module, and gives what it says.
func goVet(t *testing.T, dir string) (string, error) {
	t.Helper()
	cmd := exec.Command("go", "vet", "-vettool="+tool(t), "./...")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestRepository runs it on this module, whose orchestrations must be beyond reproach.
func TestRepository(t *testing.T) {
	if out, err := goVet(t, filepath.Join("..", "..")); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
}

// TestGoVet runs it on a module that uses another one: what the go command hands from package to
// package must be enough, and a library's locks are its own business.
func TestGoVet(t *testing.T) {
	dir := t.TempDir()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "modules.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := txtar.FS(archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	stub := filepath.Join("testdata", "src", "github.com", "agentrun-dev", "agentrun", "durable")
	if err := os.CopyFS(filepath.Join(dir, "agentrun", "durable"), os.DirFS(stub)); err != nil {
		t.Fatal(err)
	}
	out, err := goVet(t, filepath.Join(dir, "shop"))
	if err == nil {
		t.Errorf("go vet found nothing")
	}
	var found []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	var wants []string
	for line := range strings.Lines(string(archive.Comment)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "main.go:") {
			wants = append(wants, line)
		}
	}
	if len(wants) == 0 || len(found) != len(wants) {
		t.Fatalf("go vet says\n%s\nwant\n%s", out, strings.Join(wants, "\n"))
	}
	for i, w := range wants {
		if !strings.Contains(found[i], w) {
			t.Errorf("go vet says\n%s\nwant\n%s", found[i], w)
		}
	}
}
