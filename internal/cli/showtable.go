package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/scenario"
)

// printShown prints a run for people: what it is, what it waits for, its tree, and
// every event with its number.
func (a *app) printShown(ctx context.Context, c *durable.Client, v *shown) error {
	var b strings.Builder
	a.summary(&b, v)
	a.waits(&b, v)
	b.WriteString("\nPARTS\n")
	rows := [][]string{}
	for _, in := range v.Instances {
		// Blanks at the beginning of a cell would be trimmed.
		rows = append(rows, []string{strings.Repeat("· ", in.depth) + in.Name, in.Status, in.ID})
	}
	if err := printTable(&b, rows); err != nil {
		return err
	}
	shown := map[history.Hash]bool{}
	for _, in := range v.Instances {
		for n, x := range in.Executions {
			fmt.Fprintf(&b, "\nEVENTS of %s, %s", in.Name, in.ID)
			if len(in.Executions) > 1 {
				fmt.Fprintf(&b, ", execution %d of %d, %s", n+1, len(in.Executions), x.ID)
			}
			b.WriteString("\n")
			for n, ev := range x.Events {
				fmt.Fprintf(&b, "%5d  %s\n", n, oneLine(history.Describe(ev), 200))
				for _, m := range scenario.Messages(ctx, c, ev, shown) {
					fmt.Fprintf(&b, "         %s\n", messageLine(m.Message))
				}
			}
		}
	}
	return a.printText(b.String())
}

func (a *app) summary(b *strings.Builder, v *shown) {
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(b, "%-10s %s\n", name, value)
		}
	}
	field("run", v.ID)
	field("name", v.Name)
	field("status", v.Status)
	field("says", oneLine(string(v.Custom), 300)) // the custom status
	field("started", moment(v.Started))
	field("took", took(v.Listed))
	field("scenario", v.Scenario)
	field("program", v.Program)
	if v.Live {
		field("models", "live")
	}
	field("did", v.Report.Did())
	field("answered", answeredBy(v.Report))
	if n := v.Report.Compactions + v.Report.Summaries; n > 0 {
		field("compacted", fmt.Sprintf("%s, %d of them by a summary", several(n, "time"), v.Report.Summaries))
	}
	field("ended by", stopWords[v.Report.Stop])
	field("input", oneLine(string(v.Input), 300))
	if text := v.Report.Text(); text != "" {
		field("output", oneLine(text, 300))
	}
	field("error", oneLine(v.Report.Error, 1000))
}

// stopWords say why a run ended before its model was done.
var stopWords = map[agents.StopReason]string{
	agents.StopMaxTurns: "its limit of turns", agents.StopTool: "a tool that ends it", agents.StopWhen: "its condition", agents.StopAsked: "somebody's wish",
}

// answeredBy lists the models that answered.
func answeredBy(r *scenario.Report) string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(r.Models)) {
		list = append(list, fmt.Sprintf("%s (%s)", name, several(r.Models[name], "turn")))
	}
	return oneLine(strings.Join(list, ", "), 300)
}

// waits says what has to happen for the run to go on.
func (a *app) waits(b *strings.Builder, v *shown) {
	if len(v.Requests)+len(v.WaitsFor) == 0 {
		return
	}
	b.WriteString("\nWAITS FOR\n")
	for _, x := range v.Requests {
		fmt.Fprintf(b, "a person: %s\n", question(x))
		if x.Arguments != "" {
			fmt.Fprintf(b, "    %s\n", oneLine(x.Arguments, 300))
		}
		fmt.Fprintf(b, "    %s\n", a.typed("approve", x.ID))
	}
	for _, w := range v.WaitsFor {
		fmt.Fprintln(b, w)
	}
}

func messageLine(m models.Message) string {
	line := string(m.Role) + ":" + prefixed(" ", oneLine(m.Content, 160))
	for _, call := range m.ToolCalls {
		line += " [" + call.Name + " " + oneLine(call.Arguments, 120) + "]"
	}
	return line
}
