package prompts

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Parse makes a prompt of the contents of a file. name is the file's name: errors begin with it, and the prompt
// is called like it if its front matter does not say otherwise. A prompt with partials is an error, since they are
// in other files: see [Load]. Errors are [*ParseError].
func Parse(name string, data []byte) (*Prompt, error) {
	p, err := parseFile(name, data)
	if err != nil {
		return nil, err
	}
	if len(p.includes) > 0 {
		i := p.includes[0]
		return nil, p.errorAt(i.line, "the partial %s is in another file: load the prompt together with those beside it", i.ref)
	}
	return p, nil
}

// parseFile reads a file whose partials are found later.
func parseFile(name string, data []byte) (*Prompt, error) {
	fail := func(line int, err error) (*Prompt, error) {
		return nil, &ParseError{File: name, Line: line, Err: err}
	}
	if len(data) > maxSize {
		return fail(0, fmt.Errorf("too large for a prompt: the limit is %d bytes", maxSize))
	}
	file := normalize(string(data))
	if !utf8.ValidString(file) {
		valid := strings.ToValidUTF8(file, "\x00")
		return fail(lineOf(file, strings.IndexByte(valid, 0)), errors.New("not valid UTF-8"))
	}
	front, body, bodyLine, line, err := split(file)
	if err != nil {
		return fail(line, err)
	}
	p := &Prompt{file: name, front: front, text: body, bodyLine: bodyLine, hash: hash(file)}
	if line, err := p.readFront(front); err != nil {
		return fail(line, err)
	}
	if err := p.nameAfter(name); err != nil {
		return fail(1, err)
	}
	if line, err := p.readBody(body); err != nil {
		return fail(line, err)
	}
	return p, nil
}

// nameAfter takes from the file's name what the front matter leaves out.
func (p *Prompt) nameAfter(file string) error {
	stem := strings.TrimSuffix(path.Base(file), path.Ext(file))
	name, version, has := strings.Cut(stem, "@")
	if p.name == "" {
		p.name = name
		if !namePattern.MatchString(p.name) {
			return fmt.Errorf("%q cannot be a prompt's name: give it one in the front matter, which matches %s", p.name, namePattern)
		}
	}
	switch {
	case !has:
	case !versionPattern.MatchString(version):
		return fmt.Errorf("the version %q in the file's name does not match %s", version, versionPattern)
	case p.version == "":
		p.version = version
	case p.version != version:
		return fmt.Errorf("the front matter says version %s and the file's name %s: make them one", p.version, version)
	}
	return nil
}

// normalize removes what editors and systems differ in.
func normalize(file string) string {
	file = strings.TrimPrefix(file, "\uFEFF")
	file = strings.ReplaceAll(file, "\r\n", "\n")
	return strings.TrimRight(file, " \t\r\n")
}

// split cuts a file into front matter, whose first line is the file's second, and body.
func split(file string) (front, body string, bodyLine, line int, err error) {
	lines := strings.Split(file, "\n")
	if !isFence(lines[0]) {
		return "", "", 0, 1, errors.New("no front matter: the first line must be ---")
	}
	end := 1
	for end < len(lines) && !isFence(lines[end]) {
		end++
	}
	if end == len(lines) {
		return "", "", 0, 1, errors.New("the front matter does not end: close it with a line ---")
	}
	start := end + 1
	for start < len(lines) && strings.TrimSpace(lines[start]) == "" {
		start++
	}
	if start == len(lines) {
		return "", "", 0, end + 1, errors.New("the prompt is empty: write it below the front matter")
	}
	return strings.Join(lines[1:end], "\n"), strings.Join(lines[start:], "\n"), start + 1, 0, nil
}

func isFence(line string) bool { return strings.TrimRight(line, " \t") == "---" }

// lineOf returns the line of a position in a text, from 1.
func lineOf(text string, position int) int {
	return 1 + strings.Count(text[:min(max(position, 0), len(text))], "\n")
}
