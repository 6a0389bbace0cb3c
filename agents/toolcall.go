package agents

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

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
}

// toolAnswer is what is recorded of a tool call.
type toolAnswer struct {
	Message durable.Ref `json:"message"` // the tool message for the model
	IsError bool        `json:"isError,omitempty"`
}

// callTools makes every call of a message, side by side, and gives one answer to
// each, refusals included. Calls that need nobody's approval start at once; the
// others when theirs is given. Where a tool stops the run, stop says why; the other
// calls are made all the same, so that the conversation tells what was done.
func (r *run) callTools(ans chatAnswer, msg models.Message) (answers []durable.Ref, stop, err error) {
	r.edited = nil
	n := len(msg.ToolCalls)
	answers = make([]durable.Ref, n)
	tasks := make([]*durable.Task[toolAnswer], n)
	var waiting []*pendingCall
	for i, call := range msg.ToolCalls {
		switch c := ans.Calls[i]; {
		case c.Problem != "":
			answers[i], err = r.refuse(call, c.Problem)
		case c.Approval != nil:
			var p *Pending
			p, err = r.askApproval(call, c.Approval)
			waiting = append(waiting, &pendingCall{i, p})
		default:
			tasks[i] = r.startTool(ans, call, i, nil)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if err := r.settle(ans, msg, waiting, answers, tasks); err != nil {
		return nil, nil, err
	}
	stop, err = r.collect(msg, tasks, answers)
	return answers, stop, err
}

// collect waits for the calls that were made. It asks people about those whose
// outcome is unknown, all of them before it waits for the first decision.
func (r *run) collect(msg models.Message, tasks []*durable.Task[toolAnswer], answers []durable.Ref) (stop, err error) {
	var unknown []*pendingCall
	for i, t := range tasks {
		if t == nil {
			continue
		}
		call := msg.ToolCalls[i]
		out, failed := t.Await()
		switch {
		case failed == nil:
			answers[i] = out.Message
		case durable.UnknownOutcome(failed):
			var p *Pending
			p, err = r.askOutcome(call, i, failed)
			unknown = append(unknown, &pendingCall{i, p})
		default:
			stop = cmp.Or(stop, failed)
			answers[i], err = r.refuse(call, reason(failed))
		}
		if err != nil {
			return nil, err
		}
	}
	for _, p := range unknown {
		if answers[p.index], err = r.outcome(msg.ToolCalls[p.index], p.Pending); err != nil {
			return nil, err
		}
	}
	return stop, nil
}

// reason is the message of a failed task without the task's name.
func reason(err error) string {
	var failed *durable.TaskFailedError
	if errors.As(err, &failed) {
		return failed.Message
	}
	return err.Error()
}

// pendingCall is a call that waits for people.
type pendingCall struct {
	index int
	*Pending
}

// settle waits for the people's decisions, in the order in which they come.
func (r *run) settle(ans chatAnswer, msg models.Message, waiting []*pendingCall, answers []durable.Ref, tasks []*durable.Task[toolAnswer]) error {
	for len(waiting) > 0 {
		var any []durable.Awaitable
		for _, p := range waiting {
			any = append(any, p.awaitables()...)
		}
		durable.Any(r.ctx, any...)
		var rest []*pendingCall
		for _, p := range waiting {
			if !p.ready() {
				rest = append(rest, p)
				continue
			}
			v, err := p.Await(r.ctx)
			if err != nil {
				return err
			}
			call := msg.ToolCalls[p.index]
			if v.Status != Approved {
				answers[p.index], err = r.refuse(call, v.refusal())
				if err != nil {
					return err
				}
				continue
			}
			tasks[p.index] = r.startTool(ans, call, p.index, v.edited(call.Arguments))
		}
		waiting = rest
	}
	return nil
}

// refuse answers a call without making it.
func (r *run) refuse(call models.ToolCall, why string) (durable.Ref, error) {
	return r.store(models.ToolMessage(call, tools.ErrorResult(errors.New(why)).Content))
}

func (r *run) runID() string {
	if id := r.ctx.Tags()[RunTag]; id != "" {
		return id
	}
	return r.ctx.InstanceID()
}

func (r *run) startTool(ans chatAnswer, call models.ToolCall, i int, edited *string) *durable.Task[toolAnswer] {
	if edited != nil {
		if r.edited == nil {
			r.edited = map[int]*string{}
		}
		r.edited[i] = edited
	}
	return durable.StartActivity[toolAnswer](r.ctx, r.agent.toolName(call.Name),
		toolInput{Message: ans.Message, Index: i, Arguments: edited, Run: r.runID()})
}

// askApproval asks people whether a call may be made.
func (r *run) askApproval(call models.ToolCall, need *tools.Approval) (*Pending, error) {
	return Ask(r.ctx, Request{
		Kind: KindTool, Agent: r.agent.config.Name, Tool: call.Name, Arguments: call.Arguments,
		Question: need.Question, By: need.By, Needed: need.Needed, Within: need.Within,
	})
}

// askOutcome asks people what became of a call that was cut off: it is never
// made again by itself. They are told the key that the tool was given, to look for
// its effect by.
func (r *run) askOutcome(call models.ToolCall, i int, cause error) (*Pending, error) {
	arguments := call.Arguments
	if e := r.edited[i]; e != nil {
		arguments = *e
	}
	look := ""
	var failed *durable.TaskFailedError
	if errors.As(cause, &failed) && failed.Key != "" {
		look = fmt.Sprintf(" Its idempotency key is %s.", toolKey(failed.Key, arguments))
	}
	return Ask(r.ctx, Request{
		Kind: KindOutcome, Agent: r.agent.config.Name, Tool: call.Name, Arguments: arguments,
		Question: fmt.Sprintf("Did %s take effect? Approve if it did, reject if it did not.%s It was cut off: %s", call.Name, look, reason(cause)),
	})
}

// outcome waits for what people say became of a call, and answers it.
func (r *run) outcome(call models.ToolCall, p *Pending) (durable.Ref, error) {
	v, err := p.Await(r.ctx)
	if err != nil {
		return durable.Ref{}, err
	}
	if v.Status == Approved {
		return r.store(models.ToolMessage(call, "The call was interrupted. A person has confirmed that it took effect; its result is lost."+v.comments()))
	}
	return r.refuse(call, "the call was interrupted, and a person has confirmed that it did not take effect"+v.comments())
}

func (a *Agent) toolName(tool string) string { return "tool:" + a.config.Name + "/" + tool }

// toolActivity makes a tool an activity by what repeating it would do.
func (a *Agent) toolActivity(t tools.Tool) durable.Definition {
	var opts []durable.ActivityOption
	switch t.Effect() {
	case tools.EffectPure:
		opts = append(opts, durable.Pure())
	case tools.EffectIdempotent:
	default:
		opts = append(opts, durable.AtMostOnce())
		if t.HasReconcile() {
			opts = append(opts, durable.Reconcile(func(ctx context.Context, in toolInput) (toolAnswer, bool, error) {
				call, mc, err := a.toolCall(ctx, in)
				if err != nil {
					return toolAnswer{}, false, err
				}
				o, err := t.Reconcile(ctx, call)
				if err != nil || !o.Happened {
					return toolAnswer{}, false, err
				}
				out, err := keep(ctx, mc, o.Result)
				return out, true, err
			}))
		}
	}
	return durable.NewActivity(a.toolName(t.Name()), func(ctx context.Context, in toolInput) (toolAnswer, error) {
		call, mc, err := a.toolCall(ctx, in)
		if err != nil {
			return toolAnswer{}, err
		}
		witness(ctx, "tool", t.Name())
		ctx, end := startToolSpan(ctx, t, call)
		res, err := t.Call(ctx, call)
		end(res, err)
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
		}
		return keep(ctx, mc, res)
	}, opts...)
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

// keep stores a result as the message that the model gets.
func keep(ctx context.Context, call models.ToolCall, res tools.Result) (toolAnswer, error) {
	b, err := memory.Encode(models.ToolMessage(call, res.Content))
	if err != nil {
		return toolAnswer{}, err
	}
	ref, err := durable.Store(ctx, b)
	return toolAnswer{ref, res.IsError}, err
}
