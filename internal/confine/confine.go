// Package confine opens files and folders below a root by names that cannot be trusted. It follows no link on the way,
// so that a name leads to the one place that it spells: [os.Root] keeps a link from leaving the root, but one within
// it would get around a list of names that are allowed.
//
// Links may be made, moved and removed while it looks. What it opens is compared with what it saw, and refused if it
// is another file. It does not see hard links, which are the file itself, nor mounts.
package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of names.
const (
	maxName  = 4096
	maxDepth = 100
)

// What is wrong with a name, or with what is there.
var (
	ErrName    = errors.New("not a path that may be used")
	ErrLink    = errors.New("it is a link, and links are not followed")
	ErrKind    = errors.New("it is not a regular file")
	ErrChanged = errors.New("it was replaced in the meantime")
)

// Clean returns the shortest form of a relative path with slashes, "." for the root itself. The error, an [ErrName],
// says why a path is none: it is absolute, goes up, or means something else on this system than it spells.
func Clean(name string) (string, error) { return clean(name, filepath.Separator == '\\') }

func clean(name string, windows bool) (string, error) {
	bad := func(why string) (string, error) {
		if len(name) > 200 {
			name = name[:200]
		}
		return "", fmt.Errorf("path %q: %w: %s", name, ErrName, why)
	}
	switch {
	case len(name) > maxName:
		return bad(fmt.Sprintf("it is longer than %d bytes", maxName))
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case strings.ContainsFunc(name, unicode.IsControl):
		return bad("it has control characters")
	case strings.HasPrefix(name, "/"):
		return bad("it is absolute, use one that is relative to the root")
	case windows && strings.ContainsAny(name, `\:`):
		return bad(`use "/" between names, and no "\" or ":"`)
	}
	short := path.Clean(name) // "." for ""
	for _, element := range strings.Split(name, "/") {
		if element == ".." {
			return bad(`it goes up by ".."`)
		}
		if windows && element != "." && strings.TrimRight(element, ". ") != element {
			return bad("a name ends in a dot or a space, which this system drops")
		}
	}
	if !filepath.IsLocal(filepath.FromSlash(short)) {
		return bad("this system reserves the name")
	}
	if strings.Count(short, "/") >= maxDepth {
		return bad(fmt.Sprintf("it is deeper than %d folders", maxDepth))
	}
	return short, nil
}

// Dir opens the folder of a clean name, for the caller to close. With create, folders that are not there are made.
func Dir(root *os.Root, name string, create bool) (*os.Root, error) {
	dir, err := root.OpenRoot(".")
	if err != nil || name == "." {
		return dir, err
	}
	at := ""
	for _, element := range strings.Split(name, "/") {
		at = path.Join(at, element)
		if create {
			if err := dir.Mkdir(element, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
				dir.Close()
				return nil, in(at, err)
			}
		}
		next, err := Sub(dir, element)
		dir.Close()
		if err != nil {
			return nil, in(at, err)
		}
		dir = next
	}
	return dir, nil
}

// Sub opens a folder right below dir, for the caller to close.
func Sub(dir *os.Root, element string) (*os.Root, error) {
	seen, err := dir.Lstat(element)
	switch {
	case err != nil:
		return nil, bare(err)
	case seen.Mode()&fs.ModeSymlink != 0:
		return nil, ErrLink
	case !seen.IsDir():
		return nil, errors.New("it is not a folder")
	}
	sub, err := dir.OpenRoot(element)
	if err != nil {
		return nil, bare(err)
	}
	got, err := sub.Stat(".")
	if err == nil && !os.SameFile(seen, got) {
		err = ErrChanged
	}
	if err != nil {
		sub.Close()
		return nil, bare(err)
	}
	return sub, nil
}

// Split opens the folder that a clean name is in, and returns the name within it.
func Split(root *os.Root, name string, create bool) (dir *os.Root, base string, err error) {
	dir, err = Dir(root, path.Dir(name), create)
	return dir, path.Base(name), err
}

// Regular says what is under a name in dir. The error is [ErrLink] or [ErrKind] if that is no regular file.
func Regular(dir *os.Root, base string) (fs.FileInfo, error) {
	info, err := dir.Lstat(base)
	if err != nil {
		return nil, bare(err)
	}
	return info, regular(info)
}

func regular(info fs.FileInfo) error {
	switch mode := info.Mode(); {
	case mode.IsRegular():
		return nil
	case mode&fs.ModeSymlink != 0:
		return ErrLink
	case mode.IsDir():
		return fmt.Errorf("%w: it is a folder", ErrKind)
	case mode&fs.ModeNamedPipe != 0:
		return fmt.Errorf("%w: it is a named pipe", ErrKind)
	case mode&fs.ModeDevice != 0:
		return fmt.Errorf("%w: it is a device", ErrKind)
	case mode&fs.ModeSocket != 0:
		return fmt.Errorf("%w: it is a socket", ErrKind)
	}
	return ErrKind
}

// File opens a regular file in dir to read it. It never waits for the other end of a pipe.
func File(dir *os.Root, base string) (*os.File, fs.FileInfo, error) {
	seen, err := Regular(dir, base)
	if err != nil {
		return nil, nil, err
	}
	f, err := dir.OpenFile(base, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, nil, bare(err)
	}
	got, err := f.Stat()
	if err == nil {
		err = regular(got)
	}
	if err == nil && !os.SameFile(seen, got) {
		err = ErrChanged
	}
	if err != nil {
		f.Close()
		return nil, nil, bare(err)
	}
	return f, got, nil
}

// in says where on the way something was wrong.
func in(name string, err error) error { return fmt.Errorf("%s: %w", name, bare(err)) }

// bare takes the operation and the path from a system's error: they are not the ones that were asked for.
func bare(err error) error {
	if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
		return wrapped.Err
	}
	if wrapped, ok := errors.AsType[*os.LinkError](err); ok {
		return wrapped.Err
	}
	return err
}
