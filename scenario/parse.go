package scenario

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"

	"github.com/agentrun-dev/agentrun/prompts"
)

// defaultFile is a directory's scenario.
const defaultFile = "scenario.yaml"

// Load reads a scenario from a file, or from a directory: its scenario.yaml, or else its only file
// that ends in .yaml. What is wrong with the content is an [*Error].
func Load(path string) (*Scenario, error) {
	info, err := os.Stat(path)
	if err != nil {
		if target, linkErr := os.Readlink(path); linkErr == nil {
			return nil, fmt.Errorf("scenario %s is a link to %s, which cannot be followed; name the file itself: %w", path, target, err)
		}
		return nil, fmt.Errorf("no scenario %s; name a file, or a directory that has a %s: %w", path, defaultFile, err)
	}
	if info.IsDir() {
		dir := path
		name, err := findIn(dir)
		if err != nil {
			return nil, err
		}
		path = filepath.Join(dir, name)
		// What is found in a directory must not lead out of it, unlike a file that somebody named.
		data, err := readIn(dir, name, maxSize)
		if err != nil {
			return nil, fmt.Errorf("cannot read scenario %s; it must be a file of its directory, not a link to elsewhere: %w", path, err)
		}
		return Parse(path, data)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("scenario %s is no file; name a file, or a directory that has a %s", path, defaultFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario: %w", err)
	}
	return Parse(path, data)
}

// findIn returns the name of a directory's scenario.
func findIn(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("look for a scenario: %w", err)
	}
	var found []string
	for _, e := range entries {
		switch name := e.Name(); {
		case e.IsDir():
		case name == defaultFile:
			return name, nil
		case filepath.Ext(name) == ".yaml":
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no scenario in %s, which has neither %s nor another file that ends in .yaml; name the scenario's file", dir, defaultFile)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("no %s in %s, but more than one file that ends in .yaml (%s); name one of them", defaultFile, dir, clip(found, 10))
}

// readIn reads a file below a directory, refusing links that lead out of it, and at most one byte
// more than limit.
func readIn(dir, name string, limit int64) ([]byte, error) {
	if dir == "" {
		dir = "."
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	// To open a pipe would wait for somebody who writes to it.
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("not a regular file")}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// Parse is [Load] for the content of a file. Errors begin with the file's name, and prompts are read
// from its directory.
func Parse(file string, data []byte) (*Scenario, error) {
	p := &problems{file: file}
	s := &Scenario{path: file, places: &place{name: "the scenario"}, read: map[int]*prompts.Prompt{}}
	if body := p.parseText(data); body != nil {
		p.decode(body, reflect.ValueOf(s).Elem(), s.places)
		if !p.otherVersion(s, body) {
			p.check(s)
		}
	}
	if err := p.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// parseText returns the document of a file, or nil after reporting what is wrong.
func (p *problems) parseText(data []byte) ast.Node {
	if len(data) > maxSize {
		p.add(position{}, "the scenario is larger than %d MiB; move data out of it into files that tools read", maxSize>>20)
		return nil
	}
	text := strings.ReplaceAll(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n", "\n")
	if i := invalidUTF8(text); i >= 0 {
		line, column := 1+strings.Count(text[:i], "\n"), 1+utf8.RuneCountInString(text[strings.LastIndexByte(text[:i], '\n')+1:i])
		p.add(position{line, column}, "not valid UTF-8; save the file in that encoding")
		return nil
	}
	return p.parseYAML(text)
}

// invalidUTF8 returns the index of the first byte that is not UTF-8, or -1.
func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// otherVersion reports whether the file is of another version, which is then its only problem: what
// else is wrong in the eyes of this one may be right there.
func (p *problems) otherVersion(s *Scenario, body ast.Node) bool {
	at := s.places.find("version")
	switch {
	case !isMapping(body):
		return true // decode said so
	case !s.places.has("version"):
		p.add(position{}, "the version is missing; begin the file with version: %d", Version)
	case s.Version == Version:
	case at.bad: // decode said so
	default:
		p.list = nil
		p.add(at.position, "version %d is not one that this program reads, which is %d; use a newer program, or write version: %d", s.Version, Version, Version)
		return true
	}
	return false
}
