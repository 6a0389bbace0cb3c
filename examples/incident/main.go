// Command incident is a team of agents that looks into an incident: a planner
// gives work to three specialists, who search logs, query metrics and compare
// deploys side by side; a fixer proposes a rollback, which a person must approve
// since it cannot be undone by repeating it; a writer reports.
//
// Its files are a recording of an evening (see gen); its production is a folder.
package main

import (
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun"
	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/orchestrator"
	"github.com/agentrun-dev/agentrun/tools"
)

const (
	thinker = "thinker" // plans and decides
	worker  = "worker"  // looks things up and writes
)

var (
	search = tools.New("search_logs", "Search a service's logs of the evening.", searchLogs, tools.Pure())
	query  = tools.New("query_metrics", "Read a metric of a service over time.", queryMetrics, tools.Pure())
	diff   = tools.New("diff_deploys", "List deploys with what they changed.", diffDeploys, tools.Pure())

	rollback = tools.New("roll_back", "Roll a service back to a version that was deployed before.", rollBack,
		tools.Unsafe(),
		tools.Reconcile(findRollback),
		tools.NeedsApproval(tools.Approval{By: []string{"sre"}, Question: "Roll back in production?", Within: time.Hour}))
)

var (
	planner = agents.New(agents.Config{Name: "planner", Model: thinker,
		Instructions: "You lead the response to an incident. Plan who looks at what. Ask each specialist for what only it can see."})
	logs = agents.New(agents.Config{Name: "logs", Model: worker, Tools: []tools.Tool{search},
		Description:  "searches the services' logs",
		Instructions: "You read logs. Say which errors began when, with counts and an example. Do not guess at causes."})
	metrics = agents.New(agents.Config{Name: "metrics", Model: worker, Tools: []tools.Tool{query},
		Description:  "reads the services' metrics",
		Instructions: "You read metrics. Say which of them left their normal band and when. Do not guess at causes."})
	deploys = agents.New(agents.Config{Name: "deploys", Model: worker, Tools: []tools.Tool{diff},
		Description:  "compares deploys and their configuration",
		Instructions: "You compare deploys. Say what changed shortly before, and which changes could matter."})
	fixer = agents.New(agents.Config{Name: "fixer", Model: thinker, Tools: []tools.Tool{rollback},
		Instructions: "From the findings decide what ends the incident. If a rollback does, make it with your tool. Then say in two sentences what you did and why."})
	writer = agents.New(agents.Config{Name: "writer", Model: worker,
		Instructions: "Write the incident report: what users saw, the timeline, the cause, what was done, what was ruled out. Markdown, half a page."})
)

// incident is the whole response: plan, look, fix, report. The fixer's rollback
// waits inside for its approval.
var incident = durable.NewOrchestration("incident", func(ctx *durable.Context, alert string) (string, error) {
	found, err := orchestrator.PlanAndRun(ctx, planner, orchestrator.Team{logs, metrics, deploys}, alert, orchestrator.PlanOptions{})
	if err != nil {
		return "", err
	}
	fix, err := fixer.Call(ctx, fmt.Sprintf("Alert: %s\n\nFindings:\n%s", alert, found.Text))
	if err != nil {
		return "", err
	}
	report, err := writer.Call(ctx, fmt.Sprintf("Alert: %s\n\nFindings:\n%s\n\nWhat was done:\n%s", alert, found.Text, fix.Text))
	return report.Text, err
})

func main() {
	agentrun.Main(agentrun.App{
		Agents:      []*agents.Agent{planner, logs, metrics, deploys, fixer, writer},
		Definitions: []durable.Definition{incident},
	})
}
