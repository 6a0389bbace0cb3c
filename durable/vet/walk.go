package vet

import (
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"

	"golang.org/x/tools/go/analysis"
)

// walker walks the code of one node.
type walker struct {
	*checker
	n *node
	// spoken has code that a finding about its surroundings speaks for.
	spoken map[ast.Node]bool
}

func (c *checker) walk(n *node) {
	w := &walker{checker: c, n: n, spoken: map[ast.Node]bool{}}
	ast.PreorderStack(n.code, nil, w.visit)
}

func (w *walker) visit(n ast.Node, stack []ast.Node) bool {
	if w.spoken[n] {
		return false
	}
	switch n := n.(type) {
	case *ast.FuncLit:
		return w.literal(n, stack)
	case *ast.GoStmt:
		w.find(goroutineRule, n, "starts a goroutine")
		return false
	case *ast.SelectStmt:
		w.find(selectRule, n, "selects")
		for _, s := range n.Body.List {
			w.spoken[s.(*ast.CommClause).Comm] = true
		}
	case *ast.SendStmt:
		w.findAt(channelRule, n, n.Arrow, link{Verb: "sends to a channel"})
	case *ast.UnaryExpr:
		if n.Op == token.ARROW {
			w.find(channelRule, n, "receives from a channel")
		}
	case *ast.RangeStmt:
		w.ranges(n, stack)
	case *ast.AssignStmt:
		if n.Tok != token.DEFINE {
			for _, l := range n.Lhs {
				w.captured(l)
			}
		}
	case *ast.IncDecStmt:
		w.captured(n.X)
	case *ast.CallExpr:
		w.builtin(n)
	case *ast.Ident:
		switch obj := w.pass.TypesInfo.Uses[n].(type) {
		case *types.Func:
			w.function(n, obj, stack)
		case *types.Var:
			w.variable(n, obj, stack)
		}
	}
	return true
}

// find records a rule that is broken at a node.
func (w *walker) find(rule string, n ast.Node, what string, fixes ...analysis.SuggestedFix) {
	w.findAt(rule, n, n.Pos(), link{Verb: what}, fixes...)
}

func (w *walker) findAt(rule string, n ast.Node, pos token.Pos, what link, fixes ...analysis.SuggestedFix) {
	w.add(finding{hazard{Rule: rule, Chain: []link{what}}, pos, n.End(), fixes})
}

func (w *walker) add(f finding) {
	f.Site, f.Module = w.site(f.pos), w.module
	w.n.direct = append(w.n.direct, f)
}

// literal says whether a function literal is a part of what is walked.
func (w *walker) literal(lit *ast.FuncLit, stack []ast.Node) bool {
	retry := w.isRetry(lit, stack)
	switch {
	case !w.n.body && (retry || w.hasContext(lit)):
		if w.bodies[lit] == nil {
			name := "the orchestration"
			if retry {
				name = "RetryPolicy.Retry"
			} else if call, ok := parent(stack).(*ast.CallExpr); ok && len(call.Args) > 0 {
				if s, ok := constString(w.pass.TypesInfo, call.Args[0]); ok {
					name = "orchestration " + strconv.Quote(s)
				}
			}
			w.bodies[lit] = w.checker.add(&node{name: name, decl: w.n.decl, code: lit, body: true})
		}
		return w.n.code == lit
	case w.givenAway(lit, stack):
		return false
	}
	return true
}

func constString(info *types.Info, e ast.Expr) (string, bool) {
	tv := info.Types[e]
	if tv.Value == nil || tv.Value.Kind().String() != "String" {
		return "", false
	}
	s, err := strconv.Unquote(tv.Value.ExactString())
	return s, err == nil
}

// givenAway reports whether a function value is made to run outside of orchestrations: it is
// given to what defines activities and operations, or wants a context.Context, which only
// somebody else can have.
func (w *walker) givenAway(fn ast.Expr, stack []ast.Node) bool {
	p := parent(stack)
	call, isArg := p.(*ast.CallExpr)
	if isArg = isArg && slices.Contains(call.Args, fn); isArg {
		if callee, ok := w.callee(call).(*types.Func); ok && callee.Pkg() != nil && callee.Pkg().Path() == durablePath &&
			slices.Contains([]string{"NewActivity", "Reconcile", "Operation"}, callee.Name()) {
			return true
		}
	}
	kv, isField := p.(*ast.KeyValueExpr)
	isField = isField && kv.Value == fn
	_, isElement := p.(*ast.CompositeLit)
	sig, ok := w.pass.TypesInfo.TypeOf(fn).(*types.Signature)
	return ok && (isArg || isField || isElement) && takes(sig, isStdContext)
}

// isRetry reports whether a function value becomes the Retry of a RetryPolicy.
func (w *walker) isRetry(fn ast.Expr, stack []ast.Node) bool {
	switch p := parent(stack).(type) {
	case *ast.KeyValueExpr:
		key, ok := p.Key.(*ast.Ident)
		if !ok || p.Value != fn || key.Name != "Retry" || len(stack) < 2 {
			return false
		}
		for _, n := range slices.Backward(stack) {
			if lit, ok := n.(*ast.CompositeLit); ok {
				return isDurable(w.pass.TypesInfo.TypeOf(lit), "RetryPolicy")
			}
		}
	case *ast.AssignStmt:
		i := slices.Index(p.Rhs, fn)
		if i < 0 || len(p.Lhs) != len(p.Rhs) {
			return false
		}
		sel, ok := p.Lhs[i].(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Retry" && isDurable(w.pass.TypesInfo.TypeOf(sel.X), "RetryPolicy")
	}
	return false
}

// builtin checks the calls of builtin functions.
func (w *walker) builtin(call *ast.CallExpr) {
	id, ok := ast.Unparen(call.Fun).(*ast.Ident)
	if !ok {
		return
	}
	b, ok := w.pass.TypesInfo.Uses[id].(*types.Builtin)
	if !ok {
		return
	}
	switch b.Name() {
	case "close":
		w.find(channelRule, call, "closes a channel")
	case "make":
		if _, isChan := coreType(w.pass.TypesInfo.TypeOf(call)).(*types.Chan); isChan {
			w.find(channelRule, call, "makes a channel")
		}
	case "delete", "clear", "copy":
		w.captured(call.Args[0])
	case "print", "println":
		w.find(logRule, call, "calls "+b.Name())
	}
}

// function takes note of a function that is called or mentioned.
func (w *walker) function(id *ast.Ident, fn *types.Func, stack []ast.Node) {
	whole, above := w.mention(id, stack)
	verb := "uses"
	caller, called := parent(above).(*ast.CallExpr)
	if called = called && ast.Unparen(caller.Fun) == whole; called {
		verb = "calls"
	} else if w.givenAway(whole, above) {
		return
	}
	fn = fn.Origin()
	via := to(verb, fn)
	if isMapIterator(fn) {
		w.iterator(whole, above, via)
		return
	}
	if g, ok := known(fn); ok {
		f := finding{hazard{Rule: g.rule, Chain: []link{via}, Instead: g.instead}, whole.Pos(), whole.End(), nil}
		if called {
			f.fixes = w.remedy(fn, caller, above)
		}
		w.add(f)
		return
	}
	if fn.Pkg() == nil || spokenFor(fn) {
		return
	}
	if isTrusted(fn.Pkg().Path()) {
		if isClients(fn) {
			w.add(finding{hazard{Rule: ioRule, Chain: []link{via},
				Instead: "do it in an activity; an orchestration starts others with Start or Call, and sends with SendEvent and Signal"},
				whole.Pos(), whole.End(), nil})
		}
		return
	}
	if !called && !w.n.body && w.isRetry(whole, above) {
		w.retry(fn, whole, via)
	}
	w.n.calls = append(w.n.calls, call{fn, []link{via}, nil, whole.Pos(), whole.End()})
}

// retry makes a named function that decides about retries orchestration code: by itself if it
// is of this package, else where it is named.
func (w *walker) retry(fn *types.Func, at ast.Expr, via link) {
	if n := w.nodes[fn]; n != nil {
		n.body = true
		return
	}
	body := w.checker.add(&node{name: "RetryPolicy.Retry", decl: w.n.decl, code: at, body: true})
	body.calls = []call{{fn, []link{via}, nil, at.Pos(), at.End()}}
}

// isClients reports whether a function of durable is for code outside of orchestrations.
func isClients(fn *types.Func) bool {
	outside := func(t types.Type) bool {
		return isStdContext(t) || isDurable(t, "Client") || isDurable(t, "Runtime") || isDurable(t, "Connection")
	}
	return fn.Pkg().Path() == durablePath && takes(fn.Signature(), outside)
}

// mention is the expression that an identifier makes a function of, with what is above it: a
// selector, an instance, parentheses.
func (w *walker) mention(id *ast.Ident, stack []ast.Node) (ast.Expr, []ast.Node) {
	var whole ast.Expr = id
	for i, n := range slices.Backward(stack) {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if n.Sel != whole {
				return whole, stack[:i+1]
			}
			whole = n
		case *ast.IndexExpr:
			if n.X != whole {
				return whole, stack[:i+1]
			}
			whole = n
		case *ast.IndexListExpr:
			whole = n
		case *ast.ParenExpr:
			whole = n
		default:
			if paren, ok := whole.(*ast.ParenExpr); ok {
				whole = ast.Unparen(paren)
			}
			return whole, stack[:i+1]
		}
	}
	return whole, nil
}

// parent is what a node with this stack above it stands in, parentheses aside.
func parent(stack []ast.Node) ast.Node {
	for _, n := range slices.Backward(stack) {
		if _, ok := n.(*ast.ParenExpr); !ok {
			return n
		}
	}
	return nil
}

// callee is the function, builtin or variable that a call names; nil if it names none.
func (w *walker) callee(call *ast.CallExpr) types.Object {
	fun := ast.Unparen(call.Fun)
	switch x := fun.(type) {
	case *ast.IndexExpr:
		fun = x.X
	case *ast.IndexListExpr:
		fun = x.X
	}
	switch x := fun.(type) {
	case *ast.Ident:
		return w.pass.TypesInfo.Uses[x]
	case *ast.SelectorExpr:
		return w.pass.TypesInfo.Uses[x.Sel]
	}
	return nil
}
