package scripted

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/agentrun-dev/agentrun/models"
)

// file is the form of a script's file.
type file struct {
	Version int    `yaml:"version"`
	Answers Script `yaml:"answers"`
}

// Load reads a script from a YAML file. Unknown keys, wrong types and entries that
// cannot be played are errors of one line, "FILE:LINE: what is wrong".
func Load(path string) (Script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read script: %w", err)
	}
	return Parse(path, data)
}

// Parse is Load for data in memory; name stands for the file in errors.
func Parse(name string, data []byte) (Script, error) {
	var f file
	err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f)
	var at yaml.Error
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s:1: the script is empty; it begins with version: 1", name)
	case errors.As(err, &at) && at.GetToken() != nil:
		return nil, fmt.Errorf("%s:%d: %s", name, at.GetToken().Position.Line, models.OneLine(at.GetMessage(), 300))
	case err != nil:
		// The decoder does not say where a duration is that it cannot read.
		if line, text, ok := badDuration(data); ok {
			return nil, fmt.Errorf("%s:%d: %q is not a duration; write one like 800ms or 2s", name, line, models.OneLine(text, 80))
		}
		return nil, fmt.Errorf("%s: %s", name, models.OneLine(err.Error(), 300))
	}
	if f.Version != 1 {
		return nil, fmt.Errorf("%s:%d: version is %d; this program reads version 1", name, line(data, "$.version"), f.Version)
	}
	if len(f.Answers) == 0 {
		return nil, fmt.Errorf("%s:%d: the script has no answers", name, line(data, "$.answers"))
	}
	for i := range f.Answers {
		if err := f.Answers[i].Validate(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, line(data, fmt.Sprintf("$.answers[%d]", i)), err)
		}
	}
	return f.Answers, nil
}

// line returns where the value at path begins, 1 if it is not there.
func line(data []byte, path string) int {
	p, err := yaml.PathString(path)
	if err != nil {
		return 1
	}
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return 1
	}
	node, err := p.FilterFile(doc)
	if err != nil || node == nil {
		return 1
	}
	// A mapping's own token is the colon of its first key.
	if m, ok := node.(*ast.MappingNode); ok && len(m.Values) > 0 {
		node = m.Values[0].Key
	}
	return node.GetToken().Position.Line
}

// badDuration finds the first value of a duration's key that is none.
func badDuration(data []byte) (line int, text string, found bool) {
	doc, err := parser.ParseBytes(data, 0)
	if err != nil {
		return 0, "", false
	}
	for _, d := range doc.Docs {
		ast.Walk(visitor(func(node ast.Node) {
			pair, ok := node.(*ast.MappingValueNode)
			if !ok || found {
				return
			}
			value, ok := pair.Value.(*ast.StringNode)
			if key := pair.Key.String(); !ok || key != "latency" && key != "retryAfter" {
				return
			}
			if _, err := time.ParseDuration(value.Value); err != nil {
				line, text, found = value.GetToken().Position.Line, value.Value, true
			}
		}), d.Body)
	}
	return line, text, found
}

// visitor is a function as ast.Visitor.
type visitor func(ast.Node)

func (v visitor) Visit(node ast.Node) ast.Visitor {
	v(node)
	return v
}
