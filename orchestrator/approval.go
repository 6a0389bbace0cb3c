package orchestrator

import (
	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// Approve asks people and waits until they have decided, or until req.Within has
// passed on the orchestration's clock, whichever comes first. It gives the request
// as it then stands, for good: Approved, Rejected or Expired, with who decided and
// what they said. A decision that was recorded in time counts even if no program was
// running. A Kind that is not set is a question.
//
// The wait costs nothing and survives restarts. To do something else meanwhile, use
// agents.Ask.
func Approve(ctx *durable.Context, req agents.Request) (agents.Approval, error) {
	if req.Kind == "" {
		req.Kind = agents.KindQuestion
	}
	p, err := agents.Ask(ctx, req)
	if err != nil {
		return agents.Approval{}, err
	}
	return p.Await(ctx)
}
