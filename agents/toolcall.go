package agents

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// callTools makes every call of a message, side by side, and gives one answer to
// each, refusals included: none waits for another one's approval. Where a tool stops
// the run, the other calls are made all the same; one after the other, those behind
// it are not. Either way the conversation tells what was done.
func (r *run) callTools(ans chatAnswer, msg models.Message) (done bool, err error) {
	if err := r.ctx.Err(); err != nil {
		return false, err
	}
	n := len(msg.ToolCalls)
	r.calls += n
	out := make([]called, n)
	if n == 1 || r.manifest.Sequential {
		var stop error
		for i, call := range msg.ToolCalls {
			if stop != nil {
				out[i], err = r.unanswered(call, stop)
			} else {
				out[i], err = r.answered(r.ctx, ans, call, i)
			}
			if err != nil {
				return false, err
			}
			stop = cmp.Or(stop, out[i].stop)
		}
	} else {
		tasks := make([]*durable.Task[called], n)
		for i, call := range msg.ToolCalls {
			tasks[i] = durable.Go(r.ctx, func(ctx *durable.Context) (called, error) { return r.answered(ctx, ans, call, i) })
		}
		if out, err = durable.All(r.ctx, tasks); err != nil {
			return false, err
		}
	}
	return r.called(ans, msg, out)
}

// called is what became of a tool call.
type called struct {
	answer durable.Ref // the message for the model
	failed bool
	stop   error // what the tool stopped the run with
	// changes are of the run's state, whole what answer is the beginning of.
	changes, whole durable.Ref
	done           *doneCall // it took effect, and can be taken back
}

// called appends the answers to the conversation, and ends the run where one of them
// is the end.
func (r *run) called(ans chatAnswer, msg models.Message, out []called) (done bool, err error) {
	res := &r.state.Result
	res.ToolCalls += len(out)
	refs := []durable.Ref{ans.Message}
	var stop error
	for _, c := range out {
		refs = append(refs, c.answer)
		stop = cmp.Or(stop, c.stop)
	}
	if err := r.appendOwn(refs...); err != nil {
		return false, err
	}
	if err := r.keepDone(out); err != nil {
		return false, err
	}
	switch {
	case ans.Finish == models.FinishContentFilter:
		return false, r.withheld()
	case stop != nil:
		return false, stop
	}
	if err := r.setValues(out); err != nil {
		return false, err
	}
	r.keepResults(out)
	for i, c := range out {
		if !c.failed && ans.Calls[i].Problem == "" && slices.Contains(r.manifest.StopTools, msg.ToolCalls[i].Name) {
			m, err := memory.Message(r.ctx.Load, c.answer)
			if err != nil {
				return false, err
			}
			return true, r.end(m.Content, StopTool)
		}
	}
	return false, nil
}

// answered is call, of which an error that ends the run is an answer too.
func (r *run) answered(ctx *durable.Context, ans chatAnswer, call models.ToolCall, i int) (called, error) {
	c, err := r.call(ctx, ans, call, i)
	if err != nil {
		return r.unanswered(call, err)
	}
	return c, nil
}

// unanswered answers a call that the run did not come to, because of what ended it.
func (r *run) unanswered(call models.ToolCall, cause error) (called, error) {
	c, err := r.refused(call, "the run ended before this call was answered: "+reason(cause))
	c.stop = cause
	return c, err
}

// call brings one call to its answer: guardrails, people, the tool, and people once
// more if nobody knows what became of it. An error is one of the run, not of the tool.
func (r *run) call(ctx *durable.Context, ans chatAnswer, call models.ToolCall, i int) (called, error) {
	check := ans.Calls[i]
	if check.Problem != "" {
		return r.refused(call, check.Problem)
	}
	if check.Read {
		return r.readOn(call)
	}
	in := toolInput{Message: ans.Message, Index: i, Run: r.runID(), Values: r.state.Values}
	if check.Toolset != "" {
		in.Tool, in.Toolset = check.Tool, check.Toolset
	}
	g, err := r.guard(ctx, OnArguments, guardInput{Message: ans.Message, Tool: call.Name, Toolset: check.Toolset, Index: i}, false)
	switch {
	case err != nil:
		return called{}, err
	case g.blocked != "":
		return r.refused(call, "the call was blocked by guardrail "+g.blocked)
	case g.text != nil:
		in.Arguments, call.Arguments = g.text, *g.text
	}
	if check.Approval != nil {
		v, err := r.approve(ctx, call, check.Approval)
		switch {
		case err != nil:
			return called{}, err
		case v.Status != Approved:
			return r.refused(call, v.refusal())
		}
		if e := v.edited(call.Arguments); e != nil {
			in.Arguments, call.Arguments = e, *e
		}
	}
	if check.Child != "" {
		return r.callChild(ctx, call, check.Child)
	}
	return r.callTool(ctx, call, in, check)
}

// callTool makes the call. Of one whose outcome is unknown, people say what became.
func (r *run) callTool(ctx *durable.Context, call models.ToolCall, in toolInput, check checkedCall) (called, error) {
	var done *doneCall
	if check.Undo != nil {
		done = &doneCall{Tool: check.Tool, Undo: *check.Undo, Input: in}
		done.Input.Tool = check.Tool
	}
	out, err := durable.CallActivity[toolAnswer](ctx, r.agent.activityOf(check), in)
	switch {
	case err == nil:
		if out.IsError || out.Hooked {
			done = nil
		}
		return called{answer: out.Message, failed: out.IsError, changes: out.Changes, whole: out.Whole, done: done}, nil
	case durable.UnknownOutcome(err):
		asking := ctx
		if done != nil { // what has to be taken back must be known, also if the run is cancelled
			asking = ctx.WithoutCancel()
		}
		c, ended := r.outcome(asking, call, err)
		if ended != nil {
			// Nobody waits for what people find out: whoever reads on must know of the call.
			c, failed := r.refused(call, "the run ended in the middle of this call, and nobody knows whether it took effect: "+reason(err))
			c.stop = ended
			return c, failed
		}
		if !c.failed {
			c.done = done
		}
		c.stop = ctx.Err()
		return c, nil
	case ctx.Err() != nil:
		return called{}, err
	}
	c, refusal := r.refused(call, reason(err))
	c.stop = err
	return c, refusal
}

// refused answers a call without making it.
func (r *run) refused(call models.ToolCall, why string) (called, error) {
	ref, err := r.store(models.ToolMessage(call, tools.ErrorResult(errors.New(why)).Content))
	return called{answer: ref, failed: true}, err
}

// setValues takes over what the calls changed in the run's state, in the order of the
// calls.
func (r *run) setValues(out []called) error {
	for _, c := range out {
		changes, err := loadValues(r.ctx.Load, c.changes)
		if err != nil {
			return err
		}
		if len(changes) == 0 {
			continue
		}
		values, err := loadValues(r.ctx.Load, r.state.Values)
		if err != nil {
			return err
		}
		if values, err = tools.MergeState(values, changes); err == nil {
			r.state.Values, err = r.storeValues(values)
		}
		if err != nil {
			return durable.NonRetriable(fmt.Errorf("agent %s: %w", r.agent.config.Name, err))
		}
	}
	return nil
}

// reason is the message of a failed task without the task's name.
func reason(err error) string {
	var failed *durable.TaskFailedError
	if errors.As(err, &failed) {
		return failed.Message
	}
	return err.Error()
}

func (r *run) runID() string {
	if id := r.ctx.Tags()[RunTag]; id != "" {
		return id
	}
	return r.ctx.InstanceID()
}

// approve asks people whether a call may be made, and waits for what they say.
func (r *run) approve(ctx *durable.Context, call models.ToolCall, need *tools.Approval) (Approval, error) {
	p, err := Ask(ctx, Request{
		Kind: KindTool, Agent: r.agent.config.Name, Tool: call.Name, Arguments: call.Arguments,
		Question: need.Question, By: need.By, Needed: need.Needed, Within: need.Within,
	})
	if err != nil {
		return Approval{}, err
	}
	return p.Await(ctx)
}

// askOutcome asks people what became of a call that was cut off: it is never
// made again by itself. They are told the key that the tool was given, to look for
// its effect by.
func (r *run) askOutcome(ctx *durable.Context, call models.ToolCall, cause error) (*Pending, error) {
	look, key := "", ""
	var failed *durable.TaskFailedError
	if errors.As(cause, &failed) && failed.Key != "" {
		key = toolKey(failed.Key, call.Arguments)
		look = fmt.Sprintf(" Its idempotency key is %s.", key)
	}
	return Ask(ctx, Request{
		Kind: KindOutcome, Agent: r.agent.config.Name, Tool: call.Name, Arguments: call.Arguments, Key: key,
		Question: fmt.Sprintf("Did %s take effect? Approve if it did, reject if it did not.%s It was cut off: %s", call.Name, look, reason(cause)),
	})
}

// outcome asks people what became of a call that was cut off, and answers it by what
// they say.
func (r *run) outcome(ctx *durable.Context, call models.ToolCall, cause error) (called, error) {
	p, err := r.askOutcome(ctx, call, cause)
	if err != nil {
		return called{}, err
	}
	v, err := p.Await(ctx)
	if err != nil {
		return called{}, err
	}
	if v.Status == Approved {
		ref, err := r.store(models.ToolMessage(call, "The call was interrupted. A person has confirmed that it took effect; its result is lost."+v.comments()))
		return called{answer: ref}, err
	}
	return r.refused(call, "the call was interrupted, and a person has confirmed that it did not take effect"+v.comments())
}
