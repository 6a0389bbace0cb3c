package taskhub

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"
)

// maxPath bounds a socket's path, in bytes. The system copies it into a field of 104 bytes on macOS
// (108 on Linux and Windows), with a zero at its end.
const maxPath = 100

// SocketPath says where the hub of a database file is served: beside it, at PATH.sock. Where that
// path would be too long for the system it is a short one made from its hash, in a directory of the
// user's own below [os.TempDir].
//
// The answer depends on the real, absolute path of the database's directory, so that every process
// finds the same one however its user wrote the path; the directory should exist.
func SocketPath(dbPath string) string {
	path := realPath(dbPath) + ".sock"
	if len(path) <= maxPath {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	name := hex.EncodeToString(sum[:10]) + ".sock"
	dir := privateDir(os.TempDir())
	if len(dir)+1+len(name) > maxPath && runtime.GOOS != "windows" {
		dir = privateDir("/tmp")
	}
	return filepath.Join(dir, name)
}

// realPath makes a path absolute and resolves the links in its directory, as far as that goes.
func realPath(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		return filepath.Join(dir, filepath.Base(abs))
	}
	return abs
}

// privateDir names the user's directory for sockets below a directory that everybody shares.
func privateDir(temp string) string {
	name := "agentrun"
	if uid := os.Getuid(); uid >= 0 {
		name += "-" + strconv.Itoa(uid)
	}
	return filepath.Join(temp, name)
}

// isPrivate reports whether a socket lies in such a directory, and not beside its database.
func isPrivate(path string) bool {
	dir := filepath.Dir(path)
	return dir == privateDir(os.TempDir()) || dir == privateDir("/tmp")
}

// checkDir refuses a private directory that somebody else made: names below a shared directory can
// be taken by anyone, and whoever owns the directory could serve a hub of his own in it. Sockets
// beside a database are as safe as the database.
func checkDir(path string) error {
	if !isPrivate(path) {
		return nil
	}
	dir := filepath.Dir(path)
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || !onlyOurs(info) {
		return fmt.Errorf("%s is not a directory that belongs to you alone (mode %v); remove it or set TMPDIR", dir, info.Mode())
	}
	return nil
}

// Listen listens on a Unix socket that only the user can connect to. The caller holds the store's
// lease, so a socket file that is there already is one that a dead process left, and is replaced.
// It is an error if a program still answers at it, and if the path is anything but a socket.
//
// The listener removes the file when it is closed: close it (or the [Server] that has it) before
// giving the lease back, or the next holder's socket would be the one that goes.
//
// On Linux the file has mode 0600 from the moment it exists. Elsewhere it gets it right after; for
// that instant the directory's mode decides who could connect, and the directory of a database is
// made with 0700.
func Listen(path string) (net.Listener, error) {
	if len(path) > maxPath {
		return nil, fmt.Errorf("listen on %s: the path of a socket can have %d bytes, not %d; use SocketPath", path, maxPath, len(path))
	}
	if isPrivate(path) {
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
	}
	if err := checkDir(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	lis, err := bind(path)
	if err != nil {
		return nil, err // it names the operation and the path
	}
	if runtime.GOOS != "windows" { // there the directory's access list decides
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), lis.Close())
		}
	}
	return lis, nil
}

func bind(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: beforeBind}
	return config.Listen(context.Background(), "unix", path)
}

// removeStale removes a socket at which nobody answers.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file in its place that is no socket; move it away")
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		who := "another program"
		if pid := peerPID(conn); pid != 0 {
			who = fmt.Sprintf("process %d", pid)
		}
		return errors.Join(fmt.Errorf("%s still answers there, though it does not hold the store; stop it", who), conn.Close())
	}
	if isBusy(err) {
		return errors.New("another program is still there, though it does not hold the store; stop it")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
