package agents

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/agentrun-dev/agentrun/tools"
)

// Config describes an agent. Name, Instructions and Model are what most agents
// need; a zero value of the rest works.
type Config struct {
	// Name is how histories, scripts and people refer to the agent: letters, digits,
	// "-" and "_", at most 64. Keep it when the agent is rewritten.
	Name string
	// Description says to others, a planner for instance, what the agent is for.
	Description string

	// Instructions are the system message. In their place, Prompt is rendered when a
	// run begins, with the variables of Vars and those that [WithVars] gives, which go
	// first; and InstructionsFunc is asked before each turn. At most one of the three is
	// set.
	Instructions     string
	Prompt           *prompts.Prompt
	Vars             map[string]any
	InstructionsFunc func(ctx context.Context, s RunState) (string, error)

	// Model names the model, see [Options.Models].
	Model string
	// Params are the settings of each request. A ToolChoice that forces a call holds
	// until the first calls are made, since the model could never answer otherwise;
	// KeepToolChoice keeps it, for agents that end by StopTools.
	Params         models.Params
	KeepToolChoice bool

	Tools []tools.Tool
	// Toolsets are asked for their tools when a run begins.
	Toolsets []tools.Toolset
	// Enabled says before each turn whether the model is offered a tool; nil: all are.
	Enabled func(ctx context.Context, s RunState, tool string) (bool, error)
	// Sequential makes the calls of one message one after the other, in the model's
	// order, instead of side by side.
	Sequential bool

	// Output asks for a structured answer, see [OutputOf]. One that does not fit goes
	// back with what is wrong, MaxRepairs times at most; 0: twice, -1: never.
	Output     *Output
	MaxRepairs int

	// MaxTurns bounds the model's turns in one run; 0: 32. OnMaxTurns is what happens
	// to a run that wants more; "": it fails with [ErrMaxTurns]. Successor is who goes
	// on with [MaxTurnsHandOver].
	MaxTurns   int
	OnMaxTurns MaxTurnsAction
	Successor  *Agent
	// StopTools end the run with their result, once one of them was called and did not
	// fail. StopWhen is asked after each turn with calls; the run ends with the last
	// message's text when it says so.
	StopTools []string
	StopWhen  func(ctx context.Context, s RunState) (bool, error)

	// UndoOnFailure takes back what a run has done if it ends with an error, or is
	// cancelled: each call of a compensable tool that took effect, the last one first.
	// An undo is a step with the effect of its tool and a key of its own, tried again by
	// Retry if that may be repeated. One that fails for good, or of which nobody knows whether it took effect, is
	// put to people, and the run ends when they have seen to it; so is a call to take back
	// that was cut off. A run that is terminated takes nothing back, and none takes back
	// what its children did.
	UndoOnFailure bool

	// Guardrails check what goes in and out, in this order.
	Guardrails []Guardrail
	// Hooks are told of, and may change, what happens.
	Hooks Hooks

	// Window bounds how many of the conversation's last messages a model is sent, beside
	// the first one and those that are pinned; 0: all. A tool's result is never sent
	// without the call that it answers.
	Window int
	// MaxContext is how many tokens of the conversation a model is sent; 0: as many as its
	// provider takes. Before there are more, the conversation is compacted: old results of
	// tools are left out, then Summarizer, a model's name, sums up the oldest part; "":
	// Model does. People read the whole conversation all the same. Counter counts; nil:
	// memory.Estimate.
	MaxContext int
	Summarizer string
	Counter    memory.Counter
	// Others says how the model is told what other agents of a shared conversation said;
	// "": as text, with their names.
	Others memory.Others
	// Retry says how a model call that failed is tried again; nil: 5 attempts, with
	// waits from a second to half a minute between them, for failures that can pass. Its
	// function is asked within the step, about the step's own error, a *[models.Error] for
	// instance.
	Retry *durable.RetryPolicy
	// OnDeploy is what a run under way does in a program whose agent has another
	// [Manifest] than the run began with; "": it keeps to its own, [Pin].
	OnDeploy DeployAction
}

// Agent is a model with instructions and tools. It is immutable, and safe for
// concurrent use.
type Agent struct {
	config Config
	tools  map[string]tools.Tool
	guards map[string]*Guardrail
	run    *durable.Orchestration[runInput, Result]
	bounds bounds
}

var validName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// New makes an agent. A configuration that cannot be right is a mistake in the
// program: New panics. [Make] is for configurations that come from outside.
func New(c Config) *Agent {
	a, err := Make(c)
	if err != nil {
		panic("agents: " + err.Error())
	}
	return a
}

// Make is New with an error instead of a panic.
func Make(c Config) (*Agent, error) {
	if !validName.MatchString(c.Name) {
		return nil, fmt.Errorf("agent name %q: use letters, digits, - and _, at most 64", c.Name)
	}
	c.fill()
	a := &Agent{config: c, bounds: bounds{turns: 100, calls: 1000}}
	if err := a.validate(); err != nil {
		return nil, fmt.Errorf("agent %s: %w", c.Name, err)
	}
	a.run = durable.NewOrchestration(agentPrefix+c.Name, a.loop, durable.Annotate(a))
	return a, nil
}

// fill puts in what a zero value stands for.
func (c *Config) fill() {
	if c.MaxTurns == 0 {
		c.MaxTurns = 32
	}
	switch c.MaxRepairs {
	case 0:
		c.MaxRepairs = 2
	case -1:
		c.MaxRepairs = 0
	}
	if c.OnMaxTurns == "" {
		c.OnMaxTurns = MaxTurnsFail
	}
	if c.OnDeploy == "" {
		c.OnDeploy = Pin
	}
	if c.Retry == nil {
		c.Retry = &durable.RetryPolicy{MaxAttempts: 5, FirstInterval: time.Second, Backoff: 2, MaxInterval: 30 * time.Second}
	}
}

// validate finds what cannot be right, and makes the indexes.
func (a *Agent) validate() (err error) {
	c := &a.config
	given := 0
	for _, is := range []bool{c.Instructions != "", c.Prompt != nil, c.InstructionsFunc != nil} {
		if is {
			given++
		}
	}
	switch {
	case c.Model == "":
		return errors.New("it names no model")
	case c.MaxTurns < 0 || c.Window < 0 || c.MaxRepairs < 0 || c.MaxContext < 0:
		return errors.New("MaxTurns, MaxRepairs, Window and MaxContext must not be negative")
	case c.Prompt == nil && len(c.Vars) > 0:
		return errors.New("it has Vars, and no Prompt")
	case given > 1:
		return errors.New("of Instructions, Prompt and InstructionsFunc at most one is set")
	case (c.OnMaxTurns == MaxTurnsHandOver) != (c.Successor != nil):
		return errors.New("a Successor goes with OnMaxTurns: MaxTurnsHandOver")
	case !slices.Contains([]MaxTurnsAction{MaxTurnsFail, MaxTurnsSummary, MaxTurnsHandOver}, c.OnMaxTurns):
		return fmt.Errorf("OnMaxTurns is %q: use fail, summary or hand_over", c.OnMaxTurns)
	case !slices.Contains([]DeployAction{Pin, Adopt, Fail}, c.OnDeploy):
		return fmt.Errorf("OnDeploy is %q: use pin, adopt or fail", c.OnDeploy)
	}
	if a.tools, err = tools.Index(c.Tools); err != nil {
		return err
	}
	if err := c.checkUndo(); err != nil {
		return err
	}
	for _, name := range c.StopTools {
		if _, ok := a.tools[name]; !ok && len(c.Toolsets) == 0 {
			return fmt.Errorf("there is no tool %q among its tools to stop after", name)
		}
	}
	if err := checkToolsets(c.Toolsets); err != nil {
		return err
	}
	a.guards, err = indexGuardrails(c.Guardrails)
	return err
}

// Name is the agent's name.
func (a *Agent) Name() string { return a.config.Name }

// Description says what the agent is for.
func (a *Agent) Description() string { return a.config.Description }

// Model is the name of the model that the agent asks.
func (a *Agent) Model() string { return a.config.Model }

// Tools are the agent's tools. The caller must not change the slice.
func (a *Agent) Tools() []tools.Tool { return a.config.Tools }

// Orchestration is the name of the orchestration that a run of the agent is.
func (a *Agent) Orchestration() string { return a.run.Name() }

// Result is what a run of an agent comes to.
type Result struct {
	// Text is the model's last message; with a structured output, its JSON.
	Text string `json:"text"`
	// Cut says that Text ends where it does because of the token limit.
	Cut bool `json:"cut,omitempty"`
	// Stop says why the run ended where it did; "": its model was done.
	Stop StopReason `json:"stop,omitempty"`
	// Turns and ToolCalls count what the run took.
	Turns     int          `json:"turns"`
	ToolCalls int          `json:"toolCalls"`
	Usage     models.Usage `json:"usage"`
	// Cost is what the turns cost by [Options.Prices], and Unpriced how many of them it
	// does not have: their model has no price, or did not say what they took.
	Cost     models.Money `json:"cost,omitzero"`
	Unpriced int          `json:"unpriced,omitempty"`
}

// StopReason says why a run ended before its model was done.
type StopReason string

// Reasons to end a run early. It has a [Result] all the same.
const (
	StopMaxTurns StopReason = "max_turns" // it used up its turns: Text is a summary, or its successor's
	StopTool     StopReason = "tool"      // one of its StopTools has answered: Text is that
	StopWhen     StopReason = "when"      // its StopWhen said so
	StopAsked    StopReason = "asked"     // somebody asked for it, see [StopAfterTurn]
)

// Output describes a structured answer: JSON of one schema. The model is asked
// for it; an answer that does not fit goes back with what is wrong, twice at most.
type Output struct {
	shape tools.Tool
}

// OutputOf derives the schema from a struct type, as tools do. It panics if the
// type has none.
func OutputOf[T any]() *Output {
	return &Output{tools.New("output", "", func(context.Context, T) (string, error) { return "", nil })}
}

// OutputSchema takes a JSON Schema of an object as it is.
func OutputSchema(schema json.RawMessage) (*Output, error) {
	shape, err := tools.Raw("output", "", schema, func(context.Context, json.RawMessage) (tools.Result, error) { return tools.Result{}, nil })
	if err != nil {
		return nil, err
	}
	return &Output{shape}, nil
}

// schema is what a model is told of the output.
func (o *Output) schema() *models.OutputSchema {
	if o == nil {
		return nil
	}
	return &models.OutputSchema{Name: "output", Schema: o.shape.Schema()}
}

// Decode reads the structured output of a result.
func Decode[T any](r Result) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(r.Text), &v); err != nil {
		return v, fmt.Errorf("the agent's answer does not decode into %T: %w", v, err)
	}
	return v, nil
}
