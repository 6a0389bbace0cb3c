package filetool

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"regexp"
	"strings"
)

// Limits of one search.
const (
	maxMatches    = 200
	maxExpression = 1000      // bytes of the regular expression, or of a glob
	maxSearched   = 256 << 20 // bytes of files
	maxLine       = 300       // bytes of a line that are shown
)

type searchIn struct {
	Pattern    string `json:"pattern" jsonschema:"minLength=1,description=Regular expression in RE2 syntax that part of a line fits"`
	Path       string `json:"path,omitempty" jsonschema:"default=.,description=Folder relative to the root"`
	Glob       string `json:"glob,omitempty" jsonschema:"description=Search only files whose path relative to the root fits: **/*.go for instance"`
	IgnoreCase bool   `json:"ignore_case,omitempty"`
}

// search has lines "path:line: text". Matching takes time in proportion to the text, whatever the expression.
func (s *Set) search(ctx context.Context, in searchIn) (string, error) {
	expression := in.Pattern
	if len(expression) > maxExpression {
		return "", fmt.Errorf("the pattern is longer than %d bytes", maxExpression)
	}
	if in.IgnoreCase {
		expression = "(?i)" + expression
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return "", fmt.Errorf("the pattern is no regular expression: %w", err)
	}
	found := finding{ctx: ctx, re: re, left: maxSearched}
	more, err := s.walk(ctx, in.Path, in.Glob, true, func(f file, info fs.FileInfo) bool {
		if !info.Mode().IsRegular() {
			return true
		}
		data, _, err := f.read(min(s.maxFile, found.left))
		if err != nil || bytes.IndexByte(data, 0) >= 0 {
			found.skipped++
			return true
		}
		return found.file(f.name, data)
	})
	if err != nil {
		return "", err
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	lines := found.lines
	if len(lines) == 0 {
		lines = append(lines, "(no matches)")
	}
	if found.skipped > 0 {
		lines = append(lines, fmt.Sprintf("[%d files were not searched: they are binary, too large or cannot be read]", found.skipped))
	}
	if more {
		lines = append(lines, "[not all was searched: give a folder below, a glob or a narrower pattern]")
	}
	return strings.Join(lines, "\n"), nil
}

type finding struct {
	ctx     context.Context
	re      *regexp.Regexp
	lines   []string
	skipped int
	left    int64 // bytes that may still be searched
}

// file searches one file, and reports whether to go on with the next.
func (s *finding) file(name string, data []byte) bool {
	s.left -= int64(len(data))
	number := 0
	for line := range bytes.Lines(data) {
		if number++; number%1000 == 0 && s.ctx.Err() != nil {
			return false
		}
		line = bytes.TrimRight(line, "\r\n")
		at := s.re.FindIndex(line)
		if at == nil {
			continue
		}
		if len(s.lines) == maxMatches {
			return false
		}
		s.lines = append(s.lines, fmt.Sprintf("%s:%d: %s", name, number, around(line, at[0])))
	}
	return s.left > 0 && s.ctx.Err() == nil
}

// around is what is shown of a line: all, or where the match is.
func around(line []byte, at int) string {
	if len(line) <= maxLine {
		return string(line)
	}
	start := max(0, at-maxLine/3)
	end := min(len(line), start+maxLine)
	shown := strings.ToValidUTF8(string(line[start:end]), "")
	if start > 0 {
		shown = "…" + shown
	}
	if end < len(line) {
		shown += "…"
	}
	return shown
}
