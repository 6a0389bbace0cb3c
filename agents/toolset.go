package agents

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/tools"
)

func checkToolsets(sets []tools.Toolset) error {
	seen := map[string]bool{}
	for i, s := range sets {
		switch {
		case s == nil:
			return fmt.Errorf("toolset %d is nil", i)
		case !validName.MatchString(s.Name()):
			return fmt.Errorf("toolset name %q: use letters, digits, - and _, at most 64", s.Name())
		case seen[s.Name()]:
			return fmt.Errorf("two of its toolsets are named %q", s.Name())
		}
		seen[s.Name()] = true
	}
	return nil
}

// addToolsets asks the toolsets for what they have. One that is away has what it had
// in the run's manifest; a run that has none yet fails.
func (a *Agent) addToolsets(ctx context.Context, m *Manifest, was *Manifest) error {
	for _, set := range a.config.Toolsets {
		list, err := manifestTools(ctx, set)
		if err != nil && (was == nil || ctx.Err() != nil) {
			return err
		} else if err != nil {
			list = was.of(set.Name())
		}
		for _, t := range list {
			if other := m.tool(t.Name); other != nil {
				return fmt.Errorf("toolset %s has a tool %q, and so has %s: give one of them a prefix", set.Name(), t.Name, owner(other))
			}
			m.Tools = append(m.Tools, t)
		}
	}
	return nil
}

func manifestTools(ctx context.Context, set tools.Toolset) (list []ManifestTool, err error) {
	have, err := set.Tools(ctx)
	if err != nil {
		return nil, fmt.Errorf("toolset %s: %w", set.Name(), err)
	}
	for _, t := range have {
		list = append(list, manifestTool(t, set.Name()))
	}
	return list, nil
}

// of lists the tools of a toolset.
func (m *Manifest) of(set string) (list []ManifestTool) {
	for _, t := range m.Tools {
		if t.Toolset == set {
			list = append(list, t)
		}
	}
	return list
}

func owner(t *ManifestTool) string {
	if t.Toolset == "" {
		return "the agent itself"
	}
	return "toolset " + t.Toolset
}

// errNoTool says that a manifest's tool is not there now.
var errNoTool = errors.New("this program has it no longer")

// find gives the tool that a manifest's entry stands for.
func (a *Agent) find(ctx context.Context, name, set string) (tools.Tool, error) {
	if set == "" {
		if t, ok := a.tools[name]; ok {
			return t, nil
		}
		return tools.Tool{}, fmt.Errorf("tool %s: %w", name, errNoTool)
	}
	i := slices.IndexFunc(a.config.Toolsets, func(s tools.Toolset) bool { return s.Name() == set })
	if i < 0 {
		return tools.Tool{}, fmt.Errorf("tool %s of toolset %s: %w", name, set, errNoTool)
	}
	list, err := a.config.Toolsets[i].Tools(ctx)
	if err != nil {
		return tools.Tool{}, fmt.Errorf("toolset %s: %w", set, err)
	}
	if j := slices.IndexFunc(list, func(t tools.Tool) bool { return t.Name() == name }); j >= 0 {
		return list[j], nil
	}
	return tools.Tool{}, fmt.Errorf("tool %s of toolset %s: %w", name, set, errNoTool)
}

func sortedKeys[V any](a, b map[string]V) []string {
	both := map[string]V{}
	maps.Copy(both, a)
	maps.Copy(both, b)
	return slices.Sorted(maps.Keys(both))
}
