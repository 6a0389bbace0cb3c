package agents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// toolInput is the input of a tool's activity.
type toolInput struct {
	Message durable.Ref `json:"message"` // the assistant's message that calls it
	Index   int         `json:"index"`   // which of its calls
	// Arguments replace those of the message: a person edited them.
	Arguments *string `json:"arguments,omitempty"`
	Run       string  `json:"run"`
	// Values are the run's state when the turn began.
	Values durable.Ref `json:"values,omitzero"`
	// Tool and Toolset name the tool where the activity does not: that of a toolset.
	Tool    string `json:"tool,omitempty"`
	Toolset string `json:"toolset,omitempty"`
}

// toolAnswer is what is recorded of a tool call.
type toolAnswer struct {
	Message durable.Ref `json:"message"` // the tool message for the model
	IsError bool        `json:"isError,omitempty"`
	Error   string      `json:"error,omitempty"` // the first line of it, for those who follow the run
	// Changes are what the call changed in the run's state.
	Changes durable.Ref `json:"changes,omitzero"`
	// Whole is the result of which the model was shown the beginning.
	Whole durable.Ref `json:"whole,omitzero"`
	// Hooked says that a hook answered in the place of the tool.
	Hooked bool `json:"hooked,omitempty"`
}

func (a *Agent) toolName(tool string) string { return toolPrefix + a.config.Name + "/" + tool }

// toolsetName is the activity of a toolset's tools that have an effect. Their names
// are not known when a program defines its activities; the input has them.
func (a *Agent) toolsetName(e tools.Effect) string {
	switch e {
	case tools.EffectPure, tools.EffectIdempotent:
		return a.toolName("*" + e.String())
	}
	return a.toolName("*")
}

// activityOf is the activity that makes a call.
func (a *Agent) activityOf(c checkedCall) string {
	if c.Toolset == "" {
		return a.toolName(c.Tool)
	}
	e := tools.EffectUnsafe
	if c.Effect != nil {
		e = *c.Effect
	}
	return a.toolsetName(e)
}

// effectOptions make an activity of tools with an effect: what repeating a call would
// do decides how often the engine may make it. find gives the tool that a call is of.
func (a *Agent) effectOptions(o *Options, e tools.Effect, reconciles bool, find func(context.Context, toolInput) (tools.Tool, error)) []durable.ActivityOption {
	switch {
	case e == tools.EffectPure:
		return []durable.ActivityOption{durable.Pure()}
	case e == tools.EffectIdempotent:
		return []durable.ActivityOption{durable.Idempotent()}
	case !reconciles:
		return []durable.ActivityOption{durable.AtMostOnce()}
	}
	return []durable.ActivityOption{durable.Reconcile(func(ctx context.Context, in toolInput) (toolAnswer, bool, error) {
		t, err := find(ctx, in)
		if err != nil {
			return toolAnswer{}, false, err
		}
		call, mc, err := a.toolCall(ctx, in)
		if err != nil {
			return toolAnswer{}, false, err
		}
		found, err := t.Reconcile(ctx, call)
		if err != nil || !found.Happened {
			return toolAnswer{}, false, err
		}
		if err := a.hooks(o).afterTool(ctx, t, call, &found.Result); err != nil {
			return toolAnswer{}, false, err
		}
		out, err := keep(ctx, mc, found.Result)
		return out, true, err
	})}
}

// toolActivity makes a tool an activity.
func (a *Agent) toolActivity(o *Options, t tools.Tool) durable.Definition {
	find := func(context.Context, toolInput) (tools.Tool, error) { return t, nil }
	opts := a.effectOptions(o, t.Effect(), t.HasReconcile(), find)
	if n := t.MaxConcurrent(); n > 0 {
		opts = append(opts, durable.MaxConcurrent(n))
	}
	if n, per := t.RateLimit(); n > 0 {
		opts = append(opts, durable.RateLimit[toolInput](nil, n, per))
	}
	return durable.NewActivity(a.toolName(t.Name()), func(ctx context.Context, in toolInput) (toolAnswer, error) {
		return a.callTool(ctx, o, t, in)
	}, opts...)
}

// toolsetActivity is for all tools of the agent's toolsets that have the effect.
func (a *Agent) toolsetActivity(o *Options, e tools.Effect) durable.Definition {
	find := func(ctx context.Context, in toolInput) (tools.Tool, error) { return a.find(ctx, in.Tool, in.Toolset) }
	return durable.NewActivity(a.toolsetName(e), func(ctx context.Context, in toolInput) (toolAnswer, error) {
		t, err := find(ctx, in)
		if err != nil && ctx.Err() != nil {
			return toolAnswer{}, err
		}
		if err == nil && e.Repeatable() && !t.Effect().Repeatable() { // since the model asked for it
			err = fmt.Errorf("tool %s has become %s, so it was not called: call it again", t.Name(), t.Effect())
		}
		if err != nil { // the tool was not called
			_, mc, failed := a.toolCall(ctx, in)
			if failed != nil {
				return toolAnswer{}, failed
			}
			return keep(ctx, mc, tools.ErrorResult(err))
		}
		return a.callTool(ctx, o, t, in)
	}, a.effectOptions(o, e, true, find)...)
}

// callTool makes a call, with its span and its hooks, and stores what the model is
// shown.
func (a *Agent) callTool(ctx context.Context, o *Options, t tools.Tool, in toolInput) (toolAnswer, error) {
	call, mc, err := a.toolCall(ctx, in)
	if err != nil {
		return toolAnswer{}, err
	}
	hooks := a.hooks(o)
	instead, err := hooks.beforeTool(ctx, t, call)
	var res tools.Result
	switch {
	case err != nil:
		return keep(ctx, mc, tools.ErrorResult(err))
	case instead != nil:
		res = t.Fit(*instead)
	default:
		if ctx, err = o.callContext(ctx, t, call, in); err != nil {
			return toolAnswer{}, err
		}
		witness(ctx, "tool", t.Name())
		ctx, end := startToolSpan(ctx, t, call)
		res, err = t.Call(ctx, call)
		end(res, err)
	}
	var unknown *tools.UnknownOutcomeError
	var stop *tools.StopError
	switch {
	case errors.As(err, &unknown):
		return toolAnswer{}, durable.Unknown(err)
	case errors.As(err, &stop):
		return toolAnswer{}, durable.NonRetriable(fmt.Errorf("tool %s stopped the run: %w", t.Name(), err))
	case err != nil && ctx.Err() != nil:
		return toolAnswer{}, err // the run ended, or the process: not the model's business
	case err != nil:
		res = tools.ErrorResult(err)
	default:
		if err := hooks.afterTool(ctx, t, call, &res); err != nil {
			return toolAnswer{}, err
		}
	}
	ans, err := keep(ctx, mc, res)
	ans.Hooked = instead != nil
	return ans, err
}

// callContext gives a tool the run's state, and somebody to report its progress to.
func (o *Options) callContext(ctx context.Context, t tools.Tool, call tools.Call, in toolInput) (context.Context, error) {
	values, err := loadValues(func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }, in.Values)
	if err != nil {
		return ctx, err
	}
	ctx = tools.WithState(ctx, values)
	if o.OnProgress != nil {
		info, _ := durable.Info(ctx)
		ctx = tools.WithProgress(ctx, func(text string) {
			o.OnProgress(Progress{Instance: info.Instance, Agent: call.Agent, Tool: t.Name(), Call: call.ID, Attempt: call.Attempt, Text: text})
		})
	}
	return ctx, nil
}

// Progress is what a tool says of how far a call has come. It is shown, not kept.
type Progress struct {
	Instance string // the agent's run
	Agent    string
	Tool     string
	Call     string // the model's id of the call
	Attempt  int
	Text     string
}

// toolCall finds the call that an activity is for.
func (a *Agent) toolCall(ctx context.Context, in toolInput) (tools.Call, models.ToolCall, error) {
	msg, err := memory.Message(func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }, in.Message)
	if err != nil {
		return tools.Call{}, models.ToolCall{}, err
	}
	if in.Index < 0 || in.Index >= len(msg.ToolCalls) {
		return tools.Call{}, models.ToolCall{}, durable.NonRetriable(fmt.Errorf("the message has no tool call %d", in.Index))
	}
	mc := msg.ToolCalls[in.Index]
	call := tools.Call{ID: mc.ID, Arguments: mc.Arguments, Run: in.Run, Agent: a.config.Name}
	if in.Arguments != nil {
		call.Arguments = *in.Arguments
	}
	info, _ := durable.Info(ctx)
	call.Attempt = info.Attempt
	call.Key = toolKey(info.Key, call.Arguments)
	return call, mc, nil
}

// toolKey is the idempotency key of a tool call: that of the logical call, with
// the digest of the final arguments. The provider's call id is no part of it, as
// providers repeat those.
func toolKey(call, arguments string) string {
	sum := sha256.Sum256([]byte(call + "\x00" + tools.Digest(arguments)))
	return hex.EncodeToString(sum[:16])
}

// keep stores a result as the message that the model gets, and what goes with it.
func keep(ctx context.Context, call models.ToolCall, res tools.Result) (ans toolAnswer, err error) {
	if ans.IsError = res.IsError; ans.IsError {
		line, _, _ := strings.Cut(res.Content, "\n")
		ans.Error = models.OneLine(line, maxErrorLine)
	}
	if res.Whole != "" {
		if ans.Whole, err = durable.Store(ctx, []byte(res.Whole)); err != nil {
			return ans, err
		}
		res = res.ReadOn(readTool, resultID(ans.Whole))
	}
	if len(res.Changes) > 0 && !res.IsError {
		b, err := json.Marshal(res.Changes)
		if err != nil {
			return ans, fmt.Errorf("changes of the run's state: %w", err)
		}
		if ans.Changes, err = durable.Store(ctx, b); err != nil {
			return ans, err
		}
	}
	m := models.ToolMessage(call, cmp.Or(res.Content, noOutput))
	for _, p := range res.Images {
		m.Images = append(m.Images, models.Image{MediaType: p.MediaType, Data: p.Data})
	}
	b, err := memory.Encode(m)
	if err != nil {
		return ans, err
	}
	ans.Message, err = durable.Store(ctx, b)
	return ans, err
}

// maxErrorLine is how much of a tool's error those who follow a run are told, in bytes.
const maxErrorLine = 160

// noOutput stands for an empty result, which some model APIs refuse.
const noOutput = "(no output)"
