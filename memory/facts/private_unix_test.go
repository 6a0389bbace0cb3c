//go:build unix

package facts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/agentrun-dev/agentrun/memory/facts"
)

// What is known about people is not for all users of the machine.
func TestIndexIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "facts.db")
	m := memoryOf(t, open(t, "memory:"), path, nil)
	remember(t, m, facts.User("ann"), "Ann has moved.")
	search(t, m, "moved", facts.User("ann"))
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 2 {
		t.Fatalf("files %v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", filepath.Base(f), info.Mode())
		}
	}
}
