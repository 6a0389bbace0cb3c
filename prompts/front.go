package prompts

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// frontMatter is what front matter may say.
type frontMatter struct {
	Name        string    `yaml:"name"`
	Description string    `yaml:"description"`
	Model       string    `yaml:"model"`
	Version     label     `yaml:"version"`
	Parameters  Params    `yaml:"parameters"`
	Variables   variables `yaml:"variables"`
}

// readFront fills in the prompt from its front matter. It returns the line of the file that an error is about.
func (p *Prompt) readFront(front string) (line int, err error) {
	// The fence is line 1, so that YAML's lines are the file's.
	file, err := parser.ParseBytes([]byte("\n"+front), 0)
	if err != nil {
		return yamlError(err)
	}
	var m frontMatter
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		ast.Walk(noAliases{&err}, doc.Body)
		if err == nil {
			err = yaml.NodeToValue(doc.Body, &m, yaml.Strict())
		}
		if err != nil {
			return yamlError(err)
		}
	}
	if m.Name != "" && !namePattern.MatchString(m.Name) {
		return 1, fmt.Errorf("the name %q does not match %s", m.Name, namePattern)
	}
	p.name, p.description, p.model, p.version = m.Name, m.Description, m.Model, string(m.Version)
	p.params, p.variables = m.Parameters, m.Variables
	return 0, nil
}

// yamlError takes the line and the plain message from an error of the YAML package, which otherwise comes with a
// drawing of many lines.
func yamlError(err error) (int, error) {
	var e yaml.Error
	if !errors.As(err, &e) {
		return 1, err
	}
	line := 1
	if t := e.GetToken(); t != nil && t.Position != nil {
		line = t.Position.Line
	}
	return line, errors.New(strings.Join(strings.Fields(e.GetMessage()), " "))
}

// errorAt makes an error about a place in the front matter.
func errorAt(t *token.Token, format string, args ...any) error {
	return &yaml.SyntaxError{Message: fmt.Sprintf(format, args...), Token: t}
}

// noAliases finds YAML aliases. A few lines of them can stand for gigabytes.
type noAliases struct{ err *error }

func (v noAliases) Visit(node ast.Node) ast.Visitor {
	switch node.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		if *v.err != nil {
			return nil // the first one is reported
		}
		*v.err = errorAt(node.GetToken(), "anchors and aliases are not supported: write the value out")
		return nil
	}
	return v
}

// label is text, or a whole number as it is written.
type label string

// UnmarshalYAML implements yaml.NodeUnmarshaler. YAML would read the version 1.10 as the number 1.1.
func (l *label) UnmarshalYAML(node ast.Node) error {
	switch node := node.(type) {
	case *ast.StringNode:
		*l = label(node.Value)
	case *ast.IntegerNode:
		*l = label(node.GetToken().Value)
	default:
		return errorAt(node.GetToken(), "a version is text or a whole number: put it in quotes")
	}
	if !versionPattern.MatchString(string(*l)) {
		return errorAt(node.GetToken(), "the version %q does not match %s", string(*l), versionPattern)
	}
	return nil
}

// variables are the declared variables, sorted by name.
type variables []Variable

// UnmarshalYAML implements yaml.NodeUnmarshaler. It walks the mapping itself, for the lines of its keys.
func (vs *variables) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(*ast.NullNode); ok {
		return nil
	}
	m, ok := node.(ast.MapNode)
	if !ok {
		return errorAt(node.GetToken(), "variables must be a mapping from names to declarations")
	}
	for it := m.MapRange(); it.Next(); {
		v, err := readVariable(it.Key().GetToken(), it.Value())
		if err != nil {
			return err
		}
		*vs = append(*vs, v)
	}
	if n := len(*vs); n > maxVariables {
		return errorAt(node.GetToken(), "%d variables are too many for a prompt, the limit is %d", n, maxVariables)
	}
	slices.SortFunc(*vs, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

func readVariable(key *token.Token, node ast.Node) (Variable, error) {
	name := key.Value
	if !variablePattern.MatchString(name) {
		return Variable{}, errorAt(key, "the variable name %q does not match %s", name, variablePattern)
	}
	if _, ok := node.(ast.MapNode); !ok {
		return Variable{}, errorAt(key, "variable %s needs a declaration such as {type: string}", name)
	}
	var d struct {
		Type        Type   `yaml:"type"`
		Required    *bool  `yaml:"required"`
		Default     any    `yaml:"default"`
		Description string `yaml:"description"`
	}
	if err := yaml.NodeToValue(node, &d, yaml.Strict()); err != nil {
		return Variable{}, err
	}
	v := Variable{Name: name, Type: d.Type, Required: d.Default == nil, Description: d.Description}
	zero, ok := zeros[d.Type]
	if !ok {
		return Variable{}, errorAt(key, "variable %s: unknown type %q: use string, number, integer, boolean, list or object", name, d.Type)
	}
	if d.Required != nil {
		v.Required = *d.Required
	}
	switch {
	case v.Required && d.Default != nil:
		return Variable{}, errorAt(key, "variable %s is required and has a default: remove one of the two", name)
	case d.Default != nil:
		value, problem := convert(d.Type, d.Default)
		if problem != "" {
			return Variable{}, errorAt(key, "the default of variable %s %s", name, problem)
		}
		v.Default = value
	case !v.Required:
		v.Default = zero
	}
	return v, nil
}

// zeros are the types and their empty values.
var zeros = map[Type]any{
	String: "", Number: 0.0, Integer: int64(0), Boolean: false, List: []any{}, Object: map[string]any{},
}
