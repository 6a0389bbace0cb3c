package agents

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// undoCall says how a call is taken back. It is found out when the model asks for the
// call, so that a run keeps to it.
type undoCall struct {
	Tool     string          `json:"tool"`     // that takes it back
	Activity string          `json:"activity"` // that calls it
	Approval *tools.Approval `json:"approval,omitempty"`
}

// doneCall is a call that took effect and can be taken back: a payload of a list in
// which each one refers to the one before, so that a run's state does not grow.
type doneCall struct {
	Tool   string      `json:"tool"` // that was called
	Undo   undoCall    `json:"undo"`
	Input  toolInput   `json:"input"`
	Before durable.Ref `json:"before,omitzero"`
}

// maxUndoErrors bounds the failures that a run's error tells of.
const maxUndoErrors = 8

// undoName is the activity of all undos that have the effect. It has no tool's name,
// for it must be there, and say so, when the program has the tool no longer.
func (a *Agent) undoName(e tools.Effect) string {
	if !e.Repeatable() {
		e = tools.EffectUnsafe
	}
	return undoPrefix + a.config.Name + "/" + e.String()
}

// undoOf says how a call of t would be taken back; nil: not at all.
func (a *Agent) undoOf(m Manifest, t tools.Tool) *undoCall {
	undo, ok := t.Undo()
	if !ok || !m.UndoOnFailure {
		return nil
	}
	return &undoCall{undo.Name(), a.undoName(undo.Effect()), undo.Approval()}
}

// checkUndo finds tools that a run could not take back.
func (c *Config) checkUndo() error {
	for _, t := range c.Tools {
		if undo, ok := t.Undo(); ok && c.UndoOnFailure && undo.Binding() != nil {
			return fmt.Errorf("tool %s: its undo %s is an agent or an orchestration, which cannot take calls back", t.Name(), undo.Name())
		}
	}
	return nil
}

// undoActivity takes calls back whose undo has the effect.
func (a *Agent) undoActivity(o *Options, e tools.Effect) durable.Definition {
	find := func(ctx context.Context, in toolInput) (tools.Tool, error) {
		t, err := a.find(ctx, in.Tool, in.Toolset)
		if errors.Is(err, errNoTool) {
			return t, durable.NonRetriable(err)
		} else if err != nil {
			return t, err
		}
		undo, ok := t.Undo()
		if !ok || a.undoName(undo.Effect()) != a.undoName(e) {
			return t, durable.NonRetriable(fmt.Errorf("tool %s is not taken back by an %s tool any more", in.Tool, e))
		}
		return undo, nil
	}
	return step(a, a.undoName(e), func(ctx context.Context, in toolInput) (toolAnswer, error) {
		t, err := find(ctx, in)
		if err != nil {
			return toolAnswer{}, err
		}
		return a.callUndo(ctx, o, t, in)
	}, a.effectOptions(o, e, true, find)...)
}

// callUndo calls a tool that takes a call back. No model hears of it: an error is
// one of the activity, which is tried again if the tool may be repeated. Of another one
// people find out what it did before it failed.
func (a *Agent) callUndo(ctx context.Context, o *Options, t tools.Tool, in toolInput) (toolAnswer, error) {
	call, mc, err := a.toolCall(ctx, in)
	if err != nil {
		return toolAnswer{}, err
	}
	if ctx, err = o.callContext(ctx, t, call, in); err != nil {
		return toolAnswer{}, err
	}
	witness(ctx, "undo", t.Name())
	spanned, end := startToolSpan(ctx, t, call)
	res, err := t.Call(spanned, call)
	end(res, err)
	var unknown *tools.UnknownOutcomeError
	var stop *tools.StopError
	switch {
	case errors.As(err, &unknown):
		return toolAnswer{}, durable.Unknown(err)
	case errors.As(err, &stop):
		return toolAnswer{}, durable.NonRetriable(err)
	case err == nil && res.IsError:
		err = errors.New(res.Content)
	}
	switch {
	case err == nil:
		return keep(ctx, mc, res)
	case !t.Effect().Repeatable():
		err = durable.NonRetriable(err)
	}
	return toolAnswer{}, err
}

// keepDone remembers the calls that took effect, in the order of the model's message.
func (r *run) keepDone(out []called) error {
	for _, c := range out {
		if c.done == nil {
			continue
		}
		c.done.Before = r.state.Done
		b, err := json.Marshal(c.done)
		if err != nil {
			return fmt.Errorf("a call to take back: %w", err)
		}
		r.state.Done = r.ctx.Store(b)
	}
	return nil
}

// undoAll takes back what the run has done, the last call first, if it ends with an
// error. What cannot be taken back is in the error that it gives, beside the cause.
func (r *run) undoAll(cause error) error {
	if cause == nil {
		return nil
	}
	ctx := r.ctx.WithoutCancel()
	errs, more := []error{cause}, 0
	for ref := r.state.Done; !ref.IsZero(); {
		d, err := r.loadDone(ref)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := r.undo(ctx, d); err != nil && len(errs) <= maxUndoErrors {
			errs = append(errs, err)
		} else if err != nil {
			more++
		}
		ref = d.Before
	}
	if more > 0 {
		errs = append(errs, fmt.Errorf("and %d more calls were not taken back", more))
	}
	if len(errs) == 1 {
		return cause
	}
	return errors.Join(errs...)
}

func (r *run) loadDone(ref durable.Ref) (d doneCall, err error) {
	b, err := r.ctx.Load(ref)
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	if err != nil {
		return d, fmt.Errorf("a call to take back: %w", err)
	}
	return d, nil
}

// undo takes one call back. If that fails, or nobody knows whether it took effect,
// people see to it; an error says that the call stands.
func (r *run) undo(ctx *durable.Context, d doneCall) error {
	stands := fmt.Sprintf("the call of %s was not taken back", d.Tool)
	arguments, err := r.argumentsOf(d.Input)
	if err != nil {
		return fmt.Errorf("%s: %w", stands, err)
	}
	call := models.ToolCall{Name: d.Undo.Tool, Arguments: arguments}
	if d.Undo.Approval != nil {
		v, err := r.approve(ctx, call, d.Undo.Approval)
		if err != nil {
			return fmt.Errorf("%s: %w", stands, err)
		}
		if v.Status != Approved {
			return fmt.Errorf("%s: %s", stands, v.refusal())
		}
		if e := v.edited(arguments); e != nil {
			d.Input.Arguments, call.Arguments = e, *e
		}
	}
	_, err = durable.CallActivity[toolAnswer](ctx, d.Undo.Activity, d.Input, r.retry())
	if err == nil {
		return nil
	}
	p, failed := r.askUndo(ctx, d, call, err)
	if failed != nil {
		return errors.Join(fmt.Errorf("%s: %s", stands, reason(err)), failed)
	}
	v, failed := p.Await(ctx)
	switch {
	case failed != nil:
		return errors.Join(fmt.Errorf("%s: %s", stands, reason(err)), failed)
	case v.Status != Approved:
		return fmt.Errorf("%s: %s%s", stands, reason(err), v.comments())
	}
	return nil
}

// askUndo asks people to see to a call that could not be taken back.
func (r *run) askUndo(ctx *durable.Context, d doneCall, call models.ToolCall, cause error) (*Pending, error) {
	if durable.UnknownOutcome(cause) {
		return r.askOutcome(ctx, call, cause)
	}
	return Ask(ctx, Request{
		Kind: KindOutcome, Agent: r.agent.config.Name, Tool: call.Name, Arguments: call.Arguments,
		Question: fmt.Sprintf("%s was to take back a call of %s, and failed: %s. Approve once the call is taken back, reject if it stands.", call.Name, d.Tool, reason(cause)),
	})
}

// argumentsOf finds the arguments that a tool was called with.
func (r *run) argumentsOf(in toolInput) (string, error) {
	if in.Arguments != nil {
		return *in.Arguments, nil
	}
	m, err := memory.Message(r.ctx.Load, in.Message)
	if err != nil {
		return "", err
	}
	if in.Index < 0 || in.Index >= len(m.ToolCalls) {
		return "", fmt.Errorf("the message has no tool call %d", in.Index)
	}
	return cmp.Or(m.ToolCalls[in.Index].Arguments, "{}"), nil
}
