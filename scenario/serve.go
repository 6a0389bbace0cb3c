package scenario

import (
	"context"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// Serve gives all that the program runs, with its models, to a server whose runs are
// started by others. Without live, only models of the program that cost nothing
// answer. A run that was started with a scenario, or live where the server is not,
// is left to a session of its own, see Options.Tags.
func (p *Program) Serve(live bool) (durable.Definition, error) {
	s := &Session{program: p}
	list, defs, err := s.define()
	if err != nil {
		return nil, err
	}
	find, err := p.models(&Options{Live: live})
	if err != nil {
		return nil, err
	}
	model := func(ctx context.Context, name string) (models.Model, error) {
		if tags := agents.RunTags(ctx); tags[TagScenario] != "" || tags[TagLive] != "" && !live {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return find(name)
	}
	return durable.Bundle(append(defs, agents.Define(p.options(model), list...))...), nil
}
