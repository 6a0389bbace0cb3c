package lint

import (
	"fmt"
	"slices"
	"strings"
)

// Arrows reports the imports of p that the table of layers does not have.
func Arrows(p *Package) []string {
	var found []string
	report := func(path, why string) {
		found = append(found, fmt.Sprintf("%s imports %s: %s", name(p.ImportPath), name(path), why))
	}
	from, ok := layerOf(name(p.ImportPath))
	if !ok {
		return []string{name(p.ImportPath) + " is in no layer; add a row to internal/lint/layers.go"}
	}
	for _, path := range p.Imports {
		if why := from.refuses(name(p.ImportPath), path); why != "" {
			report(path, why)
		}
	}
	tests := slices.Concat(p.TestImports, p.XTestImports)
	slices.Sort(tests)
	for _, path := range slices.Compact(tests) {
		if path != p.ImportPath && !from.testMay(name(p.ImportPath), path) {
			report(path, "no arrow leads there, from tests neither")
		}
	}
	return found
}

// refuses says why the code of the package self, which is of this layer, may not import path, or "".
func (l *layer) refuses(self, path string) string {
	for _, f := range foreign {
		if under(path, f.path) && !slices.Contains(f.owners, l.path) {
			return "only " + strings.Join(f.owners, ", ") + " may"
		}
	}
	if path == "testing" && !l.support {
		return "only libraries for tests may"
	}
	if !ours(path) {
		return ""
	}
	to, ok := layerOf(name(path))
	switch {
	case !ok || !l.sees(self, name(path), to):
		return "no arrow leads there"
	case to.support && !l.support:
		return "it is for tests only"
	case to.owners != nil && !strings.HasPrefix(l.path, examples) && !slices.Contains(to.owners, l.path):
		return "only " + strings.Join(to.owners, ", ") + " may"
	}
	return ""
}

// testMay says whether a test of the package self, which is of this layer, may import path: what its
// code sees, every helper, and a library for tests or a fake if it may import all that this imports.
func (l *layer) testMay(self, path string) bool {
	if !ours(path) {
		return true
	}
	to, ok := layerOf(name(path))
	return ok && (isHelper(to) || l.testSees(self, name(path), to))
}

func (l *layer) testSees(self, path string, to *layer) bool {
	if l.sees(self, path, to) {
		return true
	}
	if !to.support && !to.fake {
		return false
	}
	for _, below := range to.below {
		b, _ := layerOf(below)
		if b.path != l.path && !l.testSees(self, below, b) {
			return false
		}
	}
	return true
}

// sees says whether an arrow leads from the package self, which is of this layer, to path, which is
// of the layer to.
func (l *layer) sees(self, path string, to *layer) bool {
	if strings.HasPrefix(l.path, examples) {
		return strings.HasPrefix(path, l.path+"/") || path == l.path ||
			!strings.HasPrefix(path, "internal/") && !strings.HasPrefix(path, "cmd/") && !strings.HasPrefix(path, examples)
	}
	if isHelper(to) {
		return !isHelper(l)
	}
	return closure(l)[to.path]
}

// closure has the paths of all layers below l.
func closure(l *layer) map[string]bool {
	seen := map[string]bool{}
	var visit func(*layer)
	visit = func(l *layer) {
		for _, below := range l.below {
			if b, ok := layerOf(below); ok && !seen[b.path] {
				seen[b.path] = true
				visit(b)
			}
		}
	}
	visit(l)
	return seen
}

// layerOf returns the layer of a package, or of a path of the table.
func layerOf(path string) (*layer, bool) {
	var best *layer
	for i := range layers {
		l := &layers[i]
		dir, all := strings.CutSuffix(l.path, "/...")
		fits := path == l.path || all && strings.HasPrefix(path, dir+"/")
		if fits && (best == nil || path == l.path || best.path != path && len(l.path) > len(best.path)) {
			best = l
		}
	}
	switch {
	case best != nil:
		return best, true
	case strings.HasPrefix(path, helpers):
		return &layer{path: path}, true
	case strings.HasPrefix(path, examples):
		example, _, _ := strings.Cut(strings.TrimPrefix(path, examples), "/")
		return &layer{path: examples + example}, true
	}
	return nil, false
}

// isHelper says whether l is a package under internal/ that has no row.
func isHelper(l *layer) bool {
	return strings.HasPrefix(l.path, helpers) &&
		!slices.ContainsFunc(layers, func(row layer) bool { return row.path == l.path })
}

func ours(path string) bool { return under(path, Module) }

func under(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// name is a package's path relative to the module, "." for its root. Others keep theirs.
func name(path string) string {
	if path == Module {
		return "."
	}
	return strings.TrimPrefix(path, Module+"/")
}
