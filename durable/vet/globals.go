package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// findChanges finds the package-level variables that are changed after they were initialized.
// What tests change of other files is not: it is for the tests.
func (c *checker) findChanges() {
	c.changed = map[*types.Var]string{}
	for _, f := range c.pass.Files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && (fn.Body == nil || fn.Recv == nil && fn.Name.Name == "init") {
				continue
			}
			ast.Inspect(d, func(n ast.Node) bool {
				c.changes(n)
				return true
			})
		}
	}
}

// changes takes note of what a node changes.
func (c *checker) changes(n ast.Node) {
	var targets []ast.Expr
	switch n := n.(type) {
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			targets = n.Lhs
		}
	case *ast.IncDecStmt:
		targets = []ast.Expr{n.X}
	case *ast.RangeStmt:
		if n.Tok == token.ASSIGN {
			targets = []ast.Expr{n.Key, n.Value}
		}
	case *ast.UnaryExpr:
		if n.Op != token.AND {
			break
		}
		switch c.pass.TypesInfo.TypeOf(n.X).Underlying().(type) {
		case *types.Struct, *types.Array: // most often to pass it on, not to change it
		default:
			targets = []ast.Expr{n.X}
		}
	case *ast.CallExpr:
		id, ok := ast.Unparen(n.Fun).(*ast.Ident)
		if !ok || len(n.Args) == 0 {
			break
		}
		if b, ok := c.pass.TypesInfo.Uses[id].(*types.Builtin); ok {
			switch b.Name() {
			case "delete", "clear", "copy":
				targets = n.Args[:1]
			}
		}
	}
	for _, t := range targets {
		v := c.variableOf(t)
		if v == nil || !isGlobal(v) || c.changed[v] != "" {
			continue
		}
		if inTest(c.pass.Fset, n.Pos()) && (v.Pkg() != c.pass.Pkg || !inTest(c.pass.Fset, v.Pos())) {
			continue
		}
		c.changed[v] = c.site(n.Pos())
	}
}

func inTest(fset *token.FileSet, pos token.Pos) bool {
	return strings.HasSuffix(fset.Position(pos).Filename, "_test.go")
}

// variableOf is the variable that an expression is, or is a part of, or points from; nil if it
// is none.
func (c *checker) variableOf(e ast.Expr) *types.Var {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			obj := c.pass.TypesInfo.Uses[x]
			if obj == nil {
				obj = c.pass.TypesInfo.Defs[x]
			}
			v, _ := obj.(*types.Var)
			return v
		case *ast.SelectorExpr:
			if v, ok := c.pass.TypesInfo.Uses[x.Sel].(*types.Var); ok && !v.IsField() {
				return v
			}
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}

func isGlobal(v *types.Var) bool {
	return !v.IsField() && v.Pkg() != nil && v.Parent() == v.Pkg().Scope()
}

// variable checks the use of a variable.
func (w *walker) variable(id *ast.Ident, v *types.Var, stack []ast.Node) {
	if !isGlobal(v) {
		return
	}
	if g, ok := known(v); ok {
		w.add(finding{hazard{Rule: g.rule, Chain: []link{to("uses", v)}, Instead: g.instead}, id.Pos(), id.End(), nil})
		return
	}
	if spokenFor(v) || isTrusted(v.Pkg().Path()) {
		return
	}
	if site := w.changedAt(v); site != "" {
		what := to("uses the variable", v)
		what.More = ", which is changed at " + site
		w.findAt(globalRule, id, id.Pos(), what)
	}
	if _, isFunc := v.Type().Underlying().(*types.Signature); !isFunc {
		return
	}
	verb := "uses"
	whole, above := w.mention(id, stack)
	if caller, ok := parent(above).(*ast.CallExpr); ok && ast.Unparen(caller.Fun) == whole {
		verb = "calls"
	}
	w.n.calls = append(w.n.calls, call{v, []link{to(verb, v)}, nil, whole.Pos(), whole.End()})
}

// changedAt says where a package-level variable is changed, "" if nowhere that is known.
func (c *checker) changedAt(v *types.Var) string {
	if site := c.changed[v]; site != "" {
		return site
	}
	if v.Pkg() == c.pass.Pkg || !v.Exported() {
		return ""
	}
	if c.elsewhere == nil {
		c.elsewhere = map[string]string{}
		for _, f := range c.pass.AllPackageFacts() {
			if fact, ok := f.Fact.(*changes); ok && f.Package != c.pass.Pkg {
				for _, one := range fact.Vars {
					if old := c.elsewhere[one.Var]; old == "" || one.Site < old {
						c.elsewhere[one.Var] = one.Site
					}
				}
			}
		}
	}
	return c.elsewhere[v.Pkg().Path()+"."+v.Name()]
}

// captured checks whether an orchestration changes a variable from around it.
func (w *walker) captured(target ast.Expr) {
	lit, ok := w.n.code.(*ast.FuncLit)
	if !ok || !w.n.body || w.bodies[lit] != w.n {
		return
	}
	v := w.variableOf(target)
	if v == nil || v.IsField() || isGlobal(v) || v.Pkg() != w.pass.Pkg || lit.Pos() <= v.Pos() && v.Pos() < lit.End() {
		return
	}
	w.find(globalRule, target, "changes the variable "+v.Name()+" from around it")
}
