package prompts

import (
	"cmp"
	"reflect"
	"slices"
	"strings"
	"text/template/parse"
)

// include is a place where a body has {{ template "ref" . }}.
type include struct {
	ref  string // as it is written
	line int    // of the file
	part *Prompt
}

// include checks a use of a partial, which gets the variables and nothing else: what it declares can then be checked
// against what the prompt does.
func (c *checker) include(node *parse.TemplateNode, root bool) {
	if _, _, err := splitRef(node.Name); err != nil {
		c.fail(node, "%w", err)
		return
	}
	if !passesVariables(node.Pipe, root) {
		whole := "."
		if !root {
			whole = "$"
		}
		c.fail(node, `a partial gets all variables: write {{ template "%s" %s }}`, node.Name, whole)
		return
	}
	c.includes = append(c.includes, include{ref: node.Name, line: c.lineOf(node)})
}

// passesVariables reports whether a pipe is the dot of the whole prompt.
func passesVariables(pipe *parse.PipeNode, root bool) bool {
	if pipe == nil || len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 1 {
		return false
	}
	switch arg := pipe.Cmds[0].Args[0].(type) {
	case *parse.DotNode:
		return root
	case *parse.VariableNode:
		return len(arg.Ident) == 1 && arg.Ident[0] == "$"
	}
	return false
}

// linker gives prompts their partials.
type linker struct {
	find func(ref string) (*Prompt, error)
	done map[*Prompt]bool
	path []*Prompt // each includes the next one, and the partials of all are still being looked for
}

// link finds the partials of p and theirs, takes over their variables, and makes the hash cover them.
func (l *linker) link(p *Prompt) error {
	if l.done[p] {
		return nil
	}
	l.path = append(l.path, p)
	for i := range p.includes {
		in := &p.includes[i]
		part, err := l.find(in.ref)
		if err != nil {
			return p.errorAt(in.line, "no such partial: %w", err)
		}
		if at := slices.Index(l.path, part); at >= 0 {
			return p.errorAt(in.line, "the partials include one another: %s", chain(append(l.path[at:], part)))
		}
		if err := l.link(part); err != nil {
			return err
		}
		in.part = part
		if p.expanded += part.expanded; p.expanded > maxSize {
			return p.errorAt(in.line, "with its partials the prompt has more than %d bytes, which is the limit", maxSize)
		}
		if err := p.inherit(in); err != nil {
			return err
		}
	}
	p.cover()
	l.path = l.path[:len(l.path)-1]
	l.done[p] = true
	return nil
}

// chain names prompts that include one another: "a includes b includes a".
func chain(list []*Prompt) string {
	var refs []string
	for _, p := range list {
		refs = append(refs, p.Ref())
	}
	return strings.Join(refs, " includes ")
}

// inherit takes over a partial's variables. Where both declare one, the prompt's own declaration counts.
func (p *Prompt) inherit(in *include) error {
	for _, v := range in.part.variables {
		i, found := slices.BinarySearchFunc(p.variables, v.Name, func(v Variable, name string) int { return strings.Compare(v.Name, name) })
		if !found {
			if p.inherited == nil {
				p.inherited = map[string]*Prompt{}
			}
			p.inherited[v.Name] = in.part
			p.variables = slices.Insert(p.variables, i, v)
			continue
		}
		have, from := p.variables[i], p.inherited[v.Name]
		switch {
		case have.Type != v.Type:
			return p.errorAt(in.line, "variable %s is %s in %s, and %s in the partial %s", v.Name, article(have.Type), cmp.Or(from, p).Ref(), article(v.Type), in.ref)
		case from != nil && (have.Required != v.Required || !reflect.DeepEqual(have.Default, v.Default)):
			return p.errorAt(in.line, "the partials %s and %s declare variable %s differently: declare it in this prompt too", from.Ref(), in.ref, v.Name)
		}
	}
	if n := len(p.variables); n > maxVariables {
		return p.errorAt(in.line, "with its partials the prompt has %d variables, the limit is %d", n, maxVariables)
	}
	return nil
}

// cover makes the hash that of the partials, too.
func (p *Prompt) cover() {
	var lines []string
	for _, in := range p.includes {
		if !slices.Contains(p.partials, in.part) {
			p.partials = append(p.partials, in.part)
		}
		if line := in.ref + " " + in.part.hash + "\n"; !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	if len(lines) > 0 {
		slices.Sort(lines)
		p.hash = hash(p.hash + "\n" + strings.Join(lines, ""))
	}
}
