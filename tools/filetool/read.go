package filetool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/internal/confine"
	"github.com/agentrun-dev/agentrun/tools"
)

// Limits of one call.
const (
	maxEntries = 1000  // that are listed
	maxVisited = 20000 // names that are looked at
	pageSize   = 32 << 10
	maxPage    = 64 << 10 // three times as much where it is no UTF-8
)

func (s *Set) readers() []tools.Tool {
	return []tools.Tool{
		tools.New("list_files", "List the files and folders in a folder.", s.list, tools.Pure()),
		tools.New("read_file", "Read a text file or look at an image. Long files come in pages.", s.read, tools.Pure()),
		tools.New("search_files", "Search the lines of all files in a folder and below it for a regular expression (RE2 syntax). Folders whose names begin with a dot are left out unless the path names them.", s.search, tools.Pure()),
	}
}

type listIn struct {
	Path      string `json:"path,omitempty" jsonschema:"default=.,description=Folder relative to the root"`
	Recursive bool   `json:"recursive,omitempty" jsonschema:"description=List what is in folders below too except in those whose names begin with a dot"`
	Glob      string `json:"glob,omitempty" jsonschema:"description=List only files whose path relative to the root fits: **/*.go for instance"`
}

func (s *Set) list(ctx context.Context, in listIn) (string, error) {
	var lines []string
	more, err := s.walk(ctx, in.Path, in.Glob, in.Recursive, func(f file, info fs.FileInfo) bool {
		if len(lines) == maxEntries {
			return false
		}
		lines = append(lines, entryLine(f.name, info))
		return true
	})
	if err != nil {
		return "", err
	}
	if more {
		lines = append(lines, fmt.Sprintf("[there is more: these are the first %d. List a folder below or give a glob]", len(lines)))
	}
	if len(lines) == 0 {
		return "(no files)", nil
	}
	return strings.Join(lines, "\n"), nil
}

// entryLine describes an entry. A name that would break the line, or is not UTF-8, is quoted.
func entryLine(name string, info fs.FileInfo) string {
	if _, err := confine.Clean(name); err != nil {
		name = fmt.Sprintf("%q", name)
	}
	switch mode := info.Mode(); {
	case mode.IsDir():
		return name + "/"
	case mode.IsRegular():
		return fmt.Sprintf("%s (%d bytes)", name, info.Size())
	case mode&fs.ModeSymlink != 0:
		return name + " (a link, not followed)"
	}
	return name + " (not a regular file)"
}

// walk visits what is in a folder, in order of names, as far as the patterns let it. It ends when visit returns false
// or too much was looked at, and then reports that there is more.
func (s *Set) walk(ctx context.Context, name, glob string, recursive bool, visit func(file, fs.FileInfo) bool) (more bool, err error) {
	w := walker{ctx: ctx, set: s, recursive: recursive, visit: visit, left: maxVisited}
	if len(glob) > maxExpression { // it is held against each name
		return false, fmt.Errorf("the glob is longer than %d bytes", maxExpression)
	}
	if glob != "" {
		p, err := parsePattern(glob)
		if err != nil {
			return false, err
		}
		w.glob = patterns{p}
	}
	dir, clean, err := s.folder(name)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	err = w.folder(dir, clean)
	if errors.Is(err, errEnough) {
		return true, nil
	}
	return false, err
}

var errEnough = errors.New("enough was looked at")

type walker struct {
	ctx       context.Context
	set       *Set
	glob      patterns
	recursive bool
	visit     func(file, fs.FileInfo) bool
	left      int // names that may still be looked at
}

func (w *walker) folder(dir *os.Root, name string) error {
	names, err := w.names(dir)
	if err != nil {
		return file{name: name}.wrap(err)
	}
	for _, base := range names {
		f := file{dir, base, path.Join(name, base)}
		info, err := dir.Lstat(base)
		if err != nil {
			continue // it is gone
		}
		if !info.IsDir() {
			if w.set.allow.match(f.name, false) && w.glob.match(f.name, false) && !w.visit(f, info) {
				return errEnough
			}
			continue
		}
		if !w.set.allow.match(f.name, true) {
			continue
		}
		if len(w.glob) == 0 && !w.visit(f, info) {
			return errEnough
		}
		if w.recursive && !strings.HasPrefix(base, ".") && w.glob.match(f.name, true) {
			if err := w.below(f); err != nil {
				return err
			}
		}
	}
	if w.left == 0 {
		return errEnough
	}
	return nil
}

func (w *walker) below(f file) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if _, err := confine.Clean(f.name); err != nil {
		return nil // a name that no call can use
	}
	sub, err := confine.Sub(f.dir, f.base)
	if err != nil {
		return nil // gone, replaced or not for us to read
	}
	defer sub.Close()
	return w.folder(sub, f.name)
}

// names returns the names in a folder in their order, and fewer of a folder that has too many.
func (w *walker) names(dir *os.Root) ([]string, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var names []string
	for w.left > 0 {
		batch, err := d.Readdirnames(min(w.left, 1000))
		names = append(names, batch...)
		w.left -= len(batch)
		if errors.Is(err, io.EOF) || err == nil && len(batch) == 0 {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

type readIn struct {
	Path   string `json:"path" jsonschema:"description=File relative to the root"`
	Line   int    `json:"line,omitempty" jsonschema:"minimum=1,description=Begin at this line; the first is 1"`
	Offset int    `json:"offset,omitempty" jsonschema:"minimum=0,description=Begin at this byte; how to read on from a page before"`
	Limit  int    `json:"limit,omitempty" jsonschema:"minimum=1,maximum=65536,default=32768,description=Bytes of a page"`
}

func (s *Set) read(ctx context.Context, in readIn) (tools.Result, error) {
	f, err := s.file(in.Path, false)
	if err != nil {
		return tools.Result{}, err
	}
	defer f.close()
	data, _, err := f.read(s.maxFile)
	if err != nil {
		return tools.Result{}, err
	}
	switch kind := tools.ImageType(data); {
	case kind != "":
		picture := tools.Picture(kind, data)
		picture.Content = fmt.Sprintf("%s (%s, %d bytes)", f.name, kind, len(data))
		return picture, nil
	case bytes.IndexByte(data, 0) >= 0:
		return tools.Result{}, f.wrap(fmt.Errorf("it is a binary file of %d bytes, which cannot be shown as text", len(data)))
	case len(data) == 0:
		return tools.Text("(the file is empty)"), nil
	}
	text := string(data)
	if in.Line > 0 {
		if in.Offset > 0 {
			return tools.Result{}, errors.New("give a line or an offset, not both")
		}
		if in.Offset, err = lineStart(text, in.Line); err != nil {
			return tools.Result{}, f.wrap(err)
		}
	}
	shown, err := page(text, in.Offset, in.Limit)
	return tools.Text(shown), f.wrap(err)
}

// lineStart returns where a line begins.
func lineStart(text string, line int) (int, error) {
	at := 0
	for range line - 1 {
		next := strings.IndexByte(text[at:], '\n')
		if next < 0 || at+next+1 == len(text) {
			return 0, fmt.Errorf("it has only %d lines", countLines(text))
		}
		at += next + 1
	}
	return at, nil
}

func countLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}

// page is a page of a file with whole lines, where it has any, and a last line that says where it is from.
func page(text string, offset, limit int) (string, error) {
	if limit == 0 {
		limit = pageSize
	}
	p, err := tools.PageOf(text, offset, min(limit, maxPage))
	if err != nil {
		return "", err
	}
	if end := strings.LastIndexByte(p.Text, '\n') + 1; p.More() && end > 0 {
		p.Text, p.Next = p.Text[:end], p.Offset+end
	}
	if p.Offset == 0 && !p.More() {
		return p.Text, nil
	}
	first := strings.Count(text[:p.Offset], "\n") + 1
	last := first + max(countLines(p.Text)-1, 0)
	how := "this is the end"
	if p.More() {
		how = fmt.Sprintf("read on with offset %d", p.Next)
	}
	return fmt.Sprintf("%s\n[lines %d to %d of %d, bytes %d to %d of %d: %s]",
		strings.TrimSuffix(p.Text, "\n"), first, last, countLines(text), p.Offset, p.Next, p.Total, how), nil
}
