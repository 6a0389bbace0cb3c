package httptool

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// template is a URL with places for arguments: scheme and host are fixed, unless the whole URL is an argument.
type template struct {
	whole  string // the argument that is the URL, or ""
	base   string // "https://host"
	path   []part
	query  []pair
	fields []string // all arguments, in order
}

// part is text that is sent as it is, or an argument.
type part struct {
	text  string
	field string
}

// pair is a parameter of the query. It is left out where an argument of it is.
type pair struct {
	name  string // escaped
	value []part
	has   bool // whether there is a "="
}

// parseTemplate reads a URL with {names} in it.
func parseTemplate(text string) (*template, error) {
	parts, err := parseParts(text)
	if err != nil {
		return nil, err
	}
	t := &template{}
	for _, p := range parts {
		if p.field != "" && !slices.Contains(t.fields, p.field) {
			t.fields = append(t.fields, p.field)
		}
	}
	if len(parts) == 1 && parts[0].field != "" {
		t.whole = parts[0].field
		return t, nil
	}
	rest, ok := strings.CutPrefix(text, "https://")
	scheme := "https://"
	if !ok {
		if rest, ok = strings.CutPrefix(text, "http://"); !ok {
			return nil, errors.New("it must begin with https:// or http://, or be one {name}")
		}
		scheme = "http://"
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	host, rest := rest[:end], rest[end:]
	if strings.ContainsAny(host, "{}@") {
		return nil, errors.New("its host must be fixed and without user or password: put these into a header")
	}
	t.base = scheme + host
	if u, err := url.Parse(t.base); err != nil || u.Hostname() == "" {
		return nil, errors.New("it has no valid host")
	}
	if strings.Contains(rest, "#") {
		return nil, errors.New("it has a fragment, which is never sent")
	}
	path, query, _ := strings.Cut(rest, "?")
	if t.path, err = parseParts(path); err != nil {
		return nil, err
	}
	if err := t.parseQuery(query); err != nil {
		return nil, err
	}
	// With something in every place it must be a URL.
	arguments := map[string]json.RawMessage{}
	for _, field := range t.fields {
		arguments[field] = json.RawMessage(`"x"`)
	}
	target, err := t.expand(arguments)
	if err != nil {
		return nil, errors.New("its path has a segment of dots")
	}
	if _, err := url.Parse(target); err != nil {
		return nil, errors.New("it is not a valid URL")
	}
	return t, nil
}

func (t *template) parseQuery(query string) error {
	if query == "" {
		return nil
	}
	for text := range strings.SplitSeq(query, "&") {
		name, value, has := strings.Cut(text, "=")
		if strings.ContainsAny(name, "{}") {
			return errors.New("the name of a parameter must be fixed")
		}
		parts, err := parseParts(value)
		if err != nil {
			return err
		}
		t.query = append(t.query, pair{name, parts, has})
	}
	return nil
}

func parseParts(text string) ([]part, error) {
	var parts []part
	for text != "" {
		before, rest, ok := strings.Cut(text, "{")
		if strings.Contains(before, "}") {
			return nil, errors.New("it has a } without a {")
		}
		if before != "" {
			parts = append(parts, part{text: before})
		}
		if !ok {
			break
		}
		field, after, ok := strings.Cut(rest, "}")
		if !ok || field == "" || strings.ContainsAny(field, "{/?&=# ") {
			return nil, errors.New("write an argument as {name}")
		}
		parts = append(parts, part{field: field})
		text = after
	}
	return parts, nil
}

// expand puts arguments in. Its errors are for the model.
func (t *template) expand(arguments map[string]json.RawMessage) (string, error) {
	if t.whole != "" {
		values, err := scalars(t.whole, arguments[t.whole])
		if err != nil || len(values) != 1 {
			return "", errors.Join(err, fmt.Errorf("%s must be one URL", t.whole))
		}
		return values[0], nil
	}
	var b strings.Builder
	b.WriteString(t.base)
	if err := t.expandPath(&b, arguments); err != nil {
		return "", err
	}
	separator := byte('?')
	for _, p := range t.query {
		texts, err := p.expand(arguments)
		if err != nil {
			return "", err
		}
		for _, text := range texts {
			b.WriteByte(separator)
			b.WriteString(text)
			separator = '&'
		}
	}
	return b.String(), nil
}

// expandPath escapes arguments so that each stays within its segment. A segment that becomes "." or ".." would name
// another resource, and so may an escaped slash for a server that decodes before it looks: these are refused.
func (t *template) expandPath(b *strings.Builder, arguments map[string]json.RawMessage) error {
	var decoded strings.Builder
	for _, p := range t.path {
		if p.field == "" {
			b.WriteString(p.text)
			decoded.WriteString(p.text)
			continue
		}
		values, err := scalars(p.field, arguments[p.field])
		if err != nil {
			return err
		}
		if len(values) != 1 || values[0] == "" {
			return fmt.Errorf("%s is part of the URL's path: it must be one value that is not empty", p.field)
		}
		b.WriteString(url.PathEscape(values[0]))
		decoded.WriteString(values[0])
	}
	text := decoded.String()
	for range 3 { // what is sent, and what is left after it was decoded once more than it should be
		if dots(text) {
			return errors.New("the arguments make a path with a segment of dots, which would be another resource")
		}
		next, err := url.PathUnescape(text)
		if err != nil || next == text {
			break
		}
		text = next
	}
	return nil
}

// dots reports whether a path has a segment of nothing but dots.
func dots(path string) bool {
	for segment := range strings.FieldsFuncSeq(path, func(r rune) bool { return r == '/' || r == '\\' }) {
		if strings.Trim(segment, ".") == "" {
			return true
		}
	}
	return false
}

// expand returns the pairs that a pair becomes: none if an argument is not given, several for a list.
func (p pair) expand(arguments map[string]json.RawMessage) ([]string, error) {
	if !p.has {
		return []string{p.name}, nil
	}
	texts := []string{p.name + "="}
	for _, v := range p.value {
		if v.field == "" {
			for i := range texts {
				texts[i] += v.text
			}
			continue
		}
		values, err := scalars(v.field, arguments[v.field])
		if err != nil {
			return nil, err
		}
		if len(values) > 1 && len(texts) > 1 {
			return nil, fmt.Errorf("%s cannot be a second list in one parameter", v.field)
		}
		var with []string
		for _, text := range texts {
			for _, value := range values {
				with = append(with, text+url.QueryEscape(value))
			}
		}
		texts = with
	}
	return texts, nil
}

// scalars returns an argument as text: nothing for one that is not given or null, the elements of a list.
func scalars(field string, raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	bad := fmt.Errorf("%s is part of the URL: it must be text, a number or a boolean", field)
	switch raw[0] {
	case '{':
		return nil, bad
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return nil, bad
		}
		var values []string
		for _, element := range list {
			if len(element) > 0 && (element[0] == '[' || element[0] == '{') {
				return nil, bad
			}
			value, err := scalars(field, element)
			if err != nil {
				return nil, err
			}
			values = append(values, value...)
		}
		return values, nil
	case '"':
		var value string
		if err := json.Unmarshal(raw, &value); err != nil {
			return nil, bad
		}
		if strings.ContainsFunc(value, unicode.IsControl) {
			return nil, fmt.Errorf("%s is part of the URL: it must not have control characters", field)
		}
		return []string{value}, nil
	}
	return []string{string(raw)}, nil
}
