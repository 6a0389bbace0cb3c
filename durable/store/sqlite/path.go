package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Files that lie beside the database and belong to it.
const (
	lockSuffix   = ".lock"   // held while the store is open; never removed
	holderSuffix = ".holder" // JSON: who holds it
)

// besides are the suffixes of everything that opening a database may write.
var besides = []string{"", "-wal", "-shm", "-journal", lockSuffix, holderSuffix}

// prepare makes the database's directory where it is missing and refuses to
// follow a link out of the place that the user named: a repository that somebody
// else wrote could carry one.
func prepare(name, path string) error {
	dir := filepath.Dir(path)
	if err := makeDir(dir); err != nil {
		return &store.OpenError{Store: name, Problem: "cannot be created", Err: err,
			Advice: "make its directory writable or choose another --store"}
	}
	// A directory right below the root belongs to the system (/tmp is a link on
	// macOS); what lies above the last one is not ours to judge either.
	if parent := filepath.Dir(dir); parent != filepath.Dir(parent) {
		if err := refuseLink(name, dir); err != nil {
			return err
		}
	}
	for _, suffix := range besides {
		if err := refuseLink(name, path+suffix); err != nil {
			return err
		}
	}
	return nil
}

func makeDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file, not a directory", dir)
	}
	if err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	syncDir(filepath.Dir(dir))
	return nil
}

// syncDir makes a new entry of a directory durable, where the system can.
func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	_ = d.Sync() // not possible on Windows, and not needed there
}

func refuseLink(name, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return &store.OpenError{Store: name, Problem: "cannot be examined", Err: err}
	case info.Mode()&fs.ModeSymlink == 0:
		return nil
	}
	target, err := os.Readlink(path)
	if err != nil {
		target = "a place that cannot be read"
	}
	return &store.OpenError{Store: name,
		Problem: fmt.Sprintf("is refused because %s is a link to %s", path, target),
		Advice:  "give the real path with --store, or replace the link"}
}

// create makes an empty database file that others cannot read, unless there is
// one. SQLite would make it readable for everybody; the files that it adds get
// the same permissions. The file is opened before SQLite ever opens it in this
// process (the lease is held by then), since closing a descriptor of a file drops all
// POSIX locks that the process has on it.
func create(name, path string) error {
	info, err := os.Lstat(path)
	if err == nil {
		if !info.Mode().IsRegular() {
			return &store.OpenError{Store: name, Problem: "is not a file", Advice: "choose another --store"}
		}
		return nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return &store.OpenError{Store: name, Problem: "cannot be created", Err: err,
			Advice: "make its directory writable or choose another --store"}
	}
	return nil
}
