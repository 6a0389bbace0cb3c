package prompts

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// Library is a set of prompts with different names. It does not change and may be used from many goroutines at
// once.
type Library struct {
	byName map[string]*Prompt
}

// Load reads the prompt file at the slash-separated path.
func Load(fsys fs.FS, path string) (*Prompt, error) {
	data, err := fs.ReadFile(fsys, path)
	if err != nil {
		return nil, fmt.Errorf("load prompt: %w", err)
	}
	return Parse(path, data)
}

// LoadDir reads all files below a directory whose names end in .md, each a prompt. Two prompts of one name are an
// error, and so is a directory without any.
func LoadDir(fsys fs.FS, dir string) (*Library, error) {
	lib := &Library{byName: map[string]*Prompt{}}
	err := fs.WalkDir(fsys, dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("load prompts: %w", err)
		}
		if d.IsDir() || path.Ext(file) != ".md" {
			return nil
		}
		p, err := Load(fsys, file)
		if err != nil {
			return err
		}
		if other, ok := lib.byName[p.name]; ok {
			return fmt.Errorf("%s: duplicate prompt name %q, also in %s: give one of them another name in its front matter", file, p.name, other.file)
		}
		lib.byName[p.name] = p
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(lib.byName) == 0 {
		return nil, fmt.Errorf("load prompts: no file in %s ends in .md", dir)
	}
	return lib, nil
}

// Get returns the prompt of a name. The error for an unknown one lists what there is.
func (l *Library) Get(name string) (*Prompt, error) {
	p, ok := l.byName[name]
	if !ok {
		return nil, fmt.Errorf("unknown prompt %q: there are %s", name, strings.Join(l.Names(), ", "))
	}
	return p, nil
}

// Names returns the names of all prompts, sorted.
func (l *Library) Names() []string { return slices.Sorted(maps.Keys(l.byName)) }
