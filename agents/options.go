package agents

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// CallOption changes one run of an agent.
type CallOption func(*callOptions)

type callOptions struct {
	conversation string
	over         overrides
	state        map[string]any
	durable      []durable.CallOption
	err          error
}

// overrides are what one run has in the place of its agent's. They are part of the
// manifest, since they decide what the model is told.
type overrides struct {
	Output       *models.OutputSchema `json:"output,omitempty"`
	Model        string               `json:"model,omitempty"`
	Instructions *string              `json:"instructions,omitempty"`
	Params       *models.Params       `json:"params,omitempty"`
	MaxTurns     int                  `json:"maxTurns,omitempty"`
	Tools        *[]string            `json:"tools,omitempty"`
	Vars         map[string]any       `json:"vars,omitempty"`
	Others       memory.Others        `json:"others,omitempty"`
}

// InConversation lets the run go on with a conversation, which others may share,
// instead of one of its own.
func InConversation(id string) CallOption { return func(o *callOptions) { o.conversation = id } }

// WithOthers replaces the agent's Others.
func WithOthers(how memory.Others) CallOption { return func(o *callOptions) { o.over.Others = how } }

// WithOutput asks for another structured output than the agent's.
func WithOutput(out *Output) CallOption { return func(o *callOptions) { o.over.Output = out.schema() } }

// WithModel asks another model than the agent's.
func WithModel(name string) CallOption { return func(o *callOptions) { o.over.Model = name } }

// WithInstructions gives the run instructions of its own, whatever the agent's come from.
func WithInstructions(text string) CallOption {
	return func(o *callOptions) { o.over.Instructions = &text }
}

// WithParams replaces all of the agent's Params.
func WithParams(p models.Params) CallOption { return func(o *callOptions) { o.over.Params = &p } }

// WithMaxTurns replaces the agent's MaxTurns.
func WithMaxTurns(n int) CallOption {
	return func(o *callOptions) {
		if n <= 0 {
			o.err = fmt.Errorf("a run of at most %d turns: it must be positive", n)
		}
		o.over.MaxTurns = n
	}
}

// WithTools leaves the run only those of the agent's tools that are named; none: no
// tools. A name that the agent does not have fails the run.
func WithTools(names ...string) CallOption {
	if names == nil {
		names = []string{}
	}
	return func(o *callOptions) { o.over.Tools = &names }
}

// WithVars gives the variables of the agent's Prompt.
func WithVars(vars map[string]any) CallOption { return func(o *callOptions) { o.over.Vars = vars } }

// WithState gives the run's state its first values, see [RunState].
func WithState(values map[string]any) CallOption { return func(o *callOptions) { o.state = values } }

// With passes options of the durable call on, such as durable.WithInstanceID.
func With(opts ...durable.CallOption) CallOption {
	return func(o *callOptions) { o.durable = append(o.durable, opts...) }
}

// prepare makes the input of a run and the options of its call.
func prepare(input any, opts []CallOption) (runInput, []durable.CallOption, error) {
	var o callOptions
	for _, f := range opts {
		f(&o)
	}
	in := runInput{Conversation: o.conversation, overrides: o.over}
	if o.err != nil {
		return in, nil, o.err
	}
	switch v := input.(type) {
	case string:
		in.Input = v
	case models.Message:
		if v.Role != models.RoleUser || len(v.ToolCalls) > 0 {
			return in, nil, fmt.Errorf("the agent's input is a message of role %q: use models.UserMessage", v.Role)
		}
		in.Input, in.Images = v.Content, v.Images
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return in, nil, fmt.Errorf("the agent's input: %w", err)
		}
		in.Input = string(b)
	}
	for _, key := range slices.Sorted(maps.Keys(o.state)) {
		b, err := json.Marshal(o.state[key])
		if err != nil {
			return in, nil, fmt.Errorf("value %q of the run's state: %w", key, err)
		}
		if in.Values == nil {
			in.Values = map[string]json.RawMessage{}
		}
		in.Values[key] = b
	}
	_, err := encodeValues(in.Values)
	return in, o.durable, err
}
