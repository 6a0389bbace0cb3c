package scenario

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/prompts"
)

// Version is the version of the format that this package reads.
const Version = 1

// Scenario is a scenario as it was read and checked. It is read by many goroutines at once and must
// not be changed. Values of any kind, such as the input, are JSON with the keys in the file's order.
type Scenario struct {
	// Version is the version of the format.
	Version int `yaml:"version"`
	// Name matches [a-z0-9-]+ and has at most 64 characters.
	Name string `yaml:"name"`
	// Description is for people.
	Description string `yaml:"description"`
	// Agents are those that the scenario brings itself.
	Agents []Agent `yaml:"agents"`
	// Toolsets are where agents of the scenario have tools from that the program does not offer, by name.
	Toolsets map[string]Toolset `yaml:"toolsets"`
	// Team says who does the work.
	Team Team `yaml:"team"`
	// Input is what the team is given; nil if the file has none.
	Input json.RawMessage `yaml:"input"`
	// Script answers in place of models; nil if there is none.
	Script *Script `yaml:"script"`
	// Models are names that agents use and the models that they stand for in a live run.
	Models map[string]string `yaml:"models"`
	// Decisions are those of people, for runs without a terminal.
	Decisions []Decision `yaml:"decisions"`
	// Expect is what must be true of the ended run; nil if nothing is said.
	Expect *Expect `yaml:"expect"`

	path   string
	places *place
	read   map[int]*prompts.Prompt // what instructions of Agents were read from, by index
}

// Agent is an agent that a scenario brings.
type Agent struct {
	// Name is unique and matches ^[a-zA-Z0-9_-]{1,64}$, as models' tool names do.
	Name string `yaml:"name"`
	// Description tells other agents what this one is for.
	Description string `yaml:"description"`
	// Instructions are what the agent is told. If Prompt is set, they are what was read from there.
	Instructions string `yaml:"instructions"`
	// Prompt is a prompt in place of Instructions in the file: the slash-separated path of its file,
	// relative to the scenario's directory, or its name, as NAME or NAME@VERSION, among those in the
	// directory prompts there.
	Prompt string `yaml:"prompt"`
	// Variables are those of the prompt.
	Variables map[string]json.RawMessage `yaml:"variables"`
	// Model is the name of a model: of Scenario.Models, of the program, or PROVIDER:NAME. If the file
	// has none, it is the one that the prompt names.
	Model string `yaml:"model"`
	// Tools are names of tools that the program offers.
	Tools []string `yaml:"tools"`
	// Toolsets are names of the scenario's toolsets.
	Toolsets []string `yaml:"toolsets"`
	// Sequential makes the calls of one message one after the other.
	Sequential bool `yaml:"sequential"`
	// StopTools end the run with their result, once one of them did not fail.
	StopTools []string `yaml:"stopTools"`
	// MaxTurns limits the turns of one run of the agent; 0 leaves it to the program. OnMaxTurns is what
	// happens then: fail, or summary, which asks the model for a last word; "" is fail.
	MaxTurns   int    `yaml:"maxTurns"`
	OnMaxTurns string `yaml:"onMaxTurns"`
	// Window bounds how many of the last messages a model is sent; 0: all.
	Window int `yaml:"window"`
	// MaxContext is how many tokens of the conversation a model is sent; before there are more, it is
	// made shorter, with summaries by the model Summarizer, or else the agent's own. 0: as many as fit.
	MaxContext int    `yaml:"maxContext"`
	Summarizer string `yaml:"summarizer"`

	// Temperature is from 0 to 2 and TopP from 0 to 1; nil leaves them, as a zero value the others
	// here, to the prompt, or else to the model's server.
	Temperature *float64 `yaml:"temperature"`
	TopP        *float64 `yaml:"topP"`
	// MaxTokens bounds an answer, reasoning included.
	MaxTokens int  `yaml:"maxTokens"`
	Seed      *int `yaml:"seed"`
	// Stop are texts that end an answer.
	Stop []string `yaml:"stop"`
	// ToolChoice is auto, none, required or the name of a tool.
	ToolChoice        string `yaml:"toolChoice"`
	ParallelToolCalls *bool  `yaml:"parallelToolCalls"`
	// ReasoningEffort is low, medium, high, or what else the model's server knows.
	ReasoningEffort string `yaml:"reasoningEffort"`

	// Output is the JSON Schema of the agent's answer; nil for text.
	Output json.RawMessage `yaml:"output"`
}

// Team says who does the work: exactly one of its fields is set.
type Team struct {
	// Agent is the name of one agent.
	Agent string `yaml:"agent"`
	// Orchestration is the name of an orchestration of the program.
	Orchestration string `yaml:"orchestration"`
	// Planner lets an agent plan and specialists work.
	Planner *Planner `yaml:"planner"`
	// Specialists lets agents work side by side on the same input.
	Specialists *Specialists `yaml:"specialists"`
}

// Planner is a team whose first agent makes a plan that the others carry out.
type Planner struct {
	// Agent makes the plan.
	Agent string `yaml:"agent"`
	// Specialists carry out its steps. There is at least one, and none twice.
	Specialists []string `yaml:"specialists"`
	// MaxRevisions is how often the plan may be revised; nil leaves it to the program.
	MaxRevisions *int `yaml:"maxRevisions"`
}

// JoinAll is the join that waits for all specialists.
const JoinAll = "all"

// Specialists is a team of agents that work side by side.
type Specialists struct {
	// Agents has at least one name, and none twice.
	Agents []string `yaml:"agents"`
	// Join says which answers make the result. It is [JoinAll], also if the file has none.
	Join string `yaml:"join"`
}

// Script is what scripted models answer.
type Script struct {
	// Latency is what Answers take that say nothing else. It is already in them.
	Latency time.Duration `yaml:"latency"`
	// Answers are valid, and there is at least one.
	Answers scripted.Script `yaml:"answers"`
}

// What a decision may be.
const (
	Approve = "approve"
	Reject  = "reject"
	Wait    = "wait" // leave the run waiting for a person
)

// DefaultDecider is who decided, in the record, if a decision does not say.
const DefaultDecider = "scenario"

// Decision is a person's decision, declared. At least one of Tool, Agent and Question is set.
type Decision struct {
	// Tool is the name of the tool whose call needs approval; empty fits all, and questions.
	Tool string `yaml:"tool"`
	// Agent is the name of the agent that asks; empty fits all.
	Agent string `yaml:"agent"`
	// Question is a text that must occur in the question, upper and lower case told apart.
	Question string `yaml:"question"`
	// Decide is [Approve], [Reject] or [Wait].
	Decide string `yaml:"decide"`
	// Arguments, an object, replace those that the agent proposed; nil leaves them. Only for Approve.
	Arguments json.RawMessage `yaml:"arguments"`
	// Comment is for the record, and for the agent that asked.
	Comment string `yaml:"comment"`
	// As is who decided, in the record: [DefaultDecider] if the file does not say.
	As string `yaml:"as"`
}

// Expect is what must be true of an ended run. What is not set is not checked.
type Expect struct {
	// Status is completed, failed, waiting or cancelled.
	Status string `yaml:"status"`
	// Output is about what the team answered.
	Output *ExpectOutput `yaml:"output"`
	// Tools is about the tools that were called.
	Tools *ExpectTools `yaml:"tools"`
	// Turns is about the turns of all models together.
	Turns *ExpectTurns `yaml:"turns"`
	// Approvals is how many requests were decided upon.
	Approvals *int `yaml:"approvals"`
}

// ExpectOutput is what must be true of an output. All that is set must hold.
type ExpectOutput struct {
	// Contains are texts that must all occur in it, upper and lower case told apart.
	Contains []string `yaml:"contains"`
	// Matches is a regular expression (RE2) that must match somewhere in it.
	Matches string `yaml:"matches"`
	// Equals is the output: a text, blank space around both left out, or the value of its JSON.
	Equals json.RawMessage `yaml:"equals"`
	// Schema is a JSON Schema that the output, which is then JSON, must fit.
	Schema json.RawMessage `yaml:"schema"`
}

// ExpectTools is what must be true of the tools that were called.
type ExpectTools struct {
	// Called are names of tools that must each have been called at least once.
	Called []string `yaml:"called"`
	// NotCalled are names of tools that must not have been called.
	NotCalled []string `yaml:"notCalled"`
}

// ExpectTurns limits the number of turns.
type ExpectTurns struct {
	// Max is the highest number that is in order.
	Max *int `yaml:"max"`
}

// Path returns the name of the scenario's file, as it was given or found.
func (s *Scenario) Path() string { return s.path }

// Dir returns the directory of the scenario's file, which its prompts are relative to.
func (s *Scenario) Dir() string { return filepath.Dir(s.path) }

// Prompt returns what the instructions of an agent were read from, by the agent's name; nil if they
// are in the scenario itself, or the scenario does not bring the agent.
func (s *Scenario) Prompt(agent string) *prompts.Prompt {
	for i := range s.Agents {
		if s.Agents[i].Name == agent {
			return s.read[i]
		}
	}
	return nil
}

// Request is what a person is asked.
type Request struct {
	// Tool is the name of the tool whose call needs approval; empty for a mere question.
	Tool string
	// Agent is the name of the agent that asks.
	Agent string
	// Question is what a person would read.
	Question string
}

// Decide returns the first decision for a request, and whether there is one.
func (s *Scenario) Decide(r Request) (*Decision, bool) {
	for i := range s.Decisions {
		if d := &s.Decisions[i]; d.fits(r) {
			return d, true
		}
	}
	return nil, false
}

func (d *Decision) fits(r Request) bool {
	return (d.Tool == "" || d.Tool == r.Tool) && (d.Agent == "" || d.Agent == r.Agent) && strings.Contains(r.Question, d.Question)
}
