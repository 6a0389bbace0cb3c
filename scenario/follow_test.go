package scenario_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/scenario"
)

// absent are people of whom nobody is there.
type absent struct{}

func (absent) Decide(context.Context, agents.Approval) (agents.Decision, bool, error) {
	return agents.Decision{}, false, nil
}
func (absent) Undecided(agents.Approval)                       {}
func (absent) Outcome(agents.Approval, agents.Decision, error) {}

// A run that asks is followed as long as something goes on beside its request, and
// no longer, also where agents have no part in what goes on.
func TestFollowUntilItWaitsForPeopleOnly(t *testing.T) {
	const long = time.Hour
	errBroken := errors.New("broken")
	type none = struct{}
	activity := func(name string, err error) *durable.Activity[none, none] {
		return durable.NewActivity(name, func(context.Context, none) (none, error) {
			<-time.After(long)
			return none{}, err
		})
	}
	child := func(name string, err error) *durable.Orchestration[none, none] {
		return durable.NewOrchestration(name, func(ctx *durable.Context, _ none) (none, error) {
			return none{}, errors.Join(ctx.Sleep(long), err)
		})
	}
	works, fails := activity("works", nil), activity("fails", errBroken)
	ends, breaks := child("ends", nil), child("breaks", errBroken)
	counter := durable.NewEntity[int]("counter")
	count := durable.Operation(counter, "count", func(*durable.EntityContext, *int, none) (none, error) {
		<-time.After(long)
		return none{}, nil
	})
	for name, begin := range map[string]func(*durable.Context){
		"activity completed": func(ctx *durable.Context) { works.Start(ctx, none{}) },
		"activity failed":    func(ctx *durable.Context) { fails.Start(ctx, none{}) },
		"timer fired":        func(ctx *durable.Context) { ctx.Timer(long) },
		"child completed":    func(ctx *durable.Context) { ends.Start(ctx, none{}) },
		"child failed":       func(ctx *durable.Context) { breaks.Start(ctx, none{}) },
		"entity answered":    func(ctx *durable.Context) { count.Start(ctx, "k", none{}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				team := durable.NewOrchestration("team", func(ctx *durable.Context, _ any) (agents.Approval, error) {
					begin(ctx)
					p, err := agents.Ask(ctx, agents.Request{Kind: agents.KindQuestion, Question: "Go on?"})
					if err != nil {
						return agents.Approval{}, err
					}
					return p.Await(ctx)
				})
				sc, err := scenario.Parse("s.yaml", []byte("version: 1\nname: s\nteam: {orchestration: team}\ninput: hi\n"))
				if err != nil {
					t.Fatal(err)
				}
				p := &scenario.Program{Definitions: []durable.Definition{works, fails, ends, breaks, counter, team}}
				s, err := p.Open(t.Context(), scenario.Options{Store: "memory:", Scenario: sc})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				begun := time.Now()
				id, err := s.Start(t.Context(), "", "", nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 10*long)
				defer cancel()
				r, err := s.Follow(ctx, id, absent{}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if passed := time.Since(begun); r.Status != scenario.Waiting || len(r.Waiting) != 1 || passed < long {
					t.Errorf("after %v it is %s with %d requests", passed, r.Status, len(r.Waiting))
				}
			})
		})
	}
}
