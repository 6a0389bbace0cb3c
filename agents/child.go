package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Assignment is what an agent that is a tool is given by the one that calls it.
type Assignment struct {
	Task string `json:"task" jsonschema:"description=What to do, with everything that is needed to know for it."`
}

// child is what a tool is bound to whose calls are runs of an orchestration.
type child struct {
	name  string // of the orchestration
	agent *Agent // nil: another orchestration
	def   durable.Definition
	start startChild
}

// startChild starts a child with a call's arguments, and gives what the model is shown.
type startChild func(ctx *durable.Context, arguments string, opts ...durable.CallOption) *durable.Task[string]

// lostChild starts a child that the program has no tool for any more: a replay takes
// the same step as the code did that had it.
func lostChild(orchestration string) startChild {
	return func(ctx *durable.Context, arguments string, opts ...durable.CallOption) *durable.Task[string] {
		return durable.Go(ctx, func(ctx *durable.Context) (string, error) {
			in := json.RawMessage(arguments)
			if strings.HasPrefix(orchestration, agentPrefix) {
				var t Assignment
				if err := json.Unmarshal(in, &t); err != nil {
					return "", err
				}
				res, err := durable.CallOrchestration[Result](ctx, orchestration, runInput{Input: t.Task}, opts...)
				return res.Text, err
			}
			out, err := durable.CallOrchestration[json.RawMessage](ctx, orchestration, in, opts...)
			var text string
			if err == nil && json.Unmarshal(out, &text) != nil {
				text = string(out)
			}
			return text, err
		})
	}
}

var errOnlyInRuns = errors.New("this tool runs as a child of an agent's run, and not on its own")

// AsTool makes a tool of an agent: a call is a run of it, as a child of the caller's
// run, and the result is its answer. It shares nothing else with its caller. The tool
// has the agent's name and description. Whoever defines the caller defines the agent
// with it.
//
// A child that fails is told to the model as a failed call. Its own tools have their
// own effects and approvals; an option may ask for an approval of the whole.
func AsTool(a *Agent, opts ...tools.Option) tools.Tool {
	c := &child{name: a.Orchestration(), agent: a, def: a.run, start: func(ctx *durable.Context, arguments string, opts ...durable.CallOption) *durable.Task[string] {
		return durable.Go(ctx, func(ctx *durable.Context) (string, error) {
			var t Assignment
			if err := json.Unmarshal([]byte(arguments), &t); err != nil {
				return "", err
			}
			res, err := a.Call(ctx, t.Task, With(opts...))
			return res.Text, err
		})
	}}
	return bindChild[Assignment](a.Name(), a.Description(), c, opts)
}

// OrchestrationTool makes a tool of an orchestration: a call is a run of it, as a
// child of the caller's run. The tool's schema is that of In, which must be a struct;
// its result is shown to the model as tools.New shows one.
func OrchestrationTool[In, Out any](name, description string, o *durable.Orchestration[In, Out], opts ...tools.Option) tools.Tool {
	c := &child{name: o.Name(), def: o, start: func(ctx *durable.Context, arguments string, opts ...durable.CallOption) *durable.Task[string] {
		return durable.Go(ctx, func(ctx *durable.Context) (string, error) {
			var in In
			if err := json.Unmarshal([]byte(arguments), &in); err != nil {
				return "", err
			}
			out, err := o.Call(ctx, in, opts...)
			if err != nil {
				return "", err
			}
			if s, ok := any(out).(string); ok {
				return s, nil
			}
			b, err := json.Marshal(out)
			return string(b), err
		})
	}}
	return bindChild[In](name, description, c, opts)
}

// bindChild makes the tool. That a child is repeated is the engine's business, which
// never runs one twice.
func bindChild[In any](name, description string, c *child, opts []tools.Option) tools.Tool {
	opts = append([]tools.Option{tools.Pure(), tools.Bound(c)}, opts...)
	return tools.New(name, description, func(context.Context, In) (string, error) { return "", errOnlyInRuns }, opts...)
}

// childOf gives what a tool runs as; nil: a function.
func childOf(t tools.Tool) *child {
	c, _ := t.Binding().(*child)
	return c
}

// callChild runs a call as a child, and gives the message for the model.
func (r *run) callChild(ctx *durable.Context, call models.ToolCall, orchestration string) (called, error) {
	start := lostChild(orchestration)
	if c := childOf(r.agent.tools[call.Name]); c != nil && c.name == orchestration {
		start = c.start
	}
	text, err := start(ctx, cmp.Or(call.Arguments, "{}"), durable.WithTags(map[string]string{RunTag: r.runID()})).Await()
	switch {
	case err != nil && ctx.Err() != nil:
		return called{}, err
	case err != nil:
		return r.refused(call, reason(err))
	}
	// The limit is no tool's, for it must be the same in a replay.
	res, whole := tools.Cut(text, tools.DefaultMaxResult), durable.Ref{}
	if res.Whole != "" {
		whole = ctx.Store([]byte(res.Whole))
		res = res.ReadOn(readTool, resultID(whole))
	}
	ref, err := r.store(models.ToolMessage(call, res.Content))
	return called{answer: ref, whole: whole}, err
}
