package agents

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
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
	// Instructions are the system message.
	Instructions string
	// Model names the model, see [Options.Models].
	Model  string
	Params models.Params
	Tools  []tools.Tool
	// Output asks for a structured answer, see [OutputOf].
	Output *Output
	// MaxTurns bounds the model's turns in one run; a run that wants more fails with
	// [ErrMaxTurns]. 0: 32.
	MaxTurns int
	// Window bounds how many of the conversation's last messages a model is sent;
	// 0: all. A tool's result is never sent without the call that it answers.
	Window int
	// Retry says how a model call that failed is tried again; nil: 5 attempts, with
	// waits from a second to half a minute between them, for failures that can pass.
	Retry *durable.RetryPolicy
}

// Agent is a model with instructions and tools. It is immutable, and safe for
// concurrent use.
type Agent struct {
	config Config
	tools  map[string]tools.Tool
	run    *durable.Orchestration[runInput, Result]
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
	if c.Model == "" {
		return nil, fmt.Errorf("agent %s names no model", c.Name)
	}
	if c.MaxTurns < 0 || c.Window < 0 {
		return nil, fmt.Errorf("agent %s: MaxTurns and Window must not be negative", c.Name)
	}
	if c.MaxTurns == 0 {
		c.MaxTurns = 32
	}
	if c.Retry == nil {
		c.Retry = &durable.RetryPolicy{MaxAttempts: 5, FirstInterval: time.Second, Backoff: 2, MaxInterval: 30 * time.Second}
	}
	index, err := tools.Index(c.Tools)
	if err != nil {
		return nil, fmt.Errorf("agent %s: %w", c.Name, err)
	}
	a := &Agent{config: c, tools: index}
	a.run = durable.NewOrchestration("agent:"+c.Name, a.loop)
	return a, nil
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
	// Turns and ToolCalls count what the run took.
	Turns     int          `json:"turns"`
	ToolCalls int          `json:"toolCalls"`
	Usage     models.Usage `json:"usage"`
}

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
