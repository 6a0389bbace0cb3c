package orchestrator_test

import (
	"context"
	"fmt"
	"log"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

// A planner gives two specialists their tasks, and a person says whether the result
// may be published.
func Example() {
	planner := agents.New(agents.Config{Name: "planner", Model: "script"})
	logs := agents.New(agents.Config{Name: "logs", Description: "Searches the logs.", Model: "script"})
	deploys := agents.New(agents.Config{Name: "deploys", Description: "Knows what was deployed.", Model: "script"})

	incident := durable.NewOrchestration("incident", func(ctx *durable.Context, alert string) (string, error) {
		found, err := orchestrator.PlanAndRun(ctx, planner, orchestrator.Team{logs, deploys}, alert, orchestrator.PlanOptions{})
		if err != nil {
			return "", err
		}
		answer, err := orchestrator.Approve(ctx, agents.Request{Question: "Publish this?\n\n" + found.Text})
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%s\n\n(%s)", found.Text, answer.Status), nil
	})

	script := scripted.New(
		scripted.Entry{Agent: "planner", Output: orchestrator.Plan{Steps: []orchestrator.Step{
			{ID: "errors", Agent: "logs", Task: "Which errors are new since 14:00?"},
			{ID: "cause", Agent: "deploys", Task: "Which deploy fits?", DependsOn: []string{"errors"}},
		}}},
		scripted.Entry{Agent: "logs", Text: "Timeouts of the connection pool."},
		scripted.Entry{Agent: "deploys", Text: "Deploy 42 made the pool smaller."},
	)
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", incident, agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, planner, logs, deploys))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	id, err := incident.Schedule(ctx, rt.Client(), "The shop is slow.")
	if err != nil {
		log.Fatal(err)
	}

	// A person: in a program of their own, or with the command line.
	for {
		inbox, err := agents.Inbox(ctx, rt.Client(), id, true)
		if err != nil {
			log.Fatal(err)
		}
		if len(inbox) == 1 {
			if _, err := agents.Decide(ctx, rt.Client(), inbox[0].ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
				log.Fatal(err)
			}
			break
		}
	}
	report, err := incident.Wait(ctx, rt.Client(), id)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report)
	// Output:
	// ## errors (logs)
	//
	// Timeouts of the connection pool.
	//
	// ## cause (deploys)
	//
	// Deploy 42 made the pool smaller.
	//
	// (approved)
}

// Specialists is a team without code: the same question to all.
func ExampleSpecialists() {
	ann := agents.New(agents.Config{Name: "ann", Model: "script"})
	bob := agents.New(agents.Config{Name: "bob", Model: "script"})
	panel := orchestrator.Specialists("panel", orchestrator.Team{ann, bob}, orchestrator.FanOptions{})

	script := scripted.New(scripted.Entry{Agent: "ann", Text: "Yes."}, scripted.Entry{Agent: "bob", Text: "No."})
	ctx := context.Background()
	rt, err := durable.Open(ctx, "memory:", panel, agents.Define(agents.Options{
		Models: func(context.Context, string) (models.Model, error) { return script, nil },
	}, ann, bob))
	if err != nil {
		log.Fatal(err)
	}
	defer rt.Close()
	out, err := panel.Run(ctx, rt.Client(), "Is it the database?")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.Text)
	// Output:
	// ## ann
	//
	// Yes.
	//
	// ## bob
	//
	// No.
}
