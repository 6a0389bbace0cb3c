package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// coreType is the underlying type, and for a type parameter that of all its types if they have
// one kind.
func coreType(t types.Type) types.Type {
	p, ok := types.Unalias(t).(*types.TypeParam)
	if !ok {
		return t.Underlying()
	}
	iface, ok := p.Constraint().Underlying().(*types.Interface)
	if !ok || iface.NumEmbeddeds() != 1 {
		return t.Underlying()
	}
	switch e := iface.EmbeddedType(0).(type) {
	case *types.Union:
		if e.Len() == 1 {
			return e.Term(0).Type().Underlying()
		}
	default:
		if !types.IsInterface(e) {
			return e.Underlying()
		}
	}
	return t.Underlying()
}

// ranges checks a range statement: over a channel, and over a map or its iterator if the order
// can matter.
func (w *walker) ranges(n *ast.RangeStmt, stack []ast.Node) {
	for _, e := range []ast.Expr{n.Key, n.Value} {
		if e != nil && n.Tok == token.ASSIGN {
			w.captured(e)
		}
	}
	switch coreType(w.pass.TypesInfo.TypeOf(n.X)).(type) {
	case *types.Chan:
		w.find(channelRule, n, "ranges over a channel")
	case *types.Map:
		if !w.orderless(n, stack) {
			w.find(mapOrderRule, n, "ranges over a map", w.sortKeys(n)...)
		}
	case *types.Signature:
		call, ok := ast.Unparen(n.X).(*ast.CallExpr)
		if !ok {
			return
		}
		if fn, ok := w.callee(call).(*types.Func); ok && isMapIterator(fn) {
			w.spoken[call.Fun] = true
			if !w.orderless(n, stack) {
				w.findAt(mapOrderRule, n, n.Pos(), to("ranges over", fn))
			}
		}
	}
}

// isMapIterator reports whether a function gives a map's elements in their order, which is none.
func isMapIterator(fn *types.Func) bool {
	if fn.Pkg() == nil || fn.Signature().Recv() != nil {
		return false
	}
	switch fn.Pkg().Path() {
	case "maps":
		return fn.Name() == "Keys" || fn.Name() == "Values" || fn.Name() == "All"
	case "golang.org/x/exp/maps": // they give slices
		return fn.Name() == "Keys" || fn.Name() == "Values"
	}
	return false
}

// iterator checks a map's iterator that is not ranged over: who takes it must sort, or make a
// map of it.
func (w *walker) iterator(fn ast.Expr, stack []ast.Node, via link) {
	if w.spoken[fn] {
		return
	}
	var e ast.Node
	for len(stack) > 0 { // what the value is given to
		e, stack = stack[len(stack)-1], stack[:len(stack)-1]
		call, ok := e.(*ast.CallExpr)
		if !ok {
			break
		}
		switch name := w.stdName(call); name {
		case "slices.Sorted", "slices.SortedFunc", "slices.SortedStableFunc", "maps.Collect", "maps.Insert":
			return
		}
	}
	if assign, ok := e.(*ast.AssignStmt); ok && len(assign.Lhs) == 1 && w.sortedLater(assign.Lhs[0], assign.End(), stack) {
		return
	}
	w.findAt(mapOrderRule, fn, fn.Pos(), via)
}

// stdName is a called function of the standard library or of x/exp as a file would write it, ""
// if it is no such function.
func (w *walker) stdName(call *ast.CallExpr) string {
	fn, ok := w.callee(call).(*types.Func)
	if !ok || fn.Pkg() == nil || fn.Signature().Recv() != nil {
		return ""
	}
	return strings.TrimPrefix(fn.Pkg().Path(), "golang.org/x/exp/") + "." + fn.Name()
}

var sorters = []string{
	"slices.Sort", "slices.SortFunc", "slices.SortStableFunc",
	"sort.Slice", "sort.SliceStable", "sort.Sort", "sort.Stable", "sort.Strings", "sort.Ints", "sort.Float64s",
}

// sortedLater reports whether the function sorts a slice after pos.
func (w *walker) sortedLater(slice ast.Expr, pos token.Pos, stack []ast.Node) bool {
	name := w.source(slice)
	found := false
	ast.Inspect(w.around(stack), func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || call.Pos() < pos || len(call.Args) == 0 || found {
			return !found
		}
		arg := ast.Unparen(call.Args[0])
		if conv, ok := arg.(*ast.CallExpr); ok && len(conv.Args) == 1 { // sort.Sort(byName(list))
			arg = conv.Args[0]
		}
		found = slices.Contains(sorters, w.stdName(call)) && w.source(arg) == name && w.variableOf(arg) == w.variableOf(slice)
		return !found
	})
	return found
}

// around is the innermost function of a stack, or all of the node.
func (w *walker) around(stack []ast.Node) ast.Node {
	for _, n := range slices.Backward(stack) {
		if lit, ok := n.(*ast.FuncLit); ok {
			return lit
		}
	}
	return w.n.code
}

// orderless reports whether a loop comes to the same in whatever order it runs.
func (w *walker) orderless(n *ast.RangeStmt, stack []ast.Node) bool {
	if isBlank(n.Key) && isBlank(n.Value) {
		return true // all rounds are alike
	}
	if n.Tok == token.ASSIGN {
		return false // the last one's stay
	}
	l := &loop{walker: w, outer: n, stack: stack, constants: map[string]string{}}
	if id, ok := n.Key.(*ast.Ident); ok && w.keyed(n) {
		l.key = w.pass.TypesInfo.Defs[id]
	}
	return l.block(n.Body) && (!l.leaves || !l.gathers)
}

// keyed reports whether the first variable of a range is a map's key, of which no two are equal.
func (w *walker) keyed(n *ast.RangeStmt) bool {
	call, ok := ast.Unparen(n.X).(*ast.CallExpr)
	return !ok || w.stdName(call) != "maps.Values"
}

func isBlank(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return e == nil || ok && id.Name == "_"
}

// loop is a range over a map whose order may not matter.
type loop struct {
	*walker
	outer     *ast.RangeStmt
	stack     []ast.Node
	key       types.Object      // its key; nil: it has none
	constants map[string]string // what the only constant is that a variable is set to
	gathers   bool              // something of each round stays
	leaves    bool              // it may end early
}

func (l *loop) block(b *ast.BlockStmt) bool {
	for _, s := range b.List {
		if !l.statement(s) {
			return false
		}
	}
	return true
}

func (l *loop) statement(s ast.Stmt) bool {
	switch s := s.(type) {
	case nil, *ast.EmptyStmt:
		return true
	case *ast.BlockStmt:
		return l.block(s)
	case *ast.IfStmt:
		return l.statement(s.Init) && l.plain(s.Cond) && l.block(s.Body) && l.statement(s.Else)
	case *ast.SwitchStmt:
		if !l.statement(s.Init) || s.Tag != nil && !l.plain(s.Tag) {
			return false
		}
		for _, c := range s.Body.List {
			c := c.(*ast.CaseClause)
			for _, e := range c.List {
				if !l.plain(e) {
					return false
				}
			}
			for _, inner := range c.Body {
				if b, ok := inner.(*ast.BranchStmt); ok && b.Tok == token.BREAK && b.Label == nil {
					continue
				}
				if !l.statement(inner) {
					return false
				}
			}
		}
		return true
	case *ast.ForStmt:
		return l.statement(s.Init) && (s.Cond == nil || l.plain(s.Cond)) && l.statement(s.Post) && l.block(s.Body)
	case *ast.RangeStmt:
		if _, isChan := coreType(l.pass.TypesInfo.TypeOf(s.X)).(*types.Chan); isChan {
			return false
		}
		return l.plain(s.X) && (s.Tok != token.ASSIGN) && l.block(s.Body)
	case *ast.DeclStmt:
		return l.plain(s)
	case *ast.BranchStmt:
		if s.Tok == token.BREAK {
			l.leaves = true
		}
		return s.Label == nil && (s.Tok == token.BREAK || s.Tok == token.CONTINUE)
	case *ast.ReturnStmt:
		l.leaves = true
		for i, e := range s.Results {
			if !l.constant("return "+string(rune('0'+i)), e) {
				return false
			}
		}
		return true
	case *ast.IncDecStmt:
		return l.own(s.X) || l.sums(s.X)
	case *ast.ExprStmt:
		call, ok := s.X.(*ast.CallExpr)
		if !ok {
			return false
		}
		b, ok := l.callee(call).(*types.Builtin)
		l.gathers = true
		return ok && b.Name() == "delete" && l.plain(call.Args[0]) && l.plain(call.Args[1])
	case *ast.AssignStmt:
		return l.assign(s)
	}
	return false
}

func (l *loop) assign(s *ast.AssignStmt) bool {
	for _, e := range s.Rhs {
		if !l.plain(e) && !l.isAppend(e) {
			return false
		}
	}
	if s.Tok == token.DEFINE {
		return true
	}
	for i, target := range s.Lhs {
		if l.own(target) || isBlank(target) {
			continue
		}
		var value ast.Expr
		if len(s.Lhs) == len(s.Rhs) {
			value = s.Rhs[i]
		}
		if !l.target(s.Tok, target, value) {
			return false
		}
	}
	return true
}

// target checks an assignment to what outlives the round.
func (l *loop) target(tok token.Token, target, value ast.Expr) bool {
	switch tok {
	case token.ADD_ASSIGN, token.SUB_ASSIGN, token.MUL_ASSIGN, token.OR_ASSIGN, token.AND_ASSIGN, token.XOR_ASSIGN:
		return l.sums(target)
	case token.ASSIGN:
	default:
		return false
	}
	if value == nil {
		return false
	}
	if index, ok := ast.Unparen(target).(*ast.IndexExpr); ok {
		if _, isMap := coreType(l.pass.TypesInfo.TypeOf(index.X)).(*types.Map); isMap && l.plain(index.X) && l.plain(index.Index) {
			id, ok := ast.Unparen(index.Index).(*ast.Ident)
			if ok && l.key != nil && l.pass.TypesInfo.Uses[id] == l.key {
				l.gathers = true
				return !l.isAppend(value)
			}
			return l.constant("element of "+l.source(index.X), value)
		}
		return false
	}
	name := l.source(target)
	if call, ok := ast.Unparen(value).(*ast.CallExpr); ok && len(call.Args) > 0 {
		switch b, _ := l.callee(call).(*types.Builtin); {
		case b == nil:
		case b.Name() == "append":
			l.gathers = true
			return l.source(call.Args[0]) == name && l.sortedLater(target, l.outer.End(), l.stack)
		case b.Name() == "min" || b.Name() == "max":
			l.gathers = true
			return slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return l.source(a) == name }) && !isFloat(l.pass.TypesInfo.TypeOf(target))
		}
	}
	return l.constant(name, value)
}

// constant reports whether a value is constant, and the only one that the loop puts there.
func (l *loop) constant(where string, value ast.Expr) bool {
	text := ""
	switch tv := l.pass.TypesInfo.Types[value]; {
	case tv.Value != nil:
		text = tv.Value.ExactString()
	case tv.IsNil():
		text = "nil"
	default:
		lit, ok := ast.Unparen(value).(*ast.CompositeLit)
		if !ok || len(lit.Elts) > 0 {
			return false
		}
		text = l.source(lit)
	}
	old, ok := l.constants[where]
	l.constants[where] = text
	return !ok || old == text
}

// sums reports whether a target is an integer, to which rounds may add in any order.
func (l *loop) sums(target ast.Expr) bool {
	l.gathers = true
	b, ok := coreType(l.pass.TypesInfo.TypeOf(target)).(*types.Basic)
	return ok && b.Info()&types.IsInteger != 0 && l.plain(target)
}

func isFloat(t types.Type) bool {
	b, ok := coreType(t).(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

// own reports whether a target is a variable of the round, or a part of a value in one.
func (l *loop) own(target ast.Expr) bool {
	for {
		switch x := ast.Unparen(target).(type) {
		case *ast.Ident:
			v, ok := l.pass.TypesInfo.Uses[x].(*types.Var)
			return ok && l.outer.Body.Pos() <= v.Pos() && v.Pos() < l.outer.Body.End()
		case *ast.SelectorExpr:
			if _, isStruct := l.pass.TypesInfo.TypeOf(x.X).Underlying().(*types.Struct); !isStruct {
				return false
			}
			target = x.X
		default:
			return false
		}
	}
}
