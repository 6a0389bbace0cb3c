package mcpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/tools"
)

// Tool is something durable that is served: see [Agent] and [Orchestration].
type Tool struct {
	shape  tools.Tool // its function starts a run, and answers with nothing
	output json.RawMessage
	finish func(*durable.State) (answer, error)
}

// Name is the name by which clients call it.
func (t Tool) Name() string { return t.shape.Name() }

// answer is what a run came to.
type answer struct {
	text       string
	structured json.RawMessage // an object; nil: there is none
}

// starting is what a call tells the function of its shape.
type starting struct {
	client *durable.Client
	opts   []durable.CallOption
}

type startingKey struct{}

// start makes a function for shapes.
func start[In any](schedule func(ctx context.Context, c *durable.Client, in In, opts ...durable.CallOption) error) func(context.Context, In) (struct{}, error) {
	return func(ctx context.Context, in In) (struct{}, error) {
		s, ok := ctx.Value(startingKey{}).(starting)
		if !ok {
			return struct{}{}, errors.New("it is called by nobody")
		}
		return struct{}{}, schedule(ctx, s.client, in, s.opts...)
	}
}

// Agent serves an agent under its own name and description. Its tool takes what the user says; the answer is the
// agent's text, and with a structured output also that.
func Agent(a *agents.Agent) Tool {
	type request struct {
		Input string `json:"input" jsonschema:"description=What to do or to answer; all that is needed to know for it"`
	}
	description := a.Description()
	if description == "" {
		description = "Ask the agent " + a.Name() + "."
	}
	t := Tool{
		shape: tools.New(a.Name(), description, start(func(ctx context.Context, c *durable.Client, in request, opts ...durable.CallOption) error {
			_, err := a.Schedule(ctx, c, in.Input, agents.With(opts...))
			return err
		})),
		finish: func(s *durable.State) (answer, error) {
			var r agents.Result
			if err := json.Unmarshal(s.Output, &r); err != nil {
				return answer{}, fmt.Errorf("the result of run %s: %w", s.ID, err)
			}
			return answer{text: r.Text}, nil
		},
	}
	if out := a.Manifest().Output; out != nil {
		t.output = out.Schema
		text := t.finish
		t.finish = func(s *durable.State) (answer, error) {
			ans, err := text(s)
			ans.structured = object([]byte(ans.text))
			return ans, err
		}
	}
	return t
}

// Orchestration serves an orchestration, a team of agents for instance, under a name that clients call it by:
// letters, digits, "-" and "_", at most 64. If In is a struct its fields are the arguments, as those of a tool (see
// package tools); anything else is one argument called input. A string that it gives is the answer; anything else
// is so as JSON, and an object also as the structured result.
//
// A wrong name or an In that has no JSON Schema is a mistake in the program: Orchestration panics.
func Orchestration[In, Out any](name, description string, o *durable.Orchestration[In, Out]) Tool {
	t := Tool{finish: func(s *durable.State) (answer, error) {
		if text := ""; json.Unmarshal(s.Output, &text) == nil {
			return answer{text: text}, nil
		}
		return answer{text: string(s.Output), structured: object(s.Output)}, nil
	}}
	schedule := func(ctx context.Context, c *durable.Client, in In, opts ...durable.CallOption) error {
		_, err := o.Schedule(ctx, c, in, opts...)
		return err
	}
	if reflect.TypeFor[In]().Kind() == reflect.Struct {
		t.shape = tools.New(name, description, start(schedule))
		return t
	}
	type request struct {
		Input In `json:"input"`
	}
	t.shape = tools.New(name, description, start(func(ctx context.Context, c *durable.Client, in request, opts ...durable.CallOption) error {
		return schedule(ctx, c, in.Input, opts...)
	}))
	return t
}

// object gives b if it is a JSON object, which is all that a structured result can be.
func object(b []byte) json.RawMessage {
	var o map[string]json.RawMessage
	if json.Unmarshal(b, &o) != nil || o == nil {
		return nil
	}
	return b
}
