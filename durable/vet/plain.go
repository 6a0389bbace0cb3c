package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
)

// isAppend reports whether an expression appends plain values to a slice.
func (l *loop) isAppend(e ast.Expr) bool {
	call, ok := ast.Unparen(e).(*ast.CallExpr)
	if !ok {
		return false
	}
	b, ok := l.callee(call).(*types.Builtin)
	return ok && b.Name() == "append" && !slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return !l.plain(a) })
}

// plain reports whether evaluating code changes nothing, so that it may be done in any order.
func (l *loop) plain(code ast.Node) bool {
	ok := true
	ast.Inspect(code, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			ok = false
		case *ast.UnaryExpr:
			ok = ok && n.Op != token.ARROW
		case *ast.CallExpr:
			ok = ok && l.plainCall(n)
		}
		return ok
	})
	return ok
}

// plainPackages have only functions that change nothing but what they are given to change.
var plainPackages = []string{"bytes", "cmp", "errors", "math", "math/bits", "path", "strconv", "strings", "unicode", "unicode/utf8"}

// plainCall reports whether a call can change nothing: a conversion, a builtin that only
// looks, a function of a package without effects, or one that is given plain values only. What
// that one does to package-level variables is a finding of its own.
func (l *loop) plainCall(call *ast.CallExpr) bool {
	if l.pass.TypesInfo.Types[call.Fun].IsType() {
		return true
	}
	switch fn := l.callee(call).(type) {
	case *types.Builtin:
		return slices.Contains([]string{"cap", "complex", "imag", "len", "make", "max", "min", "new", "real"}, fn.Name())
	case *types.Func:
		sig := fn.Signature()
		if fn.Pkg() == nil { // the Error of an error
			return true
		}
		if slices.Contains(plainPackages, fn.Pkg().Path()) && sig.Recv() == nil {
			return true
		}
		if fn.Pkg().Path() == "fmt" && slices.Contains([]string{"Errorf", "Sprint", "Sprintf", "Sprintln"}, fn.Name()) {
			return true
		}
		if sig.Recv() != nil && !isPlain(sig.Recv().Type(), nil) {
			return false
		}
		for _, a := range call.Args {
			if !isPlain(l.pass.TypesInfo.TypeOf(a), nil) {
				return false
			}
		}
		return true
	}
	return false
}

// isPlain reports whether nothing can be reached through a value: it has no pointers.
func isPlain(t types.Type, seen []types.Type) bool {
	if slices.Contains(seen, t) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Kind() != types.UnsafePointer
	case *types.Array:
		return isPlain(u.Elem(), seen)
	case *types.Struct:
		for f := range u.Fields() {
			if !isPlain(f.Type(), append(seen, t)) {
				return false
			}
		}
		return true
	case *types.Tuple:
		for v := range u.Variables() {
			if !isPlain(v.Type(), seen) {
				return false
			}
		}
		return true
	}
	return false
}
