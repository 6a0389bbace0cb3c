package cli

import (
	"os"
	"path/filepath"
)

// A run remembers the files that it was made from by paths that other people's
// clones have too: relative to the module of the working directory, else to the
// working directory itself.

// portable gives the path of a file or directory as a run remembers it.
func portable(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	base, err := base()
	if err != nil {
		return "", err
	}
	if rel, err := filepath.Rel(base, abs); err == nil && filepath.IsLocal(rel) {
		return filepath.ToSlash(rel), nil
	}
	return filepath.ToSlash(abs), nil
}

// local finds what portable remembered, as short as it can be said here.
func local(path string) (string, error) {
	path = filepath.FromSlash(path)
	if filepath.IsAbs(path) {
		return path, nil
	}
	base, err := base()
	if err != nil {
		return "", err
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	abs := filepath.Join(base, path)
	if rel, err := filepath.Rel(wd, abs); err == nil {
		return rel, nil
	}
	return abs, nil
}

// base is the root of the module that the working directory is in, or else the
// working directory.
func base() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil && info.Mode().IsRegular() {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return wd, nil
		}
	}
}
