package agents

import (
	"context"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// Options are what agents need from the program that runs them.
type Options struct {
	// Models finds a model by the name that an agent gives.
	//
	// ctx is the model turn's, of which [RunTags] gives the tags. To leave a turn to
	// another process, wait until ctx ends.
	Models func(ctx context.Context, name string) (models.Model, error)
	// OnDelta is told of text as it comes; nil: nobody is.
	OnDelta func(Delta)
}

// Define makes the definitions that a runtime needs to run agents: their
// orchestrations, the activities of their models and tools, and the entities of
// conversations and approvals.
func Define(o Options, list ...*Agent) durable.Definition {
	defs := []durable.Definition{memory.Conversation, Approvals}
	for _, a := range list {
		defs = append(defs, a.run, a.manifestActivity(), a.chatActivity(&o))
		for _, t := range a.config.Tools {
			defs = append(defs, a.toolActivity(t))
		}
	}
	return durable.Bundle(defs...)
}
