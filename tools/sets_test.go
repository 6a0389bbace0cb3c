package tools_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/tools"
	"github.com/google/go-cmp/cmp"
)

func named(names ...string) []tools.Tool {
	var ts []tools.Tool
	for _, name := range names {
		ts = append(ts, tools.New(name, "", nothing[none]))
	}
	return ts
}

func names(ts []tools.Tool) []string {
	var list []string
	for _, t := range ts {
		list = append(list, t.Name())
	}
	return list
}

// set is a toolset as others may write it.
type set struct {
	name  string
	tools []tools.Tool
	err   error
}

func (s set) Name() string                                { return s.name }
func (s set) Tools(context.Context) ([]tools.Tool, error) { return s.tools, s.err }

func TestWith(t *testing.T) {
	undo := named("undo")[0]
	theirs := tools.New("do", "Does it.", func(context.Context, none) (string, error) { return "done", nil },
		tools.Compensable(undo), tools.Reconcile(find[none, string]), tools.NeedsApproval(tools.Approval{}), tools.Timeout(time.Hour))
	mine := tools.Must(theirs.With(tools.Pure(), tools.Timeout(time.Minute), tools.Named("mine"), tools.Described("Other."), tools.NeedsNoApproval()))
	if _, ok := mine.Undo(); ok || mine.HasReconcile() || mine.Effect() != tools.EffectPure || mine.Timeout() != time.Minute || mine.Name() != "mine" || mine.Description() != "Other." || mine.Approval() != nil {
		t.Errorf("mine: undo %v, reconcile %v, %s, %s, %s", ok, mine.HasReconcile(), mine.Effect(), mine.Timeout(), mine.Name())
	}
	if _, ok := theirs.Undo(); !ok || !theirs.HasReconcile() || theirs.Effect() != tools.EffectCompensable || theirs.Timeout() != time.Hour || theirs.Approval() == nil || theirs.Name() != "do" {
		t.Error("the tool itself was changed")
	}
	if got, err := mine.Call(t.Context(), tools.Call{}); err != nil || got.Content != "done" {
		t.Errorf("call = %v, %v", got, err)
	}
	if same := tools.Must(theirs.With(tools.MaxResult(9))); !same.HasReconcile() || same.Effect() != tools.EffectCompensable {
		t.Error("what no option is about was lost")
	}
	if unsafe := tools.Must(theirs.With(tools.Unsafe())); !unsafe.HasReconcile() {
		t.Error("an unsafe tool can still be asked")
	}
	for want, opts := range map[string][]tools.Option{
		"two effects":  {tools.Pure(), tools.Unsafe()},
		"never asked":  {tools.Pure(), tools.Reconcile(find[none, string])},
		"invalid name": {tools.Named("")},
		"takes other":  {tools.Compensable(tools.New("u", "", nothing[struct{ A int }]))},
	} {
		if got, err := theirs.With(opts...); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"do"`) || got != (tools.Tool{}) {
			t.Errorf("error = %v, want one with %q", err, want)
		}
	}
	if _, err := (tools.Tool{}).With(); err == nil {
		t.Error("the zero Tool has declarations")
	}
	defer func() {
		if got := fmt.Sprint(recover()); got != "tools.Must: no" {
			t.Errorf("Must panics with %q", got)
		}
	}()
	tools.Must(mine, errors.New("no"))
}

func TestSets(t *testing.T) {
	undo := tools.New("undo", "", nothing[none])
	inner := tools.Static("git", append(named("log", "push"), tools.New("commit", "", nothing[none], tools.Compensable(undo)))...)
	set := tools.Prefix(tools.Filter(inner, func(t tools.Tool) bool { return t.Name() != "push" }), "git_")
	set = tools.WithOptions(set, func(t tools.Tool) []tools.Option {
		if t.Name() == "git_log" {
			return []tools.Option{tools.Pure()}
		}
		return nil
	})
	got, err := set.Tools(t.Context())
	if diff := cmp.Diff([]string{"git_log", "git_commit"}, names(got)); diff != "" || err != nil || set.Name() != "git" {
		t.Fatalf("set %s, %v, tools (-want +got):\n%s", set.Name(), err, diff)
	}
	if undo, ok := got[1].Undo(); got[0].Effect() != tools.EffectPure || got[1].Effect() != tools.EffectCompensable || !ok || undo.Name() != "git_undo" {
		t.Errorf("effects %s and %s, undo %s", got[0].Effect(), got[1].Effect(), undo.Name())
	}
	got[0] = undo
	if again, _ := inner.Tools(t.Context()); again[0].Name() != "log" {
		t.Error("the caller can change a set")
	}
	if _, err := tools.Prefix(inner, "git ").Tools(t.Context()); err == nil || !strings.Contains(err.Error(), `"git log"`) {
		t.Errorf("a name that is none: %v", err)
	}
	if _, err := tools.WithOptions(inner, func(tools.Tool) []tools.Option { return []tools.Option{tools.Timeout(0)} }).Tools(t.Context()); err == nil {
		t.Error("an option that is none is accepted")
	}
}

func TestStaticPanics(t *testing.T) {
	for want, fn := range map[string]func(){
		"invalid name":   func() { tools.Static("a b") },
		"duplicate tool": func() { tools.Static("a", named("x", "x")...) },
		"zero Tool":      func() { tools.Static("a", tools.Tool{}) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want one with %q", got, want)
				}
			}()
			fn()
		}()
	}
}

func TestCollect(t *testing.T) {
	broken := errors.New("no connection")
	a, b := tools.Static("a", named("x", "y")...), tools.Static("b", named("z")...)
	got, err := tools.Collect(t.Context(), a, b)
	if diff := cmp.Diff([]string{"x", "y", "z"}, names(got)); diff != "" || err != nil {
		t.Fatalf("%v, tools (-want +got):\n%s", err, diff)
	}
	for want, sets := range map[string][]tools.Toolset{
		`toolsets "a" and "c" both have a tool "y"`: {a, b, set{name: "c", tools: named("y")}},
		`two toolsets have the name "a"`:            {a, b, a},
		`toolset "c": no connection`:                {a, set{"c", nil, broken}},
		`toolset "c": duplicate tool name "q"`:      {set{name: "c", tools: named("q", "q")}},
		`toolset "c": tool 0 is the zero Tool`:      {set{name: "c", tools: make([]tools.Tool, 1)}},
		`toolset "": invalid name`:                  {set{}},
		`a toolset is nil`:                          {nil},
	} {
		if got, err := tools.Collect(t.Context(), sets...); err == nil || !strings.HasPrefix(err.Error(), want) || got != nil {
			t.Errorf("error = %v, want %s", err, want)
		}
	}
	if _, err := tools.Collect(t.Context(), set{"c", nil, broken}); !errors.Is(err, broken) {
		t.Errorf("%v does not wrap the cause", err)
	}
}
