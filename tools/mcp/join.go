package mcp

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/tools"
)

// Join makes one toolset of several, of any kind. Where two of them have a tool of the same name, its Tools fails
// and names both: give one a prefix.
func Join(name string, sets ...tools.Toolset) tools.Toolset { return &joined{name, sets} }

type joined struct {
	name string
	sets []tools.Toolset
}

// Name is the name of the whole.
func (j *joined) Name() string { return j.name }

// Tools gives the tools of all, in the order of the sets.
func (j *joined) Tools(ctx context.Context) ([]tools.Tool, error) {
	var all []tools.Tool
	owner := map[string]string{}
	for _, set := range j.sets {
		list, err := set.Tools(ctx)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if other, ok := owner[t.Name()]; ok {
				return nil, fmt.Errorf("toolset %s: %s and %s both have a tool %s: give one of them a prefix", j.name, other, set.Name(), t.Name())
			}
			owner[t.Name()] = set.Name()
		}
		all = append(all, list...)
	}
	return all, nil
}
