package evals

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Divergence is the first event of a recording at which today's code does something
// else. It is an error, whose text is one line.
type Divergence struct {
	// Difference has the event's address, what was recorded, and what the code did.
	history.Difference

	// Lacks says what the program does not have, "activity" or "orchestration", where
	// that is all that is wrong: the code would have done what was recorded, and nobody
	// could have carried it out. Have are those of the program that may be meant.
	Lacks string   `json:"lacks,omitempty"`
	Have  []string `json:"have,omitempty"`

	// Changed names the parts of an agent's manifest that differ from what was recorded,
	// where that is what is wrong.
	Changed []string `json:"changed,omitempty"`

	// Orchestration is the name of what the instance is. Agent is set if it is an
	// agent's run; Turn is then the model's turn that the event belongs to, and Tool
	// the tool that it is about.
	Orchestration string `json:"orchestration"`
	Agent         string `json:"agent,omitempty"`
	Turn          int    `json:"turn,omitempty"`
	Tool          string `json:"tool,omitempty"`
}

// Error names the event, what was recorded, what the code did, and where in the work of
// which agent that is:
//
//	history of run-1 diverges at event 14 (execution 3f…): recorded TaskScheduled #5
//	"tool:logs/search_logs"; the program has no such activity; it has tool:logs/find_logs;
//	agent logs, turn 1, tool search_logs
func (d *Divergence) Error() string {
	text := d.Difference.Error()
	if d.Lacks != "" {
		about := &history.Event{Kind: d.Event.Kind, ID: d.Event.ID, Name: d.Event.Name, Version: d.Event.Version, Target: d.Event.Target}
		text = fmt.Sprintf("history of %s diverges at event %d (execution %s): recorded %s; the program has no such %s; it has %s",
			d.Address.Instance, d.Address.Number, d.Address.Execution, history.Describe(about), d.Lacks, list(d.Have))
	}
	if len(d.Changed) > 0 {
		text = fmt.Sprintf("history of %s diverges at event %d (execution %s): the agent has another manifest now than was recorded; changed: %s",
			d.Address.Instance, d.Address.Number, d.Address.Execution, strings.Join(d.Changed, ", "))
	}
	if d.Agent == "" {
		return text + "; orchestration " + d.Orchestration
	}
	text += "; agent " + d.Agent
	if d.Turn > 0 {
		text += fmt.Sprintf(", turn %d", d.Turn)
	}
	if d.Tool != "" {
		text += ", tool " + d.Tool
	}
	return text
}

// locate fills in what the divergence is about.
func (d *Divergence) locate(rec *Recording, in *Instance, x *Execution) {
	d.Orchestration, d.Agent = in.Name, in.agent()
	for _, ev := range x.Events[:min(d.Address.Number+1, len(x.Events))] {
		if ev.Kind != history.TaskScheduled || !strings.HasPrefix(ev.Name, chatPrefix) {
			continue
		}
		var input struct {
			Turn int `json:"turn"`
		}
		if data, err := rec.data(ev); err == nil && json.Unmarshal(data, &input) == nil {
			d.Turn = input.Turn
		}
	}
	for _, ev := range []*history.Event{d.Event, d.Did} {
		if ev == nil {
			continue
		}
		if name, ok := strings.CutPrefix(ev.Name, toolPrefix); ok {
			_, d.Tool, _ = strings.Cut(name, "/")
			return
		}
	}
}

// nearest gives the names that one that is missing may have become: those of the same
// agent or kind, as "tool:logs/" and "tool:" have it, if there are any, else all.
func nearest(name string, have []string) []string {
	for _, end := range []string{"/", ":"} {
		at := strings.LastIndex(name, end)
		if at < 0 {
			continue
		}
		var like []string
		for _, h := range have {
			if strings.HasPrefix(h, name[:at+1]) {
				like = append(like, h)
			}
		}
		if len(like) > 0 {
			return like
		}
	}
	return have
}

// list names what there is, as far as it fits into a line.
func list(names []string) string {
	const most = 20
	switch more := len(names) - most; {
	case len(names) == 0:
		return "none"
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
