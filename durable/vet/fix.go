package vet

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/token"
	"go/types"
	"slices"

	"golang.org/x/tools/go/analysis"
)

// remedy is the fix of a call of a function from the table, where it is mechanical and a
// context is at hand.
func (w *walker) remedy(fn *types.Func, call *ast.CallExpr, stack []ast.Node) []analysis.SuggestedFix {
	ctx := w.contextAt(call.Pos(), stack)
	if ctx == "" {
		return nil
	}
	above := parent(stack[:max(len(stack)-1, 0)]) // of the call, which ends the stack
	qualifier := w.qualifier(call)
	from, to := ast.Node(call), ""
	switch name := fn.FullName(); name {
	case "time.Now":
		to = ctx + ".Now()"
	case "time.Since":
		to = ctx + ".Now().Sub(" + w.source(call.Args[0]) + ")"
	case "time.Until":
		to = w.operand(call.Args[0]) + ".Sub(" + ctx + ".Now())"
	case "time.Sleep":
		if _, alone := above.(*ast.ExprStmt); alone {
			to = ctx + ".Sleep(" + w.source(call.Args[0]) + ")"
		}
	case "github.com/google/uuid.NewString":
		to = ctx + ".NewGUID()"
	case "github.com/google/uuid.New":
		to = qualifier + "MustParse(" + ctx + ".NewGUID())"
		if sel, ok := above.(*ast.SelectorExpr); ok && sel.Sel.Name == "String" && len(stack) >= 3 {
			if outer, ok := stack[len(stack)-3].(*ast.CallExpr); ok && outer.Fun == sel {
				from, to = outer, ctx+".NewGUID()"
			}
		}
	case "github.com/google/uuid.NewRandom", "github.com/google/uuid.NewV7":
		to = qualifier + "Parse(" + ctx + ".NewGUID())"
	case "github.com/gofrs/uuid.NewV4", "github.com/gofrs/uuid.NewV7", "github.com/gofrs/uuid/v5.NewV4", "github.com/gofrs/uuid/v5.NewV7":
		to = qualifier + "FromString(" + ctx + ".NewGUID())"
	case "log/slog.Default":
		to = ctx + ".Logger()"
	case "log/slog.Debug", "log/slog.Info", "log/slog.Warn", "log/slog.Error", "log/slog.With":
		from, to = call.Fun, ctx+".Logger()."+fn.Name()
	}
	if to == "" {
		return nil
	}
	return replace(from, to)
}

// replace is the fix that puts text in the place of a node.
func replace(n ast.Node, text string) []analysis.SuggestedFix {
	return []analysis.SuggestedFix{{
		Message:   "Use " + text,
		TextEdits: []analysis.TextEdit{{Pos: n.Pos(), End: n.End(), NewText: []byte(text)}},
	}}
}

// qualifier is what the file writes before the names of the callee's package.
func (w *walker) qualifier(call *ast.CallExpr) string {
	if sel, ok := ast.Unparen(call.Fun).(*ast.SelectorExpr); ok {
		return w.source(sel.X) + "."
	}
	return ""
}

// source is an expression as Go.
func (w *walker) source(e ast.Expr) string {
	var b bytes.Buffer
	if err := format.Node(&b, w.pass.Fset, e); err != nil {
		return ""
	}
	return b.String()
}

// operand is an expression as Go, before a selector.
func (w *walker) operand(e ast.Expr) string {
	switch e.(type) {
	case *ast.Ident, *ast.SelectorExpr, *ast.CallExpr, *ast.IndexExpr, *ast.ParenExpr:
		return w.source(e)
	}
	return "(" + w.source(e) + ")"
}

// contextAt is how code at pos calls its orchestration's context, "" if it has none: the
// innermost variable that is one, or the field of a receiver or parameter.
func (w *walker) contextAt(pos token.Pos, stack []ast.Node) string {
	scope := w.pass.Pkg.Scope().Innermost(pos)
	for s := scope; s != nil && s != w.pass.Pkg.Scope(); s = s.Parent() {
		var found []string
		for _, name := range s.Names() {
			v, ok := s.Lookup(name).(*types.Var)
			if !ok || name == "_" || v.Pos() >= pos {
				continue
			}
			// A function's receiver and parameters are where a struct with a context comes from.
			if isContext(v.Type()) {
				found = append(found, name)
			} else if field := contextField(v.Type(), w.pass.Pkg); field != "" && v.Kind() != types.LocalVar {
				found = append(found, name+"."+field)
			}
		}
		if len(found) > 0 {
			slices.SortStableFunc(found, func(a, b string) int { return len(a) - len(b) })
			if _, visible := scope.LookupParent(firstWord(found[0]), pos); visible != nil && len(found) == 1 {
				return found[0]
			}
			return ""
		}
	}
	return ""
}

func firstWord(s string) string {
	name, _, _ := bytes.Cut([]byte(s), []byte("."))
	return string(name)
}

// contextField is the field of a struct that is a context and may be named from a package; ""
// if there is none, or more than one.
func contextField(t types.Type, from *types.Package) string {
	n := namedType(t)
	if n == nil {
		return ""
	}
	s, ok := n.Underlying().(*types.Struct)
	if !ok {
		return ""
	}
	found := ""
	for f := range s.Fields() {
		if !isContext(f.Type()) || !f.Exported() && f.Pkg() != from {
			continue
		}
		if found != "" {
			return ""
		}
		found = f.Name()
	}
	return found
}

// sortKeys is the fix of a range over a map's keys alone.
func (w *walker) sortKeys(n *ast.RangeStmt) []analysis.SuggestedFix {
	m, ok := coreType(w.pass.TypesInfo.TypeOf(n.X)).(*types.Map)
	if !ok || !isBlank(n.Value) || n.Tok != token.DEFINE {
		return nil
	}
	if b, ok := m.Key().Underlying().(*types.Basic); !ok || b.Info()&types.IsOrdered == 0 {
		return nil
	}
	file := w.fileOf(n.Pos())
	slicesName, mapsName := importedAs(file, "slices"), importedAs(file, "maps")
	if slicesName == "" || mapsName == "" {
		return nil // the imports are not ours to arrange
	}
	fixes := replace(n.X, slicesName+".Sorted("+mapsName+".Keys("+w.source(n.X)+"))")
	key, ok := n.Key.(*ast.Ident)
	if !ok {
		return nil
	}
	// Ranging over a slice gives the key second.
	fixes[0].TextEdits = append([]analysis.TextEdit{{Pos: key.Pos(), End: key.Pos(), NewText: []byte("_, ")}}, fixes[0].TextEdits...)
	if n.Value != nil {
		fixes[0].TextEdits[0] = analysis.TextEdit{Pos: n.Key.Pos(), End: n.Value.End(), NewText: []byte("_, " + key.Name)}
	}
	return fixes
}

func (w *walker) fileOf(pos token.Pos) *ast.File {
	for _, f := range w.pass.Files {
		if f.FileStart <= pos && pos < f.FileEnd {
			return f
		}
	}
	return nil
}

// importedAs is the name of an imported package of the standard library, "" if the file does not
// import it by one.
func importedAs(f *ast.File, path string) string {
	for _, s := range f.Imports {
		switch {
		case s.Path.Value != `"`+path+`"`:
		case s.Name == nil:
			return path
		case s.Name.Name != "_" && s.Name.Name != ".":
			return s.Name.Name
		}
	}
	return ""
}
