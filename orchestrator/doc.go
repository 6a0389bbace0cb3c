// Package orchestrator has ways for agents to work together: a planner, fan-out to
// specialists, a chain, a person's approval.
//
// Each is a function of an orchestration's context, and each takes and returns the
// same few types, so they compose as functions do:
//
//	var incident = durable.NewOrchestration("incident", func(ctx *durable.Context, alert string) (string, error) {
//		found, err := orchestrator.PlanAndRun(ctx, planner, orchestrator.Team{logs, metrics}, alert, orchestrator.PlanOptions{})
//		if err != nil {
//			return "", err
//		}
//		answer, err := orchestrator.Approve(ctx, agents.Request{
//			Question: "Publish this?\n\n" + found.Text, By: []string{"sre"}, Within: time.Hour,
//		})
//		if err != nil {
//			return "", err
//		}
//		if answer.Status != agents.Approved {
//			return "not published: " + string(answer.Status), nil
//		}
//		return found.Text, nil
//	})
//
// # The patterns
//
//   - [PlanAndRun] asks a planner for a plan, runs its steps in the order of their
//     dependencies and side by side where these allow it, and has the plan revised
//     after failures.
//   - [FanOut] gives tasks to agents, all at once or some at a time.
//   - [RunChain] hands a text from one agent to the next.
//   - [Approve] asks people, for a limited time if need be.
//
// [Planner], [Specialists] and [Chain] are the same as orchestrations of their own,
// from a text to an [Outcome], for programs and scenarios that need no code around them.
//
// # What survives
//
// Nothing here keeps state of its own: every agent is a child orchestration, and
// every wait is in the history. A process that is killed in the middle of a plan goes
// on with it; steps that are done are not done again, and a decision that a person has
// given counts.
//
// The patterns decide by the history alone and in the order of their lists, never by
// that of a map. What a planner is told holds the names and descriptions of its team:
// to a run under way they are code, so finish running instances before they change.
//
// # Failures
//
// An agent that fails does not take the others with it. Its [Finding] says why, and
// [Outcome.Err] tells when nobody had an answer. An error of a pattern means that it
// could not be carried out: a task for an agent that is not in the team, a plan that
// stayed wrong.
package orchestrator
