package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// committed is the folder of the files in the repository.
var committed = filepath.Join("..", "data")

// TestCommittedFiles generates the data anew and compares: the same files,
// byte for byte, and none beside them.
func TestCommittedFiles(t *testing.T) {
	fresh := t.TempDir()
	if err := generate(fresh); err != nil {
		t.Fatal(err)
	}
	want, got := readTree(t, fresh), readTree(t, committed)
	for name, content := range want {
		have, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s is not committed: run go run ./examples/incident/gen", name)
		case !bytes.Equal(have, content):
			t.Errorf("%s differs from what the generator writes: run go run ./examples/incident/gen", name)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is not written by the generator: remove it", name)
		}
	}
}

// TestSize keeps the data worth searching and the repository small.
func TestSize(t *testing.T) {
	const low, high = 3 << 20, 5 << 20
	size := 0
	for _, content := range readTree(t, committed) {
		size += len(content)
	}
	if size < low || size > high {
		t.Errorf("the data has %d bytes, want %d to %d", size, low, high)
	}
}

func readTree(t *testing.T, root string) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		files[filepath.ToSlash(name)] = content
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
