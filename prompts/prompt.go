package prompts

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
)

// maxSize is how large a prompt file may be, in bytes. It is far above what a person writes and guards against
// naming the wrong file.
const maxSize = 1 << 20

// maxVariables is how many variables a prompt may have.
const maxVariables = 256

// Type is the type of a variable.
type Type string

// The types that a variable may have, as they are written in front matter.
const (
	String  Type = "string"
	Number  Type = "number"
	Integer Type = "integer" // a whole number that fits into 64 bits
	Boolean Type = "boolean"
	List    Type = "list"
	Object  Type = "object"
)

// Variable is a declared variable of a prompt.
type Variable struct {
	// Name is how the body refers to it.
	Name string
	// Type is what values it takes.
	Type Type
	// Required says that it must be given.
	Required bool
	// Default is its value if it is not given: a string, float64, int64, bool, []any or map[string]any. It is nil
	// if the variable is required.
	Default any
	// Description says what it is for.
	Description string
}

// Prompt is a text for a model with declared variables. It does not change and may be used from many goroutines
// at once.
type Prompt struct {
	name, description, model, version, hash string

	params    Params
	variables []Variable         // sorted by name; with those of the partials
	inherited map[string]*Prompt // which partial a variable is from; the others are the prompt's own
	file      string             // for errors
	front     string             // as the file has it
	text      string             // of the body, as the file has it
	bodyLine  int                // the line of file where the body begins
	body      *template.Template // nil for a static text
	includes  []include          // in the body's order
	partials  []*Prompt          // those that includes name, each once
	beside    map[string]*Prompt // those of the library, by Ref; nil: it is in none
	expanded  int                // bytes of the body with its partials
}

// Text makes a prompt of a string, as it is: nothing in it is a template and it has no variables. Its name is
// "text".
func Text(s string) *Prompt {
	return &Prompt{name: "text", file: "text", text: s, hash: hash(s)}
}

// Name returns the prompt's name.
func (p *Prompt) Name() string { return p.name }

// Description returns what the prompt is for, or "".
func (p *Prompt) Description() string { return p.description }

// Ref returns how a library finds this very version: NAME@VERSION, or NAME if it has none.
func (p *Prompt) Ref() string { return joinRef(p.name, p.version) }

// File returns the name of the file that the prompt was read from. That of a [Text] is "text".
func (p *Prompt) File() string { return p.file }

// FrontMatter returns the YAML of the front matter, with line ends as \n. A [Text] has none.
func (p *Prompt) FrontMatter() string { return p.front }

// Body returns the template as the file has it, with line ends as \n and without the blank lines around it.
func (p *Prompt) Body() string { return p.text }

// Params returns the parameters in the front matter. Those of its partials play no part.
func (p *Prompt) Params() Params { return p.params.clone() }

// Partials returns the prompts that the body includes itself, each once, in the order in which it does.
func (p *Prompt) Partials() []*Prompt { return slices.Clone(p.partials) }

// Model returns the model that the prompt was written for, or "".
func (p *Prompt) Model() string { return p.model }

// Version returns the author's label of this version, or "". See [Library.Get] for how they are ordered.
func (p *Prompt) Version() string { return p.version }

// Hash returns the hexadecimal SHA-256 of the prompt's file, front matter included, without a byte order mark,
// with line ends as \n and without blank space at its end. That of a [Text] is the hash of the text.
//
// The hash of a prompt with partials covers them: it is that of a line with the hash of its file and, for each
// partial that it names, sorted, a line with the name as it is written, a space, and the partial's hash.
func (p *Prompt) Hash() string { return p.hash }

// Variables returns the declared variables, sorted by name, with those of its partials. Values in defaults are shared: do not change them.
func (p *Prompt) Variables() []Variable { return slices.Clone(p.variables) }

// Must returns v and panics if err is not nil. It is for prompts that come with the program:
//
//	var triage = prompts.Must(prompts.Load(files, "triage.md"))
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ParseError says what is wrong with a prompt file and where.
type ParseError struct {
	// File is the name that the file was loaded by.
	File string
	// Line counts from 1. It is 0 if the problem is the file as a whole.
	Line int
	// Err is what is wrong.
	Err error
}

// Error returns a message of the form file:line: problem.
func (e *ParseError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %v", e.File, e.Err)
	}
	return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err)
}

// errorAt makes an error about a line of the prompt's file.
func (p *Prompt) errorAt(line int, format string, args ...any) error {
	return &ParseError{File: p.file, Line: line, Err: fmt.Errorf(format, args...)}
}

// Unwrap returns Err.
func (e *ParseError) Unwrap() error { return e.Err }

// VariableError says which variables of a prompt were not given as it declares them.
type VariableError struct {
	// Prompt is the prompt's name.
	Prompt string
	// Problems are the things wrong, sorted, each beginning with the variable's name. There is at least one.
	Problems []string
}

// Error names the prompt and lists the problems, on one line.
func (e *VariableError) Error() string {
	return fmt.Sprintf("prompt %s: %s", e.Prompt, strings.Join(e.Problems, "; "))
}

var (
	namePattern     = regexp.MustCompile(`^[a-zA-Z0-9_.-]{1,64}$`)
	variablePattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`) // what a template can name
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
