package prompts

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// What a directory of prompts may have, together. It is far above what people write, and guards against naming the
// wrong directory.
const (
	maxFiles       = 10_000
	maxLibrarySize = 64 << 20
)

// Library is a set of prompts, each with a name and a version of its own. It may be used from many goroutines at
// once, and does not change unless it is one of [LoadDev].
type Library struct {
	set *set // nil: dev has it
	dev *dev // nil: it does not change
}

// set is what was read at one time.
type set struct {
	byRef  map[string]*Prompt
	byName map[string][]*Prompt // oldest first
}

// Load reads the prompt file at the slash-separated path. If it includes partials, these are looked for among the
// files of its directory, as [LoadDir] reads it.
func Load(fsys fs.FS, path string) (*Prompt, error) {
	data, err := readFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("load prompt: %w", err)
	}
	p, err := parseFile(path, data)
	if err != nil || len(p.includes) == 0 {
		return p, err
	}
	return loadBeside(fsys, path)
}

// loadBeside finds a file's prompt in the library of its directory.
func loadBeside(fsys fs.FS, file string) (*Prompt, error) {
	l, err := LoadDir(fsys, path.Dir(file))
	if err != nil {
		return nil, err
	}
	for _, p := range l.set.byRef {
		if p.file == path.Clean(file) {
			return p, nil
		}
	}
	return nil, fmt.Errorf("load prompt: %s includes partials, and is no file that a library has: call it NAME.md", file)
}

// LoadDir reads all files below a directory whose names end in .md, each a prompt; but not those that are hidden,
// with a name that begins with a dot, or below such a directory. Two prompts of one name and version are an error,
// and so are several of one name of which one has no version, and a directory without any.
func LoadDir(fsys fs.FS, dir string) (*Library, error) {
	files, err := readDir(fsys, dir)
	if err != nil {
		return nil, err
	}
	all, err := link(dir, files)
	if err != nil {
		return nil, err
	}
	return &Library{set: all}, nil
}

// file is a file of a directory.
type file struct {
	name string
	data []byte
}

// walk calls do with every prompt file below dir.
func walk(fsys fs.FS, dir string, do func(name string) error) error {
	n := 0
	return fs.WalkDir(fsys, dir, func(name string, d fs.DirEntry, err error) error {
		hidden := name != dir && strings.HasPrefix(path.Base(name), ".")
		switch {
		case err != nil:
			return fmt.Errorf("load prompts: %w", err)
		case d.IsDir() && hidden:
			return fs.SkipDir
		case d.IsDir(), hidden, path.Ext(name) != ".md":
			return nil
		}
		if n++; n > maxFiles {
			return fmt.Errorf("load prompts: %s has more than %d files that end in .md; is it the right directory?", dir, maxFiles)
		}
		return do(name)
	})
}

func readDir(fsys fs.FS, dir string) (files []file, err error) {
	total := 0
	err = walk(fsys, dir, func(name string) error {
		data, err := readFile(fsys, name)
		if err != nil {
			return fmt.Errorf("load prompt: %w", err)
		}
		if total += len(data); total > maxLibrarySize {
			return fmt.Errorf("load prompts: the files in %s have more than %d MiB; is it the right directory?", dir, maxLibrarySize>>20)
		}
		files = append(files, file{name, data})
		return nil
	})
	return files, err
}

// readFile reads a file and at most one byte more than a prompt may have. To open a pipe would wait for somebody who
// writes to it.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	return data, errors.Join(err, f.Close())
}

// link makes prompts of files, with their partials from among them.
func link(dir string, files []file) (*set, error) {
	all := &set{map[string]*Prompt{}, map[string][]*Prompt{}}
	for _, f := range files {
		p, err := parseFile(f.name, f.data)
		if err != nil {
			return nil, err
		}
		if err := all.add(p); err != nil {
			return nil, err
		}
	}
	if len(all.byRef) == 0 {
		return nil, fmt.Errorf("load prompts: no file in %s ends in .md", dir)
	}
	for _, list := range all.byName {
		slices.SortFunc(list, func(a, b *Prompt) int { return compareVersions(a.version, b.version) })
	}
	l := linker{find: all.get, done: map[*Prompt]bool{}}
	for _, p := range all.list() {
		if err := l.link(p); err != nil {
			return nil, err
		}
	}
	if err := all.join(); err != nil {
		return nil, err
	}
	return all, nil
}

func (all *set) add(p *Prompt) error {
	same := all.byName[p.name]
	if other, ok := all.byRef[p.Ref()]; ok {
		if p.version != "" {
			return fmt.Errorf("%s: duplicate version %s of prompt %q, also in %s: give one of them another version", p.file, p.version, p.name, other.file)
		}
		return fmt.Errorf("%s: duplicate prompt name %q, also in %s: give one of them another name in its front matter, or both a version", p.file, p.name, other.file)
	}
	if len(same) > 0 && (p.version == "" || same[0].version == "") {
		bare, other := p, same[0]
		if p.version != "" {
			bare, other = other, p
		}
		return fmt.Errorf("%s: prompt %q has version %s in %s, so this one needs a version too: write it in the front matter, or call the file %s@VERSION.md",
			bare.file, p.name, other.version, other.file, p.name)
	}
	all.byRef[p.Ref()] = p
	all.byName[p.name] = append(same, p)
	return nil
}

// join puts all bodies into one set of templates, under the names that bodies may include them by.
func (all *set) join() error {
	templates := newTemplate("")
	for ref, p := range all.byRef {
		p.beside = all.byRef
		names := []string{ref}
		if list := all.byName[p.name]; p == list[len(list)-1] && p.version != "" {
			names = append(names, p.name)
		}
		for _, name := range names {
			t, err := templates.AddParseTree(name, p.body.Tree)
			if err != nil {
				return fmt.Errorf("%s: %w", p.file, err)
			}
			p.body = t // under either name
		}
	}
	return nil
}

func (all *set) list() []*Prompt {
	return slices.SortedFunc(maps.Values(all.byRef), func(a, b *Prompt) int {
		return cmp.Or(strings.Compare(a.name, b.name), compareVersions(a.version, b.version))
	})
}

func (all *set) get(ref string) (*Prompt, error) {
	name, version, err := splitRef(ref)
	if err != nil {
		return nil, err
	}
	list, ok := all.byName[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("unknown prompt %q: there are %s", name, strings.Join(all.names(), ", "))
	case version == "":
		return list[len(list)-1], nil
	}
	if p, ok := all.byRef[ref]; ok {
		return p, nil
	}
	return nil, fmt.Errorf("prompt %q has no version %s: it has %s", name, version, versionsOf(list))
}

func versionsOf(list []*Prompt) string {
	var versions []string
	for _, p := range list {
		if p.version != "" {
			versions = append(versions, p.version)
		}
	}
	return cmp.Or(strings.Join(versions, ", "), "none")
}

func (all *set) names() []string { return slices.Sorted(maps.Keys(all.byName)) }

// Get returns the prompt NAME@VERSION, or the newest one that is called NAME. The error for what is not there lists
// what is.
//
// Versions are ordered as people count: numbers in them by value, so that 10 comes after 9 and 1.10 after 1.9; the
// rest as text. One with a mark behind a dash comes before the one without: 2.0-draft before 2.0.
func (l *Library) Get(ref string) (*Prompt, error) {
	if l.dev != nil {
		return l.dev.get(ref)
	}
	return l.set.get(ref)
}

// Names returns the names of all prompts, sorted.
func (l *Library) Names() []string { return l.now().names() }

// All returns all prompts in all versions, sorted by name, each name's oldest version first.
func (l *Library) All() []*Prompt { return l.now().list() }

// now are the prompts as they are now.
func (l *Library) now() *set {
	if l.dev != nil {
		all, _ := l.dev.look()
		return all
	}
	return l.set
}
