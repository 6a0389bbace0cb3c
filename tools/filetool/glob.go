package filetool

import (
	"fmt"
	"path"
	"strings"
)

// pattern is a glob, element by element. "**" stands for any number of elements, none too; the others are those of
// path.Match.
type pattern []string

func parsePattern(text string) (pattern, error) {
	p := pattern(strings.Split(text, "/"))
	for _, element := range p {
		if _, err := path.Match(element, ""); err != nil {
			return nil, fmt.Errorf("pattern %q: %w: use *, ?, [a-z], and ** for any number of folders", text, err)
		}
		if element == "" || element == "." || element == ".." {
			return nil, fmt.Errorf("pattern %q: write it like a path relative to the root, as in docs/**", text)
		}
	}
	return p, nil
}

// match reports whether the pattern fits a clean path. With below, it reports whether it may fit some path below.
//
// It goes through the path once and keeps all places of the pattern that it may be at: many "**" cost no more than a
// product.
func (p pattern) match(name string, below bool) bool {
	at := make([]bool, len(p)+1)
	at[0] = true
	p.skip(at)
	if name != "." {
		for element := range strings.SplitSeq(name, "/") {
			next := make([]bool, len(p)+1)
			for i, here := range at[:len(p)] {
				if !here {
					continue
				}
				if p[i] == "**" {
					next[i] = true
				} else if ok, _ := path.Match(p[i], element); ok {
					next[i+1] = true
				}
			}
			p.skip(next)
			at = next
		}
	}
	if !below {
		return at[len(p)]
	}
	for _, here := range at[:len(p)] {
		if here {
			return true
		}
	}
	return false
}

// skip lets each "**" stand for no element.
func (p pattern) skip(at []bool) {
	for i, element := range p {
		if at[i] && element == "**" {
			at[i+1] = true
		}
	}
}

// patterns are alternatives. None at all fit everything.
type patterns []pattern

func (ps patterns) match(name string, below bool) bool {
	for _, p := range ps {
		if p.match(name, below) {
			return true
		}
	}
	return len(ps) == 0
}
