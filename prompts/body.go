package prompts

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
)

// textFunc is the name under which [text] is appended to what a template prints. No body can contain it.
const textFunc = "_text"

var allowedFunctions = []string{"and", "eq", "ne", "not", "or"}

// readBody parses the body and checks everything that can be known without values. It returns the line of the
// file that an error is about.
func (p *Prompt) readBody(body string) (line int, err error) {
	t, err := newTemplate(p.Ref()).Parse(body)
	if err != nil {
		_, line, err := p.templateError(err)
		return line, err
	}
	if len(t.Templates()) > 1 {
		return p.bodyLine, errors.New("define and block are not supported in prompts")
	}
	c := checker{p: p, body: body}
	c.list(t.Root, true)
	if c.err != nil {
		return c.line, c.err
	}
	p.body, p.includes, p.expanded = t, c.includes, len(body)
	return 0, nil
}

// newTemplate makes the template of a prompt, called like its Ref: in text/template's errors that says which file
// they are about.
func newTemplate(ref string) *template.Template {
	return template.New(ref).Option("missingkey=error").Funcs(template.FuncMap{textFunc: text})
}

var (
	templateErrorPattern = regexp.MustCompile(`^template: ([^:]+):(\d+):(?:\d+:)? (.*)$`)
	executingPattern     = regexp.MustCompile(`^executing "[^"]*" `)
)

// templateError turns an error of text/template into one about a line of a file: that of from, which is p or one of
// its partials.
func (p *Prompt) templateError(err error) (from *Prompt, line int, _ error) {
	message := strings.Join(strings.Fields(err.Error()), " ")
	m := templateErrorPattern.FindStringSubmatch(message)
	if m == nil {
		return p, p.bodyLine, errors.New(message)
	}
	from = p
	if part, ok := p.beside[m[1]]; ok {
		from = part
	}
	line, _ = strconv.Atoi(m[2]) // digits by the pattern
	return from, from.bodyLine + line - 1, errors.New(executingPattern.ReplaceAllString(m[3], ""))
}

// checker walks a body, refuses what prompts do not support and lets every printed value go through [text].
type checker struct {
	p        *Prompt
	body     string
	includes []include
	line     int
	err      error // the first one
}

func (c *checker) fail(node parse.Node, format string, args ...any) {
	if c.err == nil {
		c.line = c.lineOf(node)
		c.err = fmt.Errorf(format, args...)
	}
}

func (c *checker) lineOf(node parse.Node) int {
	return c.p.bodyLine + lineOf(c.body, int(node.Position())) - 1
}

// list checks the nodes of a list. root says that the dot is the variables and not an element of a range.
func (c *checker) list(list *parse.ListNode, root bool) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch node := node.(type) {
		case *parse.TextNode, *parse.CommentNode, *parse.BreakNode, *parse.ContinueNode:
		case *parse.ActionNode:
			c.pipe(node.Pipe, root, false)
			toText := parse.NewIdentifier(textFunc).SetPos(node.Pos)
			node.Pipe.Cmds = append(node.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: node.Pos, Args: []parse.Node{toText}})
		case *parse.IfNode:
			c.pipe(node.Pipe, root, false)
			c.list(node.List, root)
			c.list(node.ElseList, root)
		case *parse.RangeNode:
			c.rangeOver(node.Pipe, root)
			c.list(node.List, false)
			c.list(node.ElseList, root)
		case *parse.TemplateNode:
			c.include(node, root)
		default:
			c.fail(node, "%s is not supported in prompts: use variables, if, range and template", node)
		}
	}
}

func (c *checker) rangeOver(pipe *parse.PipeNode, root bool) {
	c.pipe(pipe, root, true)
	if len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		c.fail(pipe, "range takes one variable, not %s", pipe)
		return
	}
	over := pipe.Cmds[0].Args[0]
	switch over.(type) {
	case *parse.FieldNode, *parse.VariableNode, *parse.DotNode:
	default:
		c.fail(pipe, "range takes one variable, not %s", pipe)
	}
	v, depth := c.variable(over, root)
	if v != nil && depth == 1 && v.Type != List && v.Type != Object {
		c.fail(pipe, "range needs a list or an object, and variable %s is %s", v.Name, article(v.Type))
	}
}

func (c *checker) pipe(pipe *parse.PipeNode, root, mayDeclare bool) {
	if len(pipe.Decl) > 0 && !mayDeclare {
		c.fail(pipe, "assignments are not supported in prompts: %s", pipe)
	}
	for _, cmd := range pipe.Cmds {
		for _, arg := range cmd.Args {
			switch arg := arg.(type) {
			case *parse.FieldNode, *parse.VariableNode:
				c.variable(arg, root)
			case *parse.DotNode:
				if root {
					c.fail(arg, "a dot alone means nothing outside of range: name a variable, such as {{ .name }}")
				}
			case *parse.IdentifierNode:
				if !slices.Contains(allowedFunctions, arg.Ident) {
					c.fail(arg, "function %s is not supported in prompts: there are %s", arg.Ident, strings.Join(allowedFunctions, ", "))
				}
			case *parse.PipeNode:
				c.pipe(arg, root, false)
			case *parse.StringNode, *parse.NumberNode, *parse.BoolNode:
			default:
				c.fail(arg, "%s is not supported in prompts", arg)
			}
		}
	}
}

// variable checks a reference to a declared variable and returns it with the number of names in the reference,
// or nil if it is one to an element of a range.
func (c *checker) variable(node parse.Node, root bool) (*Variable, int) {
	var path []string
	switch node := node.(type) {
	case *parse.FieldNode:
		if !root {
			return nil, 0
		}
		path = node.Ident
	case *parse.VariableNode:
		if node.Ident[0] != "$" {
			return nil, 0 // declared by a range; the template's parser knows that
		}
		path = node.Ident[1:]
	default:
		return nil, 0
	}
	if len(path) == 0 {
		c.fail(node, "a dollar alone means nothing: name a variable, such as {{ $.name }}")
		return nil, 0
	}
	i := slices.IndexFunc(c.p.variables, func(v Variable) bool { return v.Name == path[0] })
	if i < 0 {
		c.fail(node, "variable %s is used but not declared: add it to variables in the front matter", path[0])
		return nil, 0
	}
	v := &c.p.variables[i]
	if len(path) > 1 && v.Type != Object {
		c.fail(node, "variable %s is %s and has no field %s", v.Name, article(v.Type), path[1])
	}
	return v, len(path)
}
