package tools

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Static is a toolset of tools that are there from the start. It panics on a wrong registration: a name that is none
// (see [Toolset]), a zero Tool or two tools of one name.
func Static(name string, ts ...Tool) Toolset {
	_, err := Index(ts)
	if err == nil && !namePattern.MatchString(name) {
		err = fmt.Errorf("invalid name: it must match %s", namePattern)
	}
	if err != nil {
		panic(fmt.Sprintf("tools.Static(%q): %v", name, err))
	}
	return &derived{name: name, tools: func(context.Context) ([]Tool, error) { return slices.Clone(ts), nil }}
}

// Filter is the toolset of those tools of set that keep wants. It has the name of set, and whoever has opened set
// still closes it.
func Filter(set Toolset, keep func(Tool) bool) Toolset {
	return derive(set, func(t Tool) (Tool, bool, error) { return t, keep(t), nil })
}

// Rename is the toolset of the tools of set under the names that rename gives them. Their undos, see [Compensable],
// are renamed, too. It has the name of set. A name that is none is an error of its Tools.
func Rename(set Toolset, rename func(name string) string) Toolset {
	return derive(set, func(t Tool) (Tool, bool, error) {
		t, err := renamed(t, rename)
		return t, true, err
	})
}

// Prefix is [Rename] with a prefix, for sets whose names others have too: Prefix(set, "gh_").
func Prefix(set Toolset, prefix string) Toolset {
	return Rename(set, func(name string) string { return prefix + name })
}

// WithOptions is the toolset of the tools of set, each with the options that opts gives for it (see [Tool.With]), if
// it gives any. It has the name of set.
//
//	tools.WithOptions(set, func(t tools.Tool) []tools.Option {
//		if t.Name() == "delete_repository" {
//			return []tools.Option{tools.NeedsApproval(tools.Approval{})}
//		}
//		return nil
//	})
func WithOptions(set Toolset, opts func(Tool) []Option) Toolset {
	return derive(set, func(t Tool) (Tool, bool, error) {
		given := opts(t)
		if len(given) == 0 {
			return t, true, nil
		}
		t, err := t.With(given...)
		return t, true, err
	})
}

// derived is a toolset by a function.
type derived struct {
	name  string
	tools func(context.Context) ([]Tool, error)
}

func (d *derived) Name() string                              { return d.name }
func (d *derived) Tools(ctx context.Context) ([]Tool, error) { return d.tools(ctx) }

// derive makes a toolset from what change makes of each tool of another, and whether it keeps it.
func derive(set Toolset, change func(Tool) (Tool, bool, error)) Toolset {
	return &derived{name: set.Name(), tools: func(ctx context.Context) ([]Tool, error) {
		ts, err := set.Tools(ctx)
		if err != nil {
			return nil, err
		}
		kept := make([]Tool, 0, len(ts))
		for _, t := range ts {
			t, keep, err := change(t)
			if err != nil {
				return nil, err
			}
			if keep {
				kept = append(kept, t)
			}
		}
		return kept, nil
	}}
}

func renamed(t Tool, rename func(string) string) (Tool, error) {
	opts := []Option{Named(rename(t.Name()))}
	if undo, ok := t.Undo(); ok {
		undo, err := renamed(undo, rename)
		if err != nil {
			return Tool{}, err
		}
		opts = append(opts, Compensable(undo))
	}
	return t.With(opts...)
}

// Collect asks all toolsets for their tools and returns them in the order of the sets. The error names the set that
// failed, or both sets that have a tool of the same name: [Prefix] keeps them apart. Sets of one name are an error,
// too.
func Collect(ctx context.Context, sets ...Toolset) ([]Tool, error) {
	var all []Tool
	from := map[string]string{} // tool → set
	seen := map[string]bool{}
	for _, set := range sets {
		if set == nil {
			return nil, errors.New("a toolset is nil")
		}
		name := set.Name()
		if !namePattern.MatchString(name) {
			return nil, fmt.Errorf("toolset %q: invalid name: it must match %s", name, namePattern)
		}
		if seen[name] {
			return nil, fmt.Errorf("two toolsets have the name %q: give each one of its own", name)
		}
		seen[name] = true
		ts, err := set.Tools(ctx)
		if err == nil {
			_, err = Index(ts)
		}
		if err != nil {
			return nil, fmt.Errorf("toolset %q: %w", name, err)
		}
		for _, t := range ts {
			if other, ok := from[t.Name()]; ok {
				return nil, fmt.Errorf("toolsets %q and %q both have a tool %q: rename one, with tools.Prefix for instance", other, name, t.Name())
			}
			from[t.Name()] = name
		}
		all = append(all, ts...)
	}
	return all, nil
}
