package vet

import (
	"cmp"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// own reports whether a package is of the module of this one; without modules, all are.
func (c *checker) own(path string) bool {
	return c.module == "" || path == c.module || strings.HasPrefix(path, c.module+"/")
}

// standard reports whether a package that this one sees is of the standard library. A module
// whose path has no dot is told from it only if it is this one's.
func (c *checker) standard(pkg *types.Package) bool {
	return isStandard(pkg.Path(), c.module != "" && c.own(pkg.Path())) && pkg != c.pass.Pkg
}

// followInterfaces adds to each call through an interface calls of the methods that may be
// behind it and break a rule. What types another module has for its own interfaces does not
// count: libraries have some for every purpose, of which few are ever behind this call.
func (c *checker) followInterfaces() {
	methods, hidden := c.methodsBehind(), c.hiddenBehind()
	for _, n := range c.order {
		for _, k := range slices.Clone(n.calls) {
			fn, ok := k.callee.(*types.Func)
			if !ok || fn.Signature().Recv() == nil || c.standard(fn.Pkg()) {
				continue
			}
			iface, ok := fn.Signature().Recv().Type().Underlying().(*types.Interface)
			if !ok {
				continue
			}
			for _, m := range methods[fn.Name()] {
				if own := c.nodes[m]; own != nil && own.test && !n.test {
					continue // a fake
				}
				if (c.own(fn.Pkg().Path()) || c.own(m.Pkg().Path())) && implements(m, iface) {
					n.calls = append(n.calls, call{m, append(slices.Clone(k.via), to("may be", m)), nil, k.pos, k.end})
				}
			}
			for _, h := range hidden[methodKey(fn)] {
				if c.own(fn.Pkg().Path()) || c.own(h.Is.Path) {
					n.calls = append(n.calls, call{nil, append(slices.Clone(k.via), h.Is), &h.Does, k.pos, k.end})
				}
			}
		}
	}
}

// methodsBehind are the methods that this package has or has facts about, by name.
func (c *checker) methodsBehind() map[string][]*types.Func {
	methods := map[string][]*types.Func{}
	add := func(obj types.Object) {
		if fn, ok := obj.(*types.Func); ok && fn.Signature().Recv() != nil {
			methods[fn.Name()] = append(methods[fn.Name()], fn)
		}
	}
	for _, n := range c.order {
		add(n.obj)
	}
	for _, f := range c.pass.AllObjectFacts() {
		if _, ok := f.Fact.(*hazards); ok && f.Object.Pkg() != c.pass.Pkg {
			add(f.Object)
		}
	}
	for _, list := range methods {
		slices.SortStableFunc(list, func(a, b *types.Func) int { return cmp.Compare(a.FullName(), b.FullName()) })
	}
	return methods
}

// implements reports whether a method is one of a type, or a pointer to one, that implements an
// interface.
func implements(m *types.Func, iface *types.Interface) bool {
	named := namedType(m.Signature().Recv().Type())
	return named != nil && named.TypeParams().Len() == 0 && !types.IsInterface(named) && types.Implements(types.NewPointer(named), iface)
}

// methodKey names a method of an interface that has a name; "" if it has none.
func methodKey(fn *types.Func) string {
	typ := receiverName(fn)
	if typ == "" || fn.Pkg() == nil {
		return ""
	}
	return fn.Pkg().Path() + "." + typ + "." + fn.Name()
}

// behind is the fact about a package that methods of types which it hides, and about which there
// can be no facts, are behind methods of interfaces that others see.
type behind struct{ List []hiddenMethod }

type hiddenMethod struct {
	Of   string // the interface's method: see methodKey
	Is   link
	Does hazards
}

// AFact implements analysis.Fact.
func (*behind) AFact() {}

func (b *behind) String() string {
	names := make([]string, len(b.List))
	for i, h := range b.List {
		names[i] = h.Is.Object
	}
	return "hides " + strings.Join(names, ",")
}

// hiddenBehind are the hidden methods of imported packages by what they are behind.
func (c *checker) hiddenBehind() map[string][]hiddenMethod {
	hidden := map[string][]hiddenMethod{}
	for _, f := range c.pass.AllPackageFacts() {
		if fact, ok := f.Fact.(*behind); ok && f.Package != c.pass.Pkg {
			for _, h := range fact.List {
				hidden[h.Of] = append(hidden[h.Of], h)
			}
		}
	}
	for _, list := range hidden {
		slices.SortStableFunc(list, func(a, b hiddenMethod) int {
			return cmp.Or(cmp.Compare(a.Is.Path, b.Is.Path), cmp.Compare(a.Is.Object, b.Is.Object))
		})
	}
	return hidden
}

// exportHidden publishes the methods of hidden types that break a rule, for the interfaces that
// this package has or imports.
func (c *checker) exportHidden() {
	var fact behind
	for _, n := range c.order {
		fn, ok := n.obj.(*types.Func)
		if !ok || n.test || len(n.sum) == 0 || !fn.Exported() || receiverName(fn) == "" || token.IsExported(receiverName(fn)) {
			continue
		}
		for _, pkg := range append([]*types.Package{c.pass.Pkg}, c.pass.Pkg.Imports()...) {
			if c.standard(pkg) || isTrusted(pkg.Path()) {
				continue
			}
			for _, name := range pkg.Scope().Names() {
				t, ok := pkg.Scope().Lookup(name).(*types.TypeName)
				if !ok || !t.Exported() || t.IsAlias() {
					continue
				}
				named, ok := t.Type().(*types.Named)
				if !ok || named.TypeParams().Len() > 0 {
					continue
				}
				iface, ok := named.Underlying().(*types.Interface)
				if !ok || !implements(fn, iface) {
					continue
				}
				if obj, _, _ := types.LookupFieldOrMethod(named, false, pkg, fn.Name()); obj != nil {
					fact.List = append(fact.List, hiddenMethod{methodKey(obj.(*types.Func)), to("may be", fn), hazards{List: n.list()}})
				}
			}
		}
	}
	if len(fact.List) > 0 {
		c.pass.ExportPackageFact(&fact)
	}
}
