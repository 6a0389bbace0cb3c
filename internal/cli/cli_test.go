package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/scenario"
)

func TestExitCodes(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	for _, test := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"none", t.Context(), nil, 0},
		{"unknown", t.Context(), errors.New("disk on fire"), 4},
		{"usage", t.Context(), usagef("no"), 2},
		{"wrapped", t.Context(), fmt.Errorf("here: %w", ended(6)), 6},
		{"joined", t.Context(), errors.Join(ended(1), errors.New("and closing failed")), 1},
		{"scenario", t.Context(), fmt.Errorf("x: %w", &scenario.Error{}), 2},
		{"not found", t.Context(), fmt.Errorf("x: %w", durable.ErrNotFound), 2},
		{"settled", t.Context(), fmt.Errorf("x: %w", agents.ErrNotCounted), 2},
		{"interrupted", interrupted, context.Canceled, 130},
	} {
		if got := exitCode(test.ctx, test.err); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
	for status, want := range map[string]int{scenario.Completed: 0, scenario.Failed: 1, scenario.Cancelled: 1, scenario.Waiting: 6} {
		if got := exitOf(status); got != want {
			t.Errorf("%s: %d, want %d", status, got, want)
		}
	}
	for status, want := range map[evals.Status]int{evals.Passed: 0, evals.Failed: 1, evals.Diverged: 3, evals.Errored: 4} {
		if got := evalExit(status); got != want {
			t.Errorf("%s: %d, want %d", status, got, want)
		}
	}
}

func TestPaths(t *testing.T) {
	root := t.TempDir()
	if real, err := filepath.EvalSymlinks(root); err == nil {
		root = real
	}
	below := filepath.Join(root, "cmd", "x")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	try := func(path, stored, found string) {
		t.Helper()
		got, err := portable(path)
		if err != nil || got != stored {
			t.Errorf("portable(%s) = %s, %v, want %s", path, got, err, stored)
		}
		if got, err = local(got); err != nil || got != filepath.FromSlash(found) {
			t.Errorf("local(%s) = %s, %v, want %s", stored, got, err, found)
		}
	}
	try("a.yaml", "a.yaml", "a.yaml")
	outside := filepath.Join(root, "a.yaml")
	try(outside, filepath.ToSlash(outside), outside) // no module: what lies above is not ours
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	try(outside, "a.yaml", "../../a.yaml")
	try("a.yaml", "cmd/x/a.yaml", "a.yaml")
}

func TestQuoted(t *testing.T) {
	for word, want := range map[string]string{
		"run-1": "run-1", "sqlite:a/b.db": "sqlite:a/b.db", "two words": "'two words'", "it's": `'it'\''s'`, "": "''", "$x": "'$x'",
	} {
		if got := quoted(word); got != want {
			t.Errorf("quoted(%q) = %s, want %s", word, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain\n\ttext":          "plain\n\ttext",
		"\x1b[31mred":            "\uFFFD[31mred",
		"over\rwritten":          "overwritten",
		"a\u202Eb":               "ab", // would turn the text around
		"naïve 漢字":               "naïve 漢字",
		"no-break\u00a0space \a": "no-break\u00a0space \uFFFD",
	} {
		if got := printable(text); got != want {
			t.Errorf("printable(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestScenarioName(t *testing.T) {
	for name, want := range map[string]string{"clerk": "clerk", "Hello_World 2": "hello-world-2", strings.Repeat("x", 80): strings.Repeat("x", 64)} {
		if got := scenarioName(name); got != want {
			t.Errorf("scenarioName(%q) = %q, want %q", name, got, want)
		}
	}
}

// TestWriteFile shows that a file that could not be made is not there, and that an
// old one stays.
func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write := func(text string, err error) func(*os.File) error {
		return func(f *os.File) error {
			_, writeErr := f.WriteString(text)
			return errors.Join(writeErr, err)
		}
	}
	if err := writeFile(path, false, write("half", errors.New("broken"))); err == nil {
		t.Error("no error")
	}
	if err := writeFile(path, false, write("whole", nil)); err != nil {
		t.Error(err)
	}
	if err := writeFile(path, false, write("again", nil)); exitCode(t.Context(), err) != exitUsage {
		t.Errorf("error %v", err)
	}
	if err := writeFile(path, true, write("half", errors.New("broken"))); err == nil {
		t.Error("no error")
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "whole" {
		t.Errorf("%q, %v", b, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left over: %v, %v", entries, err)
	}
}
