package vet

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// hazard is one rule that a function breaks, itself or by what it calls.
type hazard struct {
	Rule string
	// Chain leads from the function to where the rule is broken.
	Chain   []link
	Site    string // of the last link: "rates/quote.go:14"
	Instead string // what to do; "": what the rule says
	Module  string // path of the module that breaks it; "" without modules
}

// link is one step of a chain: "calls rates.quote", "may be live.rate", "starts a goroutine".
type link struct {
	Verb string
	// Path and Package are the object's package, which is named for readers in another one.
	Path, Package string
	Object        string
	More          string
}

// to makes a link to an object.
func to(verb string, obj types.Object) link {
	l := link{Verb: verb, Object: obj.Name()}
	if typ := receiverName(obj); typ != "" {
		l.Object = typ + "." + l.Object
	}
	if obj.Pkg() != nil {
		l.Path, l.Package = obj.Pkg().Path(), obj.Pkg().Name()
	}
	return l
}

// text is the link as a reader in a package says it.
func (l link) text(path string) string {
	if l.Object == "" {
		return l.Verb
	}
	name := l.Object
	if l.Path != path && l.Package != "" {
		name = l.Package + "." + name
	}
	return l.Verb + " " + name + l.More
}

// through is the hazard as a caller has it, some links farther.
func (h hazard) through(via ...link) hazard {
	h.Chain = slices.Concat(via, h.Chain)
	return h
}

// message is what a finding in a package says: the rule, the chain from the function who, and
// what to do.
func (h hazard) message(who, path string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", h.Rule, who)
	for i, l := range h.Chain {
		if i > 0 {
			b.WriteString(", which")
		}
		b.WriteString(" " + l.text(path))
	}
	if len(h.Chain) > 1 {
		fmt.Fprintf(&b, " (%s)", h.Site)
	}
	instead := h.Instead
	if instead == "" {
		r, _ := ruleNamed(h.Rule)
		instead = r.Instead
	}
	if len(h.Chain) > 1 && (h.Rule == timeRule || h.Rule == idRule) {
		instead += "; hand its value down the chain"
	}
	return b.String() + ": " + instead
}

// hazards is the fact about a function, or about a variable that holds one: the rules that it
// breaks, each with the shortest chain.
type hazards struct {
	// Body says that it is orchestration code by itself, so that its own package's findings
	// have what it breaks.
	Body bool
	List []hazard
}

// AFact implements analysis.Fact.
func (*hazards) AFact() {}

func (h *hazards) String() string {
	names := make([]string, len(h.List))
	for i, one := range h.List {
		names[i] = one.Rule
	}
	return "breaks " + strings.Join(names, ",")
}

// changes is the fact about a package that it changes package-level variables after they are
// initialized. Keys are a package's path, a dot and the variable's name; values the site of a
// change.
type changes struct{ Vars []change }

type change struct{ Var, Site string }

// AFact implements analysis.Fact.
func (*changes) AFact() {}

func (c *changes) String() string {
	names := make([]string, len(c.Vars))
	for i, v := range c.Vars {
		names[i] = v.Var
	}
	return "changes " + strings.Join(names, ",")
}

// The import path of the programming model.
const durablePath = "github.com/agentrun-dev/agentrun/durable"

// isTrusted reports whether a package is the engine or a part of it: it makes orchestrations
// deterministic, by means that they must not use.
func isTrusted(path string) bool {
	return path == durablePath || strings.HasPrefix(path, durablePath+"/")
}

// isStandard reports whether a package is of the standard library, whose import paths begin with
// an element without a dot. So may those of a module, which the driver then names.
func isStandard(path string, hasModule bool) bool {
	first, _, _ := strings.Cut(path, "/")
	return !hasModule && !strings.Contains(first, ".") && path != "command-line-arguments"
}

// isDurable reports whether t is a type of package durable, or a pointer to one.
func isDurable(t types.Type, name string) bool {
	n := namedType(t)
	return n != nil && n.Obj().Name() == name && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == durablePath
}

func isContext(t types.Type) bool { return isDurable(t, "Context") }

func isStdContext(t types.Type) bool {
	n := namedType(t)
	return n != nil && n.Obj().Name() == "Context" && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == "context"
}

// namedType is the named type of t, or of what it points to; nil if there is none.
func namedType(t types.Type) *types.Named {
	t = types.Unalias(t)
	if p, ok := t.(*types.Pointer); ok {
		t = types.Unalias(p.Elem())
	}
	n, _ := t.(*types.Named)
	return n
}

// takes reports whether a function has a parameter or receiver for which is holds.
func takes(sig *types.Signature, is func(types.Type) bool) bool {
	if r := sig.Recv(); r != nil && is(r.Type()) {
		return true
	}
	for v := range sig.Params().Variables() {
		if is(v.Type()) {
			return true
		}
	}
	return false
}

// receiverName is the name of the type that a method belongs to, "" for anything else.
func receiverName(obj types.Object) string {
	fn, ok := obj.(*types.Func)
	if !ok || fn.Signature().Recv() == nil {
		return ""
	}
	if n := namedType(fn.Signature().Recv().Type()); n != nil {
		return n.Obj().Name()
	}
	return ""
}
