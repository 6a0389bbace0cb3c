package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// Checkpoint is a place where guardrails check.
type Checkpoint string

// Places to check.
const (
	OnInput     Checkpoint = "input"     // what the user said, before the first turn or by Say
	OnArguments Checkpoint = "arguments" // of a tool call that fits its schema, before anybody is asked to approve it
	OnOutput    Checkpoint = "output"    // the run's answer; its model's before it is in the conversation
)

// Guardrail checks what goes into an agent, into its tools, or comes out. Each check
// is a step of its own: what it found is recorded, and not asked for again.
//
// Whoever follows a run sees what its model writes as it comes, before a guardrail
// OnOutput has checked it. [Result].Text and the conversation have what passed.
type Guardrail struct {
	// Name is what histories and people are told: letters, digits, "-" and "_", at
	// most 64; unique within the agent.
	Name string
	On   Checkpoint
	// Tools leaves a guardrail OnArguments only the calls of these; nil: of all tools.
	Tools []string
	// Beside lets one OnInput check while the model is asked for its first turn, of
	// which nothing is kept or done until the check has passed. Such a guardrail
	// cannot rewrite: the model has read the input already. Input that does not pass is
	// redacted in the conversation.
	Beside bool
	// Check decides. It may be called more than once for the same thing, and from many
	// goroutines. An error is tried again as a model call is ([Config].Retry); if it
	// stays, the run fails: what was not checked does not pass.
	Check func(ctx context.Context, in GuardInput) (Verdict, error)
}

// GuardInput is what a guardrail checks.
type GuardInput struct {
	Agent string
	Run   string // the run at the root
	// Text is the input, the answer, or a call's arguments as JSON.
	Text string
	Tool string // of OnArguments
}

// Verdict is what a guardrail has found. The zero value lets pass.
type Verdict struct {
	Action VerdictAction `json:"action,omitempty"`
	// Text is the reason of a block, the question to people, or what to go on with.
	Text string `json:"text,omitempty"`
}

// VerdictAction says what a [Verdict] does; "" lets pass.
type VerdictAction string

// What [Block], [Rewrite] and [AskPerson] do.
const (
	VerdictBlock   VerdictAction = "block"
	VerdictRewrite VerdictAction = "rewrite"
	VerdictAsk     VerdictAction = "ask"
)

// Allow lets pass.
func Allow() Verdict { return Verdict{} }

// Block stops: a run fails with [ErrBlocked], and a call is not made, of which the
// model is told the reason.
func Block(reason string) Verdict { return Verdict{VerdictBlock, reason} }

// Rewrite goes on with other text. What was there before is only in the history.
// Rewritten arguments must fit the tool, a structured answer its schema, and neither
// input nor answer may become empty.
func Rewrite(text string) Verdict { return Verdict{VerdictRewrite, text} }

// AskPerson lets people decide, as they do about approvals: it passes when they
// approve, and is blocked otherwise.
func AskPerson(question string) Verdict { return Verdict{VerdictAsk, question} }

// ErrBlocked is wrapped by the failure of a run that a guardrail stopped.
var ErrBlocked = errors.New("a guardrail blocked the run")

// ManifestGuardrail is a guardrail as a run knows it.
type ManifestGuardrail struct {
	Name   string     `json:"name"`
	On     Checkpoint `json:"on"`
	Tools  []string   `json:"tools,omitempty"`
	Beside bool       `json:"beside,omitempty"`
}

func (g *Guardrail) manifest() ManifestGuardrail {
	return ManifestGuardrail{g.Name, g.On, g.Tools, g.Beside}
}

func (g *ManifestGuardrail) covers(on Checkpoint, tool string) bool {
	return g.On == on && (on != OnArguments || len(g.Tools) == 0 || slices.Contains(g.Tools, tool))
}

func indexGuardrails(list []Guardrail) (map[string]*Guardrail, error) {
	index := map[string]*Guardrail{}
	for i := range list {
		g := &list[i]
		switch {
		case !validName.MatchString(g.Name):
			return nil, fmt.Errorf("guardrail name %q: use letters, digits, - and _, at most 64", g.Name)
		case index[g.Name] != nil:
			return nil, fmt.Errorf("two of its guardrails are named %q", g.Name)
		case !slices.Contains([]Checkpoint{OnInput, OnArguments, OnOutput}, g.On):
			return nil, fmt.Errorf("guardrail %s is on %q: use input, arguments or output", g.Name, g.On)
		case g.Check == nil:
			return nil, fmt.Errorf("guardrail %s has no Check", g.Name)
		case g.Beside && g.On != OnInput:
			return nil, fmt.Errorf("guardrail %s is beside the turn: only one on the input can be", g.Name)
		case len(g.Tools) > 0 && g.On != OnArguments:
			return nil, fmt.Errorf("guardrail %s names tools: only one on arguments does", g.Name)
		}
		index[g.Name] = g
	}
	return index, nil
}

// guardInput is the input of a guardrail's activity: where the text is.
type guardInput struct {
	Guardrail string      `json:"guardrail"`
	Run       string      `json:"run"`
	Message   durable.Ref `json:"message"` // its content; with Tool, the arguments of its call Index
	Tool      string      `json:"tool,omitempty"`
	Toolset   string      `json:"toolset,omitempty"`
	Index     int         `json:"index,omitempty"`
	// Text is what an earlier guardrail put in the place of that.
	Text *string `json:"text,omitempty"`
	// Output is what the answer has to fit.
	Output *models.OutputSchema `json:"output,omitempty"`
}

func (a *Agent) guardActivity() durable.Definition {
	return step(a, guardPrefix+a.config.Name, func(ctx context.Context, in guardInput) (Verdict, error) {
		g := a.guards[in.Guardrail]
		switch {
		case g == nil && a.config.OnDeploy == Adopt:
			return Allow(), nil // the run is about to adopt a manifest without it
		case g == nil:
			return Verdict{}, durable.NonRetriable(a.lost("guardrail " + in.Guardrail))
		}
		text, err := in.text(func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) })
		if err != nil {
			return Verdict{}, err
		}
		v, err := g.Check(ctx, GuardInput{Agent: a.config.Name, Run: in.Run, Text: text, Tool: in.Tool})
		if err != nil {
			return Verdict{}, fmt.Errorf("guardrail %s: %w", g.Name, err)
		}
		if v.Action == VerdictRewrite {
			err = a.checkRewrite(ctx, g, in, v.Text)
		}
		return v, err
	}, durable.Costly())
}

// checkRewrite says what is wrong with what a guardrail wants to go on with.
func (a *Agent) checkRewrite(ctx context.Context, g *Guardrail, in guardInput, text string) error {
	switch {
	case g.Beside:
		return durable.NonRetriable(fmt.Errorf("guardrail %s is beside the turn, so it cannot rewrite the input", g.Name))
	case in.Tool != "":
		t, err := a.find(ctx, in.Tool, in.Toolset)
		if err != nil {
			return err
		}
		if err := t.Validate(text); err != nil {
			return durable.NonRetriable(fmt.Errorf("guardrail %s rewrote the arguments: %w", g.Name, err))
		}
	case strings.TrimSpace(text) == "":
		return durable.NonRetriable(fmt.Errorf("guardrail %s left nothing of the %s: what must not pass is blocked", g.Name, g.On))
	case in.Output != nil:
		problem, err := checkOutput(in.Output, text)
		if err != nil {
			return err
		}
		if problem != "" {
			return durable.NonRetriable(fmt.Errorf("guardrail %s rewrote the answer: %s", g.Name, problem))
		}
	}
	return nil
}

func (in guardInput) text(load memory.Loader) (string, error) {
	if in.Text != nil {
		return *in.Text, nil
	}
	m, err := memory.Message(load, in.Message)
	switch {
	case err != nil:
		return "", err
	case in.Tool == "":
		return m.Content, nil
	case in.Index < 0 || in.Index >= len(m.ToolCalls):
		return "", durable.NonRetriable(fmt.Errorf("the message has no tool call %d", in.Index))
	}
	return m.ToolCalls[in.Index].Arguments, nil
}

// besideInput reports whether a guardrail checks beside the first turn.
func (m *Manifest) besideInput() bool {
	return slices.ContainsFunc(m.Guardrails, func(g ManifestGuardrail) bool { return g.Beside })
}

// guarded is what guardrails made of a text.
type guarded struct {
	text    *string // in the place of the original; nil: that
	blocked string  // why, with the guardrail's name; "": it passed
}

// guard runs the guardrails of a checkpoint, one after the other, each on what the
// one before it left. beside are those of the other kind.
func (r *run) guard(ctx *durable.Context, on Checkpoint, in guardInput, beside bool) (out guarded, err error) {
	in.Run = r.runID()
	for _, g := range r.manifest.Guardrails {
		if !g.covers(on, in.Tool) || g.Beside != beside {
			continue
		}
		in.Guardrail = g.Name
		if out.text != nil {
			in.Text = out.text
		}
		v, err := durable.CallActivity[Verdict](ctx, guardPrefix+r.agent.config.Name, in, r.retry())
		if err != nil {
			return out, err
		}
		switch v.Action {
		case VerdictRewrite:
			out.text = &v.Text
		case VerdictBlock:
			out.blocked = g.Name + ": " + v.Text
			return out, nil
		case VerdictAsk:
			if out.blocked, err = r.askGuard(ctx, g, in, v.Text); err != nil || out.blocked != "" {
				return out, err
			}
		}
	}
	return out, nil
}

// askGuard lets people decide what a guardrail left open.
func (r *run) askGuard(ctx *durable.Context, g ManifestGuardrail, in guardInput, question string) (blocked string, err error) {
	req := Request{Kind: KindGuardrail, Agent: r.agent.config.Name, Tool: in.Tool, Question: question}
	if in.Tool != "" {
		if req.Arguments, err = in.text(ctx.Load); err != nil {
			return "", err
		}
	}
	p, err := Ask(ctx, req)
	if err != nil {
		return "", err
	}
	v, err := p.Await(ctx)
	if err != nil || v.Status == Approved {
		return "", err
	}
	return g.Name + ": " + v.refusal(), nil
}

// blocked is the failure of a run that a guardrail stopped.
func (r *run) blocked(on Checkpoint, why string) error {
	return durable.NonRetriable(fmt.Errorf("agent %s: %w on its %s: guardrail %s", r.agent.config.Name, ErrBlocked, on, why))
}

// guardSaid checks what was said to the run under way, and gives the message to keep.
func (r *run) guardSaid(ref durable.Ref) (durable.Ref, error) {
	in := guardInput{Message: ref}
	for _, beside := range []bool{false, true} {
		g, err := r.guard(r.ctx, OnInput, in, beside)
		switch {
		case err != nil:
			return ref, err
		case g.blocked != "":
			return ref, r.blocked(OnInput, g.blocked)
		case g.text != nil:
			in.Text = g.text
		}
	}
	if in.Text == nil {
		return ref, nil
	}
	msg, err := memory.Message(r.ctx.Load, ref)
	if err != nil {
		return ref, err
	}
	msg.Content = *in.Text
	return r.store(msg)
}

// end ends the run with a text that its model has not given as its answer.
func (r *run) end(text string, why StopReason) error {
	if text != "" {
		out, err := r.guard(r.ctx, OnOutput, guardInput{Text: &text}, false)
		switch {
		case err != nil:
			return err
		case out.blocked != "":
			return r.blocked(OnOutput, out.blocked)
		case out.text != nil:
			text = *out.text
		}
	}
	r.state.Result.Text, r.state.Result.Stop = text, why
	return nil
}

// guardOutput checks the run's answer, and gives the message to keep.
func (r *run) guardOutput(ref durable.Ref, msg models.Message) (durable.Ref, models.Message, error) {
	out, err := r.guard(r.ctx, OnOutput, guardInput{Message: ref, Output: r.manifest.Output}, false)
	switch {
	case err != nil:
		return ref, msg, err
	case out.blocked != "":
		return ref, msg, r.blocked(OnOutput, out.blocked)
	case out.text == nil:
		return ref, msg, nil
	}
	msg.Content = *out.text
	ref, err = r.store(msg)
	return ref, msg, err
}
