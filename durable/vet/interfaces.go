package vet

import (
	"cmp"
	"go/types"
	"slices"
	"strings"
)

// standard reports whether a package that this one sees is of the standard library. A module
// whose path has no dot is told from it only if it is this one's.
func (c *checker) standard(pkg *types.Package) bool {
	path := pkg.Path()
	own := pkg == c.pass.Pkg || c.module != "" && (path == c.module || strings.HasPrefix(path, c.module+"/"))
	return !own && isStandard(path, false)
}

// followInterfaces adds to each call through an interface calls of the methods that may be
// behind it and break a rule.
func (c *checker) followInterfaces() {
	var behind []types.Object
	for _, n := range c.order {
		if n.obj != nil {
			behind = append(behind, n.obj)
		}
	}
	for _, f := range c.pass.AllObjectFacts() {
		if _, ok := f.Fact.(*hazards); ok && f.Object.Pkg() != c.pass.Pkg {
			behind = append(behind, f.Object)
		}
	}
	methods := map[string][]*types.Func{}
	for _, obj := range behind {
		if fn, ok := obj.(*types.Func); ok && fn.Signature().Recv() != nil {
			methods[fn.Name()] = append(methods[fn.Name()], fn)
		}
	}
	for _, list := range methods {
		slices.SortStableFunc(list, func(a, b *types.Func) int {
			return cmp.Compare(a.FullName(), b.FullName())
		})
	}
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
				if named := namedType(m.Signature().Recv().Type()); named != nil && named.TypeParams().Len() == 0 &&
					!types.IsInterface(named) && types.Implements(types.NewPointer(named), iface) {
					n.calls = append(n.calls, call{m, append(slices.Clone(k.via), to("may be", m)), k.pos, k.end})
				}
			}
		}
	}
}
