package vet

import (
	"go/ast"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const directive = "//durable:allow"

// allow is one line that says that a rule may be broken.
type allow struct {
	pos  token.Pos
	rule string
	used bool
}

// place is a line of a file.
type place struct {
	file string
	line int
}

// allows are the allow lines of a package.
type allows struct {
	pass  *analysis.Pass
	lines map[place][]*allow
	funcs map[ast.Node][]*allow // by *ast.FuncDecl
	all   []*allow
}

// readAllows reads the allow lines of the files, and reports those that say nothing.
func readAllows(pass *analysis.Pass, report func(analysis.Diagnostic)) *allows {
	a := &allows{pass: pass, lines: map[place][]*allow{}, funcs: map[ast.Node][]*allow{}}
	for _, f := range pass.Files {
		docs := map[*ast.CommentGroup]ast.Node{}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Doc != nil {
				docs[fn.Doc] = fn
			}
		}
		var code map[int]bool // lines with something else than comments; read when needed
		for _, group := range f.Comments {
			for _, c := range group.List {
				text, ok := strings.CutPrefix(c.Text, directive)
				if !ok || text != "" && text[0] != ' ' && text[0] != '\t' {
					continue
				}
				one, problem := parseAllow(c.Pos(), text)
				if problem != "" {
					report(analysis.Diagnostic{Pos: c.Pos(), End: c.End(), Category: "allow", Message: problem})
					continue
				}
				a.all = append(a.all, one)
				if fn := docs[group]; fn != nil {
					a.funcs[fn] = append(a.funcs[fn], one)
					continue
				}
				if code == nil {
					code = linesOfCode(pass.Fset, f)
				}
				at := a.place(c.Pos())
				if !code[at.line] { // it stands alone: it is about the line below
					at.line = a.place(group.End()).line + 1
				}
				a.lines[at] = append(a.lines[at], one)
			}
		}
	}
	return a
}

func parseAllow(pos token.Pos, text string) (*allow, string) {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil, "allow: name a rule and a reason: " + directive + " <rule> <reason>"
	}
	if _, ok := ruleNamed(fields[0]); !ok {
		names := make([]string, len(rules))
		for i, r := range rules {
			names[i] = r.Name
		}
		return nil, "allow: there is no rule " + fields[0] + "; the rules are " + strings.Join(names, ", ")
	}
	if len(fields) == 1 {
		return nil, "allow: say why: " + directive + " " + fields[0] + " <reason>"
	}
	return &allow{pos: pos, rule: fields[0]}, ""
}

// linesOfCode has the lines on which something begins that is no comment.
func linesOfCode(fset *token.FileSet, f *ast.File) map[int]bool {
	lines := map[int]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n.(type) {
		case nil, *ast.Comment, *ast.CommentGroup:
			return false
		}
		lines[fset.Position(n.Pos()).Line] = true
		return true
	})
	return lines
}

func (a *allows) place(pos token.Pos) place {
	p := a.pass.Fset.Position(pos)
	return place{p.Filename, p.Line}
}

// cover reports whether a line allows a rule to be broken at pos, in the function decl (nil for
// code outside of one).
func (a *allows) cover(rule string, pos token.Pos, decl ast.Node) bool {
	covered := false
	for _, list := range [][]*allow{a.lines[a.place(pos)], a.funcs[decl]} {
		for _, one := range list {
			if one.rule == rule {
				one.used, covered = true, true
			}
		}
	}
	return covered
}
