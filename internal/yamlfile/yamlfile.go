// Package yamlfile reads small YAML files strictly into structs, and says in which line
// something is wrong.
package yamlfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Error is what is wrong in a line of a file.
type Error struct {
	File    string
	Line    int // from 1
	Message string
	Err     error // may be nil
}

// Error returns FILE:LINE: message, on one line.
func (e *Error) Error() string {
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, strings.Join(strings.Fields(e.Message), " "))
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// File is a file under its name.
type File struct {
	Name string
	Data []byte
}

// Decode sets v, which has yaml tags, to what is in the file. A key that v does not
// have, one that is there twice, and a second document are errors.
func (f File) Decode(v any) error {
	d := yaml.NewDecoder(bytes.NewReader(f.Data), yaml.Strict())
	err := d.Decode(v)
	var at yaml.Error
	switch {
	case errors.Is(err, io.EOF):
		return &Error{f.Name, 1, "the file is empty", nil}
	case errors.As(err, &at) && at.GetToken() != nil:
		return &Error{f.Name, at.GetToken().Position.Line, at.GetMessage(), err}
	case err != nil:
		return &Error{f.Name, 1, err.Error(), err}
	}
	var more any
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return &Error{f.Name, 1, "the file has a second document; put it into a file of its own", nil}
	}
	return nil
}

// Version is an error unless the file has version: want. A file of
// another version is not read any further, since what is wrong in it may be right there.
func (f File) Version(want int) error {
	var v struct {
		Version *int `yaml:"version"`
	}
	err := yaml.NewDecoder(bytes.NewReader(f.Data)).Decode(&v)
	switch {
	case v.Version != nil && *v.Version != want:
		return f.Wrong("$.version", nil, "version %d is not one that this program reads, which is %d; use a newer program, or write version: %d", *v.Version, want, want)
	case v.Version == nil && (err == nil || errors.Is(err, io.EOF)):
		return f.Wrong("$.version", nil, "the version is missing; begin the file with version: %d", want)
	}
	return nil // whatever else is wrong, Decode says
}

// Wrong is an error about the value at a path such as $.cases[0].name, in its line, or
// in that of the nearest value above it if it is not there.
func (f File) Wrong(path string, cause error, format string, args ...any) error {
	return &Error{f.Name, f.line(path), fmt.Sprintf(format, args...), cause}
}

func (f File) line(path string) int {
	doc, err := parser.ParseBytes(f.Data, 0)
	if err != nil {
		return 1
	}
	for ; len(path) > len("$"); path = path[:strings.LastIndexAny(path, ".[")] {
		p, err := yaml.PathString(path)
		if err != nil {
			return 1
		}
		if node, err := p.FilterFile(doc); err == nil && node != nil {
			return begin(node)
		}
	}
	return 1
}

// begin is the line in which a value begins. A block mapping's own token is the colon
// of its first key.
func begin(node ast.Node) int {
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	if m, ok := node.(*ast.MappingValueNode); ok {
		node = m.Key
	}
	return node.GetToken().Position.Line
}
