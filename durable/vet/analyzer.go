package vet

import (
	"cmp"
	"go/ast"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/go/analysis"
)

// Analyzer reports code that makes an orchestration's replay differ. It depends on facts about
// imported packages, so its driver must run it on dependencies, too. Its flag tests makes it
// report what it finds in test files.
var Analyzer = newAnalyzer()

func newAnalyzer() *analysis.Analyzer {
	a := &analysis.Analyzer{
		Name:      "determinism",
		Doc:       "check that orchestrations of package durable take the same steps in each replay",
		URL:       "https://pkg.go.dev/" + durablePath + "/vet",
		FactTypes: []analysis.Fact{(*hazards)(nil), (*changes)(nil), (*behind)(nil)},
	}
	tests := a.Flags.Bool("tests", false, "report what is found in test files, too")
	a.Run = func(pass *analysis.Pass) (any, error) {
		if isTrusted(pass.Pkg.Path()) || isStandard(pass.Pkg.Path(), hasModule(pass)) {
			return nil, nil
		}
		c := &checker{pass: pass, tests: *tests, nodes: map[types.Object]*node{}, bodies: map[*ast.FuncLit]*node{}}
		if hasModule(pass) {
			c.module = pass.Module.Path
		}
		c.check()
		return nil, nil
	}
	return a
}

func hasModule(pass *analysis.Pass) bool { return pass.Module != nil && pass.Module.Path != "" }

// checker is the analysis of one package.
type checker struct {
	pass   *analysis.Pass
	module string
	tests  bool
	allows *allows

	nodes  map[types.Object]*node // functions, and variables that hold one
	bodies map[*ast.FuncLit]*node // function literals that are orchestration code by themselves
	order  []*node                // all of them

	changed   map[*types.Var]string // package-level variables that are changed here, and where
	elsewhere map[string]string     // and in imported packages; read when needed
}

// node is a function: what it breaks itself, and what it calls.
type node struct {
	name string
	obj  types.Object // nil: a literal
	decl ast.Node     // the declared function that it is or stands in; nil outside of one
	code ast.Node     // what is walked
	body bool         // it is orchestration code by itself
	test bool         // it is in a test file

	direct []finding
	calls  []call
	sum    map[string]hazard // by rule, with the shortest chain
}

// finding is a rule broken at a place.
type finding struct {
	hazard
	pos, end token.Pos
	fixes    []analysis.SuggestedFix
}

// call is a call, or a mention, of a function.
type call struct {
	callee   types.Object
	via      []link
	fact     *hazards // what is known of a callee that cannot be named
	pos, end token.Pos
}

func (c *checker) check() {
	c.allows = readAllows(c.pass, func(d analysis.Diagnostic) {
		if c.reports(d.Pos) {
			c.pass.Report(d)
		}
	})
	c.findChanges()
	c.findNodes()
	for i := 0; i < len(c.order); i++ { // walking one may find more
		c.walk(c.order[i])
	}
	c.followInterfaces()
	c.summarize()
	c.export()
	c.exportHidden()
	for _, n := range c.order {
		if n.body {
			c.report(n)
		}
	}
	for _, a := range c.allows.all {
		if !a.used && c.reports(a.pos) {
			c.pass.Report(analysis.Diagnostic{Pos: a.pos, Category: "allow", Message: "allow: nothing here breaks the rule " + a.rule + "; remove the line"})
		}
	}
}

// findNodes makes the nodes of declared functions and of what initializes variables.
func (c *checker) findNodes() {
	for _, f := range c.pass.Files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if fn, ok := c.pass.TypesInfo.Defs[d.Name].(*types.Func); ok && d.Body != nil {
					n := c.add(&node{name: to("", fn).Object, obj: fn, decl: d, code: d.Body})
					n.body = takes(fn.Signature(), isContext) || c.usesContext(d.Body)
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					if v, ok := spec.(*ast.ValueSpec); ok {
						c.initializers(v)
					}
				}
			}
		}
	}
}

// initializers makes a node of each value. That of a variable which holds a function has what
// calling the variable does.
func (c *checker) initializers(spec *ast.ValueSpec) {
	for i, value := range spec.Values {
		n := &node{name: "the initializer", code: value}
		if len(spec.Names) == len(spec.Values) {
			if v, ok := c.pass.TypesInfo.Defs[spec.Names[i]].(*types.Var); ok {
				n.name = v.Name()
				if _, isFunc := v.Type().Underlying().(*types.Signature); isFunc {
					n.obj = v
				}
			}
		}
		c.add(n)
	}
}

func (c *checker) add(n *node) *node {
	n.sum = map[string]hazard{}
	n.test = strings.HasSuffix(c.pass.Fset.Position(n.code.Pos()).Filename, "_test.go")
	c.order = append(c.order, n)
	if n.obj != nil {
		c.nodes[n.obj] = n
	}
	return n
}

// usesContext reports whether code uses a *durable.Context outside of function literals that
// have their own.
func (c *checker) usesContext(code ast.Node) bool {
	found := false
	ast.Inspect(code, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return !found && !c.hasContext(n)
		case *ast.Ident:
			switch obj := c.pass.TypesInfo.Uses[n].(type) {
			case *types.Var:
				found = found || isContext(obj.Type())
			case *types.Func:
				recv := obj.Signature().Recv()
				found = found || recv != nil && isContext(recv.Type())
			}
		}
		return !found
	})
	return found
}

func (c *checker) hasContext(lit *ast.FuncLit) bool {
	sig, ok := c.pass.TypesInfo.TypeOf(lit).(*types.Signature)
	return ok && takes(sig, isContext)
}

// summarize finds for each node the shortest chain to each rule that it breaks.
func (c *checker) summarize() {
	for _, n := range c.order {
		for _, f := range n.direct {
			if !c.allows.cover(f.Rule, f.pos, n.decl) {
				n.take(f.hazard)
			}
		}
	}
	for again := true; again; {
		again = false
		for _, n := range c.order {
			for _, call := range n.calls {
				for _, h := range c.broken(call, n.body) {
					if !c.allows.cover(h.Rule, call.pos, n.decl) && n.take(h.through(call.via...)) {
						again = true
					}
				}
			}
		}
	}
}

func (n *node) take(h hazard) bool {
	if old, ok := n.sum[h.Rule]; ok && len(old.Chain) <= len(h.Chain) {
		return false
	}
	n.sum[h.Rule] = h
	return true
}

// broken gives what a callee breaks that its caller has to answer for. Orchestration code of the
// same module answers for itself.
func (c *checker) broken(k call, fromBody bool) []hazard {
	if n := c.nodes[k.callee]; n != nil {
		if n.body && fromBody {
			return nil
		}
		return n.list()
	}
	fact := k.fact
	if fact == nil {
		fact = &hazards{}
		if !c.pass.ImportObjectFact(k.callee, fact) {
			return nil
		}
	}
	var list []hazard
	for _, h := range fact.List {
		if same := h.Module == c.module; same && !fact.Body || !same && !isInner(h.Rule) {
			list = append(list, h)
		}
	}
	return list
}

// list gives the hazards of a node by name.
func (n *node) list() []hazard {
	list := make([]hazard, 0, len(n.sum))
	for _, h := range n.sum {
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b hazard) int { return cmp.Compare(a.Rule, b.Rule) })
	return list
}

// export publishes what importers need.
func (c *checker) export() {
	for _, n := range c.order {
		if n.obj != nil && n.obj.Exported() && len(n.sum) > 0 { // nobody else can call others
			c.pass.ExportObjectFact(n.obj, &hazards{Body: n.body, List: n.list()})
		}
	}
	var vars []change
	for v, site := range c.changed {
		if v.Exported() {
			vars = append(vars, change{v.Pkg().Path() + "." + v.Name(), site})
		}
	}
	if len(vars) > 0 {
		slices.SortFunc(vars, func(a, b change) int { return cmp.Compare(a.Var, b.Var) })
		c.pass.ExportPackageFact(&changes{vars})
	}
}

// report reports what a piece of orchestration code breaks: each place once for each rule.
func (c *checker) report(n *node) {
	found := slices.Clone(n.direct)
	for _, call := range n.calls {
		for _, h := range c.broken(call, true) {
			found = append(found, finding{hazard: h.through(call.via...), pos: call.pos, end: call.end})
		}
	}
	slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(a.pos, b.pos) })
	type once struct {
		pos  token.Pos
		rule string
	}
	seen := map[once]bool{}
	for _, f := range found {
		key := once{f.pos, f.Rule}
		if seen[key] || c.allows.cover(f.Rule, f.pos, n.decl) || !c.reports(f.pos) {
			continue
		}
		seen[key] = true
		c.pass.Report(analysis.Diagnostic{Pos: f.pos, End: f.end, Category: f.Rule, Message: f.message(n.name, c.pass.Pkg.Path()), SuggestedFixes: f.fixes})
	}
}

// reports says whether what is at pos is reported.
func (c *checker) reports(pos token.Pos) bool {
	return c.tests || !strings.HasSuffix(c.pass.Fset.Position(pos).Filename, "_test.go")
}

// site names a place for somebody in another package.
func (c *checker) site(pos token.Pos) string {
	p := c.pass.Fset.Position(pos)
	return path.Base(strings.TrimSuffix(c.pass.Pkg.Path(), "_test")) + "/" + filepath.Base(p.Filename) + ":" + strconv.Itoa(p.Line)
}
