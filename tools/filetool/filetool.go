// Package filetool is a toolset for the files below one folder, its root: list_files, read_file and search_files, and
// unless it is read-only write_file, edit_file, move_file and delete_file.
//
// # What it keeps to
//
// Paths are relative to the root and use slashes. No path leaves the root: not by "..", not by being absolute, and not
// by a link, since links are not followed at all, not even within the root, where one would get around
// [Config.Allow]. That holds too while somebody else makes and swaps links. Only regular files are read and written; a
// pipe, device or socket is refused without being opened. A hard link is the file itself, and a mount is a folder:
// whoever can make these decides what is in the root.
//
// What it reads, lists and finds is bounded: files by [Config.MaxFile], results by pages. Text that is not UTF-8 is
// shown with replacement characters, and stays as it is where an edit does not touch it.
//
// # Effects
//
// What reads is [tools.Pure]. What writes is [tools.Unsafe]. Writing the same file twice may look harmless, but in
// between somebody else may have written it: a call that is repeated after a crash would undo their work. So a call
// that was interrupted is not made again; its Reconcile function looks whether the files are as the call leaves them,
// and if not, a person decides. Where nobody else writes below the root, [tools.WithOptions] can declare write_file
// and delete_file [tools.Idempotent].
//
// A file is written beside its old self and then put in its place, so that a reader, or a crash, finds the one or the
// other; a crash in between leaves a file .agentrun-*.tmp. The calls of a set that write come one after another.
package filetool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"

	"github.com/agentrun-dev/agentrun/internal/confine"
	"github.com/agentrun-dev/agentrun/tools"
)

// DefaultMaxFile is the largest file that is read or written unless [Config.MaxFile] says otherwise, 4 MiB.
const DefaultMaxFile = 4 << 20

// Config says which files a set is for.
type Config struct {
	// Root is a folder that is there.
	Root string
	// Allow are patterns of the files that may be seen and used. Empty means all. They are written like paths
	// relative to the root: * and ? stand for characters of one name, [a-z] for one of them, ** for any number of
	// folders: "docs/**", "**/*.go".
	Allow []string
	// ReadOnly leaves out the tools that change anything.
	ReadOnly bool
	// MaxFile is the size of the largest file that is read or written, in bytes. 0 means [DefaultMaxFile].
	MaxFile int64
}

// Set is a toolset for the files below a root. It is safe for concurrent use.
type Set struct {
	name    string
	root    *os.Root
	allow   patterns
	maxFile int64
	tools   []tools.Tool
	writing sync.Mutex // held by a call that writes
}

// Open opens the root and makes the toolset. Close it when no run uses it any more.
func Open(name string, c Config) (*Set, error) {
	s := &Set{name: name, maxFile: c.MaxFile}
	if s.maxFile == 0 {
		s.maxFile = DefaultMaxFile
	}
	if s.maxFile < 0 {
		return nil, fmt.Errorf("toolset %s: the largest file has %d bytes: it must be positive", name, c.MaxFile)
	}
	for _, text := range c.Allow {
		p, err := parsePattern(text)
		if err != nil {
			return nil, fmt.Errorf("toolset %s: %w", name, err)
		}
		s.allow = append(s.allow, p)
	}
	root, err := os.OpenRoot(c.Root)
	if err != nil {
		return nil, fmt.Errorf("toolset %s: open its root: %w", name, err)
	}
	s.root = root
	s.tools = s.readers()
	if !c.ReadOnly {
		s.tools = append(s.tools, s.writers()...)
	}
	return s, nil
}

// Name returns the name that the set was opened with.
func (s *Set) Name() string { return s.name }

// Tools returns the tools, always the same.
func (s *Set) Tools(context.Context) ([]tools.Tool, error) { return slices.Clone(s.tools), nil }

// Close gives the root back. Calls after it fail.
func (s *Set) Close() error { return s.root.Close() }

// file checks the path of a file and opens the folder that it is in.
func (s *Set) file(name string, create bool) (f file, err error) {
	clean, err := confine.Clean(name)
	if err != nil {
		return file{}, err
	}
	if clean == "." {
		return file{}, errors.New(`"." is the root: give the path of a file`)
	}
	if !s.allow.match(clean, false) {
		return file{}, fmt.Errorf("%s is not one of the files that may be used", clean)
	}
	dir, base, err := confine.Split(s.root, clean, create)
	if err != nil {
		return file{}, err
	}
	return file{dir, base, clean}, nil
}

// folder checks the path of a folder and opens it.
func (s *Set) folder(name string) (*os.Root, string, error) {
	clean, err := confine.Clean(name)
	if err != nil {
		return nil, "", err
	}
	if !s.allow.match(clean, true) {
		return nil, "", fmt.Errorf("%s has none of the files that may be used", clean)
	}
	dir, err := confine.Dir(s.root, clean, false)
	return dir, clean, err
}

// file is a place where a file is or may be.
type file struct {
	dir  *os.Root
	base string
	name string // its whole path, for messages
}

func (f file) close() { f.dir.Close() }

// wrap says which file an error is about.
func (f file) wrap(err error) error {
	if err == nil {
		return nil
	}
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		err = wrapped.Err
	} else if wrapped, ok := errors.AsType[*os.LinkError](err); ok {
		err = wrapped.Err
	}
	return fmt.Errorf("%s: %w", f.name, err)
}

// read returns the content of a file and what it was when it was opened.
func (f file) read(limit int64) ([]byte, fs.FileInfo, error) {
	opened, info, err := confine.File(f.dir, f.base)
	if err != nil {
		return nil, nil, f.wrap(err)
	}
	defer opened.Close()
	if info.Size() > limit {
		return nil, nil, f.wrap(tooLarge(info.Size(), limit))
	}
	data, err := io.ReadAll(io.LimitReader(opened, limit+1)) // it may grow while it is read
	if err == nil && int64(len(data)) > limit {
		err = tooLarge(int64(len(data)), limit)
	}
	if err != nil {
		return nil, nil, f.wrap(err)
	}
	return data, info, nil
}

func tooLarge(size, limit int64) error {
	return fmt.Errorf("it is too large: it has %d bytes or more, the limit is %d", size, limit)
}
