//go:build unix

package taskhub

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// onlyOurs reports whether a directory is the user's and closed to everybody else.
func onlyOurs(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Getuid() && info.Mode().Perm()&0o077 == 0
}

// isBusy reports whether a connection was refused only because the listener has not taken those
// before it: its process hangs or was stopped.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }
