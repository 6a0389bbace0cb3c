package sqlite

import (
	"errors"
	"fmt"

	"zombiezen.com/go/sqlite"

	"github.com/agentrun-dev/agentrun/durable/store"
)

// plain gives a SQLite error in words for people, without the names of API calls
// in front; sqlite.ErrCode still finds its code.
func plain(err error) error {
	if code := sqlite.ErrCode(err); code != sqlite.ResultError {
		return &codeError{code, err}
	}
	return err
}

type codeError struct {
	code sqlite.ResultCode
	err  error
}

func (e *codeError) Error() string { return e.code.Message() }
func (e *codeError) Unwrap() error { return e.err }

// failed turns the error of a statement in a commit into what Commit returns.
// atCommit says that it was the COMMIT itself.
func (s *Store) failed(err error, atCommit bool) error {
	code := sqlite.ErrCode(err)
	switch {
	case lostSync(code) || atCommit && !nothingWritten(code):
		return fmt.Errorf("store %s: %w: %w", s.name, store.ErrUnknown, err)
	case code.ToPrimary() == sqlite.ResultFull:
		return fmt.Errorf("store %s: the disk is full; free some space and it goes on: %w", s.name, err)
	case code.ToPrimary() == sqlite.ResultBusy:
		return fmt.Errorf("store %s: another program (a database shell or a backup?) has locked it: %w", s.name, err)
	case code.ToPrimary() == sqlite.ResultCorrupt:
		return fmt.Errorf("store %s: is damaged; restore a backup: %w", s.name, err)
	}
	return fmt.Errorf("store %s: commit: %w", s.name, err)
}

// lostSync reports whether an fsync failed. The kernel may have dropped the
// pages and call the next sync a success, so that nothing can be said of what was
// written since the last good one.
func lostSync(code sqlite.ResultCode) bool {
	return code == sqlite.ResultIOErrFsync || code == sqlite.ResultIOErrDirFsync
}

// nothingWritten reports whether a COMMIT that failed with this code certainly
// left no whole transaction in the log. The frame that carries the commit is the
// last to be written and has a checksum over all before it, so a write that
// failed is as good as none. Whatever can happen after that frame was written
// (the sync, the index in shared memory) is not in the list.
func nothingWritten(code sqlite.ResultCode) bool {
	switch code.ToPrimary() {
	case sqlite.ResultFull, sqlite.ResultBusy, sqlite.ResultInterrupt, sqlite.ResultConstraint, sqlite.ResultTooBig:
		return true
	}
	return code == sqlite.ResultIOErrWrite
}

var errNoRow = errors.New("no such row")
