package orchestrator

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/models"
)

// Team is the agents that tasks can be given to. Their names are unique, as all
// agents' are in one program.
type Team []*agents.Agent

// agent finds a member by name; nil if there is none.
func (t Team) agent(name string) *agents.Agent {
	for _, a := range t {
		if a.Name() == name {
			return a
		}
	}
	return nil
}

// names lists the members.
func (t Team) names() string {
	names := make([]string, len(t))
	for i, a := range t {
		names[i] = a.Name()
	}
	return strings.Join(names, ", ")
}

// unknown says that the team has no such member, and whom it has.
func (t Team) unknown(name string) string {
	if len(t) == 0 {
		return fmt.Sprintf("there is no specialist %q: the team is empty", models.OneLine(name, shown))
	}
	return fmt.Sprintf("there is no specialist %q; there are: %s", models.OneLine(name, shown), t.names())
}

// shown is how many bytes of a model's names and ids messages repeat.
const shown = 80

// Tasks makes one task for each member: the same text for all.
func (t Team) Tasks(text string) []Task {
	tasks := make([]Task, len(t))
	for i, a := range t {
		tasks[i] = Task{Agent: a.Name(), Text: text}
	}
	return tasks
}

// Task is something for one agent to do.
type Task struct {
	// ID tells tasks of one agent apart, for those who read the findings. It may be
	// empty where each agent has one task.
	ID    string `json:"id,omitempty"`
	Agent string `json:"agent"`
	// Text is what the agent is told.
	Text string `json:"text"`
}

// title names the task in a text: its id, with the agent where that says more.
func (t Task) title() string {
	id := models.OneLine(t.ID, shown)
	if id == "" || id == t.Agent {
		return t.Agent
	}
	return id + " (" + t.Agent + ")"
}

// Finding is a task and what came of it.
type Finding struct {
	Task
	// Result is the agent's, if Error is empty.
	Result agents.Result `json:"result"`
	// Error says why there is no result.
	Error string `json:"error,omitempty"`
	// Skipped says that the task was not begun, since one that it depends on has no
	// result.
	Skipped bool `json:"skipped,omitempty"`
}

// Done reports whether the finding has a result.
func (f Finding) Done() bool { return f.Error == "" }

// Markdown is the finding with a heading, to be read by people and models.
func (f Finding) Markdown() string {
	text := strings.TrimSpace(f.Result.Text)
	switch {
	case f.Skipped:
		text = "Skipped: " + f.Error
	case f.Error != "":
		text = "Failed: " + f.Error
	}
	return "## " + f.title() + "\n\n" + text
}

// Outcome is what a pattern comes to.
type Outcome struct {
	// Text can be shown to people and given to the next agent. It is Markdown with
	// every finding, failures included; of a chain, what its last agent said.
	Text string `json:"text"`
	// Findings are in the order of the tasks.
	Findings []Finding `json:"findings"`
}

// newOutcome makes an outcome with a summary of the findings.
func newOutcome(findings []Finding) Outcome {
	parts := make([]string, len(findings))
	for i, f := range findings {
		parts[i] = f.Markdown()
	}
	return Outcome{Text: strings.Join(parts, "\n\n"), Findings: findings}
}

// Err is nil if there is a finding with a result; otherwise it names all that went
// wrong.
func (o Outcome) Err() error {
	all := make([]string, len(o.Findings))
	for i, f := range o.Findings {
		if f.Done() {
			return nil
		}
		all[i] = f.title() + ": " + f.Error
	}
	if len(all) == 0 {
		return errors.New("no agent had a task")
	}
	return fmt.Errorf("no agent had a result: %s", strings.Join(all, "; "))
}

// plainText is an input as agents are told it: text, or JSON of any other value.
func plainText(input any) (string, error) {
	if s, ok := input.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(input)
	if err != nil {
		return "", fmt.Errorf("the input for the agents: %w", err)
	}
	return string(b), nil
}
