package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Source is a Go file, parsed.
type Source struct {
	Path string // relative to the root, with slashes
	Text []byte
	Fset *token.FileSet
	AST  *ast.File
}

// Parse reads a Go file.
func Parse(path string, text []byte) (*Source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return &Source{Path: path, Text: text, Fset: fset, AST: file}, nil
}

// Test says whether the file is one of tests.
func (s *Source) Test() bool { return strings.HasSuffix(s.Path, "_test.go") }

// Generated says whether a program wrote the file.
func (s *Source) Generated() bool { return ast.IsGenerated(s.AST) }

// at is a finding at a place of the file.
func (s *Source) at(pos token.Pos, format string, args ...any) string {
	return fmt.Sprintf("%s:%d: %s", s.Path, s.Fset.Position(pos).Line, fmt.Sprintf(format, args...))
}

// Sleeps reports calls of time.Sleep in tests and in libraries for tests: a test that waits a while
// is slow where it passes and fails where the machine is slower. It must wait for what it expects.
// In the function given to synctest.Test time is virtual; there a sleep is how it passes.
func Sleeps(s *Source) []string {
	if l, ok := layerOf(path.Dir(s.Path)); !s.Test() && !(ok && l.support) {
		return nil
	}
	var found []string
	ast.Inspect(s.AST, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			return s.qualified(n.Fun, "testing/synctest") != "Test"
		case *ast.SelectorExpr:
			if s.qualified(n, "time") == "Sleep" {
				found = append(found, s.at(n.Pos(), "time.Sleep in a test; wait for what is expected, or use testing/synctest"))
			}
		}
		return true
	})
	return found
}

// printing has the functions of fmt and log that write to the program's own output, or end it.
var printing = map[string][]string{
	"fmt": {"Print", "Printf", "Println"},
	"log": {"Print", "Printf", "Println", "Fatal", "Fatalf", "Fatalln", "Panic", "Panicf", "Panicln"},
}

// Prints reports output that a library writes unasked: its user owns stdout, and logs through slog.
func Prints(s *Source) []string {
	if s.Test() || s.AST.Name.Name == "main" {
		return nil
	}
	var found []string
	ast.Inspect(s.AST, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if id, ok := call.Fun.(*ast.Ident); ok && (id.Name == "print" || id.Name == "println") {
			found = append(found, s.at(call.Pos(), "%s in a library; use the caller's logger or writer", id.Name))
		}
		for pkg, funcs := range printing {
			if f := s.qualified(call.Fun, pkg); slices.Contains(funcs, f) {
				found = append(found, s.at(call.Pos(), "%s.%s in a library; use the caller's logger or writer", pkg, f))
			}
		}
		return true
	})
	return found
}

// note matches the marks of work that was left for later.
var note = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

// Notes reports comments that promise work. A promise belongs in an issue.
func Notes(s *Source) []string {
	var found []string
	for _, group := range s.AST.Comments {
		for _, c := range group.List {
			if m := note.FindString(c.Text); m != "" {
				found = append(found, s.at(c.Pos(), "%s in a comment; do it, or file an issue", m))
			}
		}
	}
	return found
}

// maxLines is where a file is too long. Aim for 400, and split when a second duty moves in.
const maxLines = 500

// long has the files that may be longer, each with its reason.
var long = map[string]string{}

// Length reports a file that is too long. Tests and generated files may be.
func Length(s *Source) []string {
	lines := bytes.Count(s.Text, []byte("\n"))
	if lines <= maxLines || s.Test() || s.Generated() || long[s.Path] != "" {
		return nil
	}
	return []string{fmt.Sprintf("%s: %d lines, over %d; split it", s.Path, lines, maxLines)}
}

// qualified returns the name that e has in the package pkg, "" if it is not of that package.
func (s *Source) qualified(e ast.Expr, pkg string) string {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, imp := range s.AST.Imports {
		if p, err := strconv.Unquote(imp.Path.Value); err != nil || p != pkg {
			continue
		}
		local := path.Base(pkg)
		if imp.Name != nil {
			local = imp.Name.Name
		}
		if x.Name == local {
			return sel.Sel.Name
		}
	}
	return ""
}
