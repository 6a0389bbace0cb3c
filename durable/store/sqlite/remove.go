package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// Remove deletes the database at path with everything that belongs to it. It takes the lease for
// that, so the database must not be open: a *store.HeldError says by whom it is. Where there is none,
// the error wraps fs.ErrNotExist.
//
// The lock file stays, empty: removing it would let two processes lock two files of one name. A crash
// leaves the whole database or none of it.
func Remove(path string) error {
	name := path
	path, err := filepath.Abs(path)
	if err != nil {
		return &store.OpenError{Store: name, Problem: "has no absolute path", Err: err}
	}
	if _, err := os.Lstat(path); err != nil {
		return &store.OpenError{Store: name, Problem: "cannot be removed", Err: err}
	}
	l, err := takeLease(context.Background(), name, path, &Options{Program: filepath.Base(os.Args[0])})
	if err != nil {
		return err
	}
	// The database goes first. A log that is left of it is none to SQLite, which drops one that lies
	// beside an empty or new file.
	for _, suffix := range besides {
		if suffix == lockSuffix || suffix == holderSuffix {
			continue // release sees to the holder
		}
		if e := os.Remove(path + suffix); e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, &store.OpenError{Store: name, Problem: "cannot be removed", Err: e,
				Advice: "make its directory writable"})
			break
		}
	}
	syncDir(filepath.Dir(path))
	return errors.Join(err, l.release())
}
