package lint

import (
	"go/ast"
	"go/doc"
	"strings"
)

// PackageDoc reports a package that no comment describes. The sources are all those of its folder.
func PackageDoc(name string, sources []*Source) []string {
	code := 0
	for _, s := range sources {
		if s.Test() {
			continue
		}
		code++
		if strings.TrimSpace(s.AST.Doc.Text()) != "" {
			return nil
		}
	}
	if code == 0 {
		return nil // tests only
	}
	return []string{name + ": the package has no doc comment"}
}

// Examples reports a public package whose doc shows no example that go test runs. The example of
// a library for tests need not print: it takes a *testing.T, which an example has not.
func Examples(name string, sources []*Source) []string {
	for _, dir := range []string{"internal/", "cmd/", "examples/"} {
		if strings.HasPrefix(name, dir) || strings.Contains(name, "/internal/") {
			return nil
		}
	}
	var tests []*ast.File
	for _, s := range sources {
		if s.Test() {
			tests = append(tests, s.AST)
		}
	}
	l, ok := layerOf(name)
	for _, e := range doc.Examples(tests...) {
		if e.Output != "" || e.EmptyOutput || ok && l.support {
			return nil
		}
	}
	return []string{name + ": the package has no Example with an Output comment"}
}

// Comments reports exported identifiers without a doc comment: functions, types, methods of exported
// types and of interfaces, constants and variables. A group of constants or variables may share one.
// Fields are left to the author: the comment of a small struct says it better in one sentence.
func Comments(s *Source) []string {
	if s.Test() || s.Generated() || s.AST.Name.Name == "main" {
		return nil
	}
	var found []string
	missing := func(id *ast.Ident, prefix string) {
		found = append(found, s.at(id.Pos(), "%s%s is exported and has no comment", prefix, id.Name))
	}
	for _, decl := range s.AST.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if recv := receiver(d); d.Doc == nil && d.Name.IsExported() && (recv == "" || ast.IsExported(recv)) {
				prefix := ""
				if recv != "" {
					prefix = recv + "."
				}
				missing(d.Name, prefix)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.ValueSpec:
					if d.Doc != nil || spec.Doc != nil || spec.Comment != nil {
						continue
					}
					for _, id := range spec.Names {
						if id.IsExported() {
							missing(id, "")
						}
					}
				case *ast.TypeSpec:
					if !spec.Name.IsExported() {
						continue
					}
					// The comment of a group says what its types have in common, not what each is.
					if spec.Doc == nil && spec.Comment == nil && (d.Lparen.IsValid() || d.Doc == nil) {
						missing(spec.Name, "")
					}
					methods(spec, missing)
				}
			}
		}
	}
	return found
}

// methods checks an interface. The comment of one with a single method describes that, too.
func methods(spec *ast.TypeSpec, missing func(*ast.Ident, string)) {
	t, ok := spec.Type.(*ast.InterfaceType)
	if !ok || t.Methods.NumFields() < 2 {
		return
	}
	for _, f := range t.Methods.List {
		for _, id := range f.Names {
			if f.Doc == nil && f.Comment == nil && id.IsExported() {
				missing(id, spec.Name.Name+".")
			}
		}
	}
}

// receiver is the name of a method's type, "" for a function.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return ""
	}
	for t := d.Recv.List[0].Type; ; {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
