package filetool

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/agentrun-dev/agentrun/internal/confine"
	"github.com/agentrun-dev/agentrun/tools"
)

func (s *Set) writers() []tools.Tool {
	return []tools.Tool{
		tools.New("write_file", "Write a text file: make it with the folders that it is in, or replace all of it.",
			s.write, tools.Unsafe(), tools.Reconcile(s.wrote)),
		tools.New("edit_file", "Replace a piece of a text file by another. The old piece must be exactly as it is in the file, with its white space, and occur only once unless all is set.",
			s.edit, tools.Unsafe(), tools.Reconcile(s.edited)),
		tools.New("move_file", "Give a file another path. There must be no file yet.",
			s.move, tools.Unsafe(), tools.Reconcile(s.moved)),
		tools.New("delete_file", "Delete a file or an empty folder.",
			s.delete, tools.Unsafe(), tools.Reconcile(s.deleted)),
	}
}

// errCannotTell is for a Reconcile function that does not find what its call leaves: the call may not have happened,
// or somebody may have changed the files since.
var errCannotTell = errors.New("the files are not as the call leaves them: look at them to decide whether it happened")

// cannotTell is what a Reconcile function returns then, with what it found instead.
func cannotTell(err error) (string, bool, error) {
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = errCannotTell
	}
	return "", false, err
}

type writeIn struct {
	Path    string `json:"path" jsonschema:"description=File relative to the root"`
	Content string `json:"content" jsonschema:"description=All that the file is to have"`
}

func (in writeIn) done(name string) string {
	return fmt.Sprintf("%s now has %d bytes", name, len(in.Content))
}

func (s *Set) write(ctx context.Context, in writeIn) (string, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	f, err := s.file(in.Path, true)
	if err != nil {
		return "", err
	}
	defer f.close()
	old, err := confine.Regular(f.dir, f.base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", f.wrap(err)
	}
	if err != nil {
		old = nil
	}
	return in.done(f.name), s.replace(ctx, f, old, []byte(in.Content))
}

func (s *Set) wrote(_ context.Context, _ string, in writeIn) (string, bool, error) {
	f, err := s.file(in.Path, false)
	if err != nil {
		return cannotTell(err)
	}
	defer f.close()
	data, _, err := f.read(s.maxFile)
	if err != nil || string(data) != in.Content {
		return cannotTell(err)
	}
	return in.done(f.name), true, nil
}

// replace puts a file with data in the place of old, which is nil if there is none, unless somebody else has changed
// that in the meantime. An error means that nothing has changed, or that nobody can tell.
func (s *Set) replace(ctx context.Context, f file, old fs.FileInfo, data []byte) (err error) {
	if int64(len(data)) > s.maxFile {
		return f.wrap(tooLarge(int64(len(data)), s.maxFile))
	}
	temp := ".agentrun-" + rand.Text() + ".tmp"
	mode := fs.FileMode(0o666)
	if old != nil {
		mode = old.Mode().Perm()
	}
	opened, err := f.dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return f.wrap(err)
	}
	defer func() {
		if err != nil {
			f.dir.Remove(temp)
		}
	}()
	if old != nil {
		err = opened.Chmod(mode) // what the umask took away
	}
	if err == nil {
		_, err = opened.Write(data)
	}
	if err == nil {
		err = opened.Sync()
	}
	if err = errors.Join(err, opened.Close()); err != nil {
		return f.wrap(err)
	}
	if err := f.unchanged(old); err != nil {
		return f.wrap(err)
	}
	if err := ctx.Err(); err != nil {
		return f.wrap(err) // nobody waits any more
	}
	if err := f.dir.Rename(temp, f.base); err != nil {
		return f.wrap(err)
	}
	return f.settled(f.dir)
}

// unchanged checks that a file is still the one that was looked at.
func (f file) unchanged(old fs.FileInfo) error {
	now, err := confine.Regular(f.dir, f.base)
	switch {
	case old == nil && errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case old == nil || !os.SameFile(old, now) || !old.ModTime().Equal(now.ModTime()) || old.Size() != now.Size():
		return errors.New("somebody else has changed it in the meantime: read it again")
	}
	return nil
}

// settled makes what was done to the names in a folder last. That it was done is certain, that it lasts is not if this
// fails.
func (f file) settled(dir *os.Root) error {
	if err := syncDir(dir); err != nil {
		return &tools.UnknownOutcomeError{Err: f.wrap(err)}
	}
	return nil
}

type editIn struct {
	Path string `json:"path" jsonschema:"description=File relative to the root"`
	Old  string `json:"old" jsonschema:"minLength=1,description=The piece that is there"`
	New  string `json:"new" jsonschema:"description=What is to be there instead"`
	All  bool   `json:"all,omitempty" jsonschema:"description=Replace the piece wherever it occurs"`
}

func (s *Set) edit(ctx context.Context, in editIn) (string, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	f, err := s.file(in.Path, false)
	if err != nil {
		return "", err
	}
	defer f.close()
	data, old, err := f.read(s.maxFile)
	if err != nil {
		return "", err
	}
	count, err := in.occurs(data)
	if err != nil {
		return "", f.wrap(err)
	}
	// A short piece that occurs often must not make a file that has no room in memory.
	if size := int64(len(data)) + int64(count)*int64(len(in.New)-len(in.Old)); size > s.maxFile {
		return "", f.wrap(tooLarge(size, s.maxFile))
	}
	edited := bytes.ReplaceAll(data, []byte(in.Old), []byte(in.New))
	return fmt.Sprintf("%s: replaced %d of %d bytes", f.name, count*len(in.Old), len(data)), s.replace(ctx, f, old, edited)
}

// occurs counts how often the old piece is in a file. It is an error if that is not as often as it should be.
func (in editIn) occurs(data []byte) (int, error) {
	if in.Old == in.New {
		return 0, errors.New("the old piece and the new one are the same")
	}
	old := []byte(in.Old)
	first := bytes.Index(data, old)
	if first < 0 {
		if windows := strings.ReplaceAll(in.Old, "\n", "\r\n"); windows != in.Old && bytes.Contains(data, []byte(windows)) {
			return 0, errors.New(`it does not have the old piece: its lines end in \r\n, so those of the piece must, too`)
		}
		return 0, errors.New("it does not have the old piece: read the file, and give the piece exactly as it is there")
	}
	count := bytes.Count(data, old)
	again := bytes.Contains(data[first+1:], old) // it may overlap with itself, which Count does not count
	if again && !in.All {
		return 0, fmt.Errorf("it has the old piece %d times: give more of what is around it, or set all", max(count, 2))
	}
	return count, nil
}

func (s *Set) edited(_ context.Context, _ string, in editIn) (string, bool, error) {
	f, err := s.file(in.Path, false)
	if err != nil {
		return cannotTell(err)
	}
	defer f.close()
	data, _, err := f.read(s.maxFile)
	if err != nil {
		return cannotTell(err)
	}
	text := string(data)
	if !strings.Contains(text, in.New) {
		return cannotTell(nil)
	}
	if in.New != "" {
		text = strings.ReplaceAll(text, in.New, "\x00") // the new piece may contain the old one
	}
	if strings.Contains(text, in.Old) {
		return cannotTell(nil)
	}
	return f.name + " has the new piece and not the old one", true, nil
}

type moveIn struct {
	From string `json:"from" jsonschema:"description=File relative to the root"`
	To   string `json:"to" jsonschema:"description=Where it is to be relative to the root"`
}

func (s *Set) move(ctx context.Context, in moveIn) (string, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	from, err := s.file(in.From, false)
	if err != nil {
		return "", err
	}
	defer from.close()
	moved, err := confine.Regular(from.dir, from.base)
	if err != nil {
		return "", from.wrap(err)
	}
	to, err := s.file(in.To, true)
	if err != nil {
		return "", err
	}
	defer to.close()
	there, err := to.dir.Lstat(to.base)
	switch {
	case err == nil && os.SameFile(moved, there) && path.Dir(from.name) == path.Dir(to.name) && strings.EqualFold(from.base, to.base) && from.base != to.base:
		// Another spelling of its own name, where the system takes them for the same.
	case err == nil:
		return "", to.wrap(errors.New("there is something already: delete it first, or use another path"))
	case !errors.Is(err, fs.ErrNotExist):
		return "", to.wrap(err)
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if err := rename(s.root, from, to); err != nil {
		return "", from.wrap(err)
	}
	if now, err := to.dir.Lstat(to.base); err != nil || !os.SameFile(moved, now) {
		return "", &tools.UnknownOutcomeError{Err: fmt.Errorf("%s was moved, but is not found as %s: it was replaced in the meantime", from.name, to.name)}
	}
	return from.name + " is now " + to.name, errors.Join(to.settled(to.dir), from.settled(from.dir))
}

func (s *Set) moved(_ context.Context, _ string, in moveIn) (string, bool, error) {
	from, err := s.file(in.From, false)
	if err == nil {
		defer from.close()
		_, err = from.dir.Lstat(from.base)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return cannotTell(err)
	}
	to, err := s.file(in.To, false)
	if err != nil {
		return cannotTell(err)
	}
	defer to.close()
	if _, err := confine.Regular(to.dir, to.base); err != nil {
		return cannotTell(err)
	}
	return fmt.Sprintf("%s is now %s", in.From, to.name), true, nil
}

type deleteIn struct {
	Path string `json:"path" jsonschema:"description=File or empty folder relative to the root"`
}

func (s *Set) delete(ctx context.Context, in deleteIn) (string, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	f, err := s.file(in.Path, false)
	if err != nil {
		return "", err
	}
	defer f.close()
	info, err := f.dir.Lstat(f.base)
	if err == nil && !info.IsDir() {
		_, err = confine.Regular(f.dir, f.base)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = f.dir.Remove(f.base)
	}
	if err != nil {
		return "", f.wrap(err)
	}
	return f.name + " is deleted", f.settled(f.dir)
}

func (s *Set) deleted(_ context.Context, _ string, in deleteIn) (string, bool, error) {
	f, err := s.file(in.Path, false)
	if err == nil {
		defer f.close()
		_, err = f.dir.Lstat(f.base)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return cannotTell(err)
	}
	return in.Path + " is deleted", true, nil
}
