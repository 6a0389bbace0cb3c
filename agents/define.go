package agents

import (
	"context"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
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
	// OnProgress is told what tools say of how far they are; nil: nobody is. It must
	// not block.
	OnProgress func(Progress)
	// Prices say what model turns cost; nil: nobody counts. See [Result].Cost.
	Prices models.Prices
	// Quotas limit how much is asked of models, by the names that agents give; nil: no
	// limits. The limits are those of the program as it is now, for runs under way too. A
	// negative one is a mistake in the program: Define panics.
	Quotas map[string]Quota
	// Hooks are those of all agents, around the hooks of each.
	Hooks Hooks
}

// Define makes the definitions that a runtime needs to run agents: their
// orchestrations, the activities of their models and tools, and the entities of
// conversations and approvals. Agents that others hand over to, or have as tools, need
// not be listed.
func Define(o Options, list ...*Agent) durable.Definition {
	d := &definer{options: &o, defs: []durable.Definition{memory.Conversation, Approvals, failures}, seen: map[*Agent]bool{}}
	// Also without a quota: a run that began when there was one must not wait for it for
	// ever. But whoever asks no models must not answer for those who do.
	if o.Models != nil {
		d.defs = append(d.defs, quotaDefinition(o.Quotas))
	}
	for _, a := range list {
		d.agent(a)
	}
	return durable.Bundle(d.defs...)
}

// step makes an activity that is tried again as [Config].Retry says. Its function is
// asked here, where the answer is recorded with the failure: asked by the loop, it could
// make newer code take other steps than the history has.
func step[In, Out any](a *Agent, name string, f func(context.Context, In) (Out, error), opts ...durable.ActivityOption) durable.Definition {
	again := a.config.Retry.Retry
	if again == nil {
		return durable.NewActivity(name, f, opts...)
	}
	return durable.NewActivity(name, func(ctx context.Context, in In) (Out, error) {
		out, err := f(ctx, in)
		if err != nil && ctx.Err() == nil && !again(err) {
			err = durable.NonRetriable(err)
		}
		return out, err
	}, opts...)
}

type definer struct {
	options *Options
	defs    []durable.Definition
	seen    map[*Agent]bool
}

func (d *definer) agent(a *Agent) {
	if a == nil || d.seen[a] {
		return
	}
	d.seen[a] = true
	o := d.options
	d.defs = append(d.defs, a.run, a.manifestActivity(o), a.chatActivity(o), a.compactActivity(o))
	// A run that began with functions, guardrails or hooks which the program has no
	// longer must not wait for them for ever: it is told.
	d.defs = append(d.defs, a.beforeActivity(), a.guardActivity(), a.hookActivity(o))
	for _, t := range a.config.Tools {
		if c := childOf(t); c != nil {
			d.defs = append(d.defs, c.def)
			d.agent(c.agent)
			continue
		}
		d.defs = append(d.defs, a.toolActivity(o, t))
	}
	if len(a.config.Toolsets) > 0 {
		for _, e := range []tools.Effect{tools.EffectPure, tools.EffectIdempotent, tools.EffectUnsafe} {
			d.defs = append(d.defs, a.toolsetActivity(o, e))
		}
	}
	for _, e := range []tools.Effect{tools.EffectPure, tools.EffectIdempotent, tools.EffectUnsafe} {
		d.defs = append(d.defs, a.undoActivity(o, e))
	}
	d.agent(a.config.Successor)
}

// Names of what a run of agents is made of, in its histories.
const (
	agentPrefix    = "agent:"
	manifestPrefix = "manifest:"
	beforePrefix   = "before:"
	chatPrefix     = "chat:"
	compactPrefix  = "compact:"
	guardPrefix    = "guard:"
	toolPrefix     = "tool:"
	undoPrefix     = "undo:"
	hookPrefix     = "hook:"
)
