package scenario

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

// maxProblems is how many problems an error lists.
const maxProblems = 100

// Error is all that is wrong with a scenario.
type Error struct {
	// Problems are in the order of the file. There is at least one; after 100, the last one counts
	// the others.
	Problems []Problem
}

// Error returns the problems, a line each.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Problem is one thing that is wrong with a scenario.
type Problem struct {
	// File is the scenario's file, as it was given.
	File string
	// Line and Column count from 1, the column in characters.
	Line, Column int
	// Message says what is wrong and what to do.
	Message string
}

// String returns the problem as FILE:LINE:COLUMN: message.
func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Column, p.Message)
}

// problems collects what is wrong.
type problems struct {
	file string
	list []Problem
}

// add reports a problem at a place, on one line.
func (p *problems) add(at position, format string, args ...any) {
	p.list = append(p.list, Problem{
		File: p.file, Line: max(at.line, 1), Column: max(at.column, 1),
		Message: models.OneLine(fmt.Sprintf(format, args...), 1000),
	})
}

// err returns an *Error of what was reported, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list := slices.Compact(p.list)
	if more := len(list) - maxProblems; more > 0 {
		list = list[:maxProblems+1]
		list[maxProblems].Message = fmt.Sprintf("and %d more problems from here on", more)
	}
	return &Error{Problems: list}
}

// wrong reports a value of the wrong type: the message goes on after its name. Checks then leave it
// alone.
func (p *problems) wrong(at *place, format string, args ...any) {
	at.bad = true
	p.add(at.position, "%s %s", at.name, fmt.Sprintf(format, args...))
}

// quote renders a text from the file for a message.
func quote(s string) string { return fmt.Sprintf("%q", models.OneLine(s, 80)) }

// position is a place in the file; both count from 1.
type position struct{ line, column int }

// place is where a value is, and what is in it. It is a tree rather than a map by path, since the
// paths of a deep file are much longer than the file.
type place struct {
	position
	name string            // for messages
	null bool              // the key is there and has no value
	bad  bool              // its value is of the wrong type, which was reported
	typo bool              // a key in it is unknown, which was reported
	in   map[string]*place // by key, or by index in decimal
}

// child adds the place of a value below p.
func (p *place) child(key string) *place {
	if p.in == nil {
		p.in = map[string]*place{}
	}
	c := &place{name: models.OneLine(key, 80)}
	p.in[key] = c
	return c
}

const elementOf = "an element of "

// element adds the place of an element of the list at p.
func (p *place) element(i int) *place {
	c := p.child(strconv.Itoa(i))
	c.name = p.name // one "element of" is enough, and keeps names short at any depth
	if !strings.HasPrefix(p.name, elementOf) {
		c.name = elementOf + p.name
	}
	return c
}

// find returns the place of the value at a path of keys and indexes, or of the nearest one above it.
func (p *place) find(path ...any) *place {
	if p == nil {
		return &place{} // the scenario was not read from a file
	}
	for _, key := range path {
		c := p.in[fmt.Sprint(key)]
		if c == nil {
			break
		}
		p = c
	}
	return p
}

// spoiled reports whether the value or one in it is of the wrong type or has unknown keys.
func (p *place) spoiled() bool {
	if p.bad || p.typo {
		return true
	}
	for _, c := range p.in {
		if c.spoiled() {
			return true
		}
	}
	return false
}

// has reports whether there is a value at a path.
func (p *place) has(path ...any) bool {
	for _, key := range path {
		if p = p.in[fmt.Sprint(key)]; p == nil {
			return false
		}
	}
	return !p.null
}
