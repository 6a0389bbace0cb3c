package agents

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/internal/crashpoint"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// chatInput is the input of a model turn. It holds references only, so its size
// does not depend on the conversation's.
type chatInput struct {
	Manifest durable.Ref `json:"manifest"`
	Head     memory.Head `json:"head"`
	View     memory.View `json:"view,omitzero"`
	Turn     int         `json:"turn"` // from 1
	// Instructions and Tools are in the place of the manifest's, see beforeAnswer.
	Instructions durable.Ref `json:"instructions,omitzero"`
	Tools        *[]string   `json:"tools,omitempty"`
	// Free lets the model choose, whatever the manifest's ToolChoice.
	Free bool `json:"free,omitempty"`
	// Results lets the model read on in results that it was shown the beginning of.
	Results bool `json:"results,omitempty"`
	// Last leaves the model no tools: it has to answer.
	Last bool `json:"last,omitempty"`
}

// chatAnswer is what is recorded of a model turn.
type chatAnswer struct {
	Message durable.Ref         `json:"message"`
	Finish  models.FinishReason `json:"finish"`
	Usage   models.Usage        `json:"usage"`
	Model   string              `json:"model,omitempty"` // that really answered, as its provider says
	// Answered is its name in a chain of models, and Tried those that failed before it.
	Answered string         `json:"answered,omitempty"`
	Tried    []models.Tried `json:"tried,omitempty"`
	Cached   bool           `json:"cached,omitempty"`
	// Cost is nil where nobody counts, and unknown where Unpriced is set.
	Cost     *models.Money `json:"cost,omitempty"`
	Unpriced bool          `json:"unpriced,omitempty"`
	// Calls are the message's tool calls, in order: what was found out about each
	// by the code that ran then. A replay keeps to it.
	Calls []checkedCall `json:"calls,omitempty"`
	// Problem says what is wrong with a structured answer, for the model.
	Problem string `json:"problem,omitempty"`
	// Manifest is the one that was adopted in this turn; zero: the run's still holds.
	Manifest durable.Ref `json:"manifest,omitzero"`
}

// checkedCall is a tool call that was looked at before anything is done about it.
type checkedCall struct {
	Tool string `json:"tool"`
	// Problem, where set, is the answer to the call: it cannot be made.
	Problem string `json:"problem,omitempty"`
	// Approval, where set, is what the call waits for.
	Approval *tools.Approval `json:"approval,omitempty"`
	// Child is the orchestration that the call is a run of, and Toolset whose the
	// tool is, with the effect that it has: these are no activities of their own.
	Child   string        `json:"child,omitempty"`
	Read    bool          `json:"read,omitempty"` // it is the agent's own readTool
	Toolset string        `json:"toolset,omitempty"`
	Effect  *tools.Effect `json:"effect,omitempty"`
	Undo    *undoCall     `json:"undo,omitempty"` // how to take it back, where the run would
}

// chatActivity is one turn of the agent's model. It changes nothing in the world,
// so a crash may repeat it as long as its answer is not on disk.
func (a *Agent) chatActivity(o *Options) durable.Definition {
	return step(a, chatPrefix+a.config.Name, func(ctx context.Context, in chatInput) (chatAnswer, error) {
		load := func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }
		m, err := loadManifest(load, in.Manifest)
		if err != nil {
			return chatAnswer{}, err
		}
		if o.Models == nil {
			return chatAnswer{}, durable.NonRetriable(fmt.Errorf("agent %s: this program has no models: set Options.Models", m.Agent))
		}
		model, err := o.Models(context.WithValue(ctx, tagsKey{}, m.Tags), m.Model)
		if err != nil {
			return chatAnswer{}, durable.NonRetriable(fmt.Errorf("agent %s: %w", m.Agent, err))
		}
		m, adopted, err := a.deployed(ctx, o, m)
		if err != nil {
			return chatAnswer{}, err
		}
		req, err := request(load, m, in)
		if err != nil {
			return chatAnswer{}, err
		}
		if err := a.fits(m, req); err != nil {
			return chatAnswer{}, err
		}
		resp, err := o.ask(ctx, a.hooks(o), model, req, in.Turn)
		if err != nil {
			return chatAnswer{}, a.modelFailure(m, req, err)
		}
		ans, err := a.record(ctx, m, in, resp)
		ans.Manifest = adopted
		o.price(&ans, m.Model, resp)
		return ans, err
	}, durable.Costly())
}

// price notes what a turn cost.
func (o *Options) price(ans *chatAnswer, model string, resp *models.Response) {
	if o.Prices == nil {
		return
	}
	cost, err := o.Prices.CostOf(model, resp)
	if err != nil {
		ans.Unpriced = true
		return
	}
	ans.Cost = &cost
}

// request makes what the model is told.
func request(load memory.Loader, m Manifest, in chatInput) (*models.Request, error) {
	req := &models.Request{Model: m.Model, Agent: m.Agent, Params: m.Params, Output: m.Output}
	instructions := m.Instructions
	if !in.Instructions.IsZero() {
		b, err := load(in.Instructions)
		if err != nil {
			return nil, fmt.Errorf("instructions: %w", err)
		}
		instructions = string(b)
	}
	if instructions != "" {
		req.Messages = append(req.Messages, models.SystemMessage(instructions))
	}
	for _, t := range m.Tools {
		if !in.Last && (in.Tools == nil || slices.Contains(*in.Tools, t.Name)) {
			req.Tools = append(req.Tools, t.ToolSpec)
		}
	}
	if in.Results && !in.Last && m.tool(readTool) == nil {
		req.Tools = append(req.Tools, readResult)
	}
	choose(req, m, in)
	told, err := in.View.Read(load, in.Head)
	req.Messages = append(req.Messages, told...)
	return req, err
}

// choose settles what a request says about tools: a choice that names a tool which is
// not offered would be refused by every provider.
func choose(req *models.Request, m Manifest, in chatInput) {
	p := &req.Params
	if m.Sequential && p.ParallelToolCalls == nil && len(req.Tools) > 0 {
		p.ParallelToolCalls = new(bool)
	}
	forced := p.ToolChoice != "" && p.ToolChoice != models.ToolChoiceAuto && p.ToolChoice != models.ToolChoiceNone
	named := forced && p.ToolChoice != models.ToolChoiceRequired
	offered := slices.ContainsFunc(req.Tools, func(t models.ToolSpec) bool { return t.Name == p.ToolChoice })
	if forced && (in.Free || len(req.Tools) == 0) || named && !offered {
		p.ToolChoice = ""
	}
}

// ask streams one answer, with its span, its hooks and its deltas.
func (o *Options) ask(ctx context.Context, hooks chain, model models.Model, req *models.Request, turn int) (*models.Response, error) {
	resp, err := hooks.beforeModel(ctx, req)
	if err != nil {
		return nil, err
	}
	if resp == nil {
		witness(ctx, "chat", req.Agent)
		ctx, end := startChatSpan(ctx, req)
		resp, err = o.stream(ctx, model, req, turn)
		end(resp, err)
		if err != nil {
			return nil, err
		}
	}
	return resp, hooks.afterModel(ctx, req, resp)
}

// witness notes, in test builds, that a model or tool is about to be called.
func witness(ctx context.Context, what, name string) {
	if info, ok := durable.Info(ctx); ok {
		crashpoint.Witness(what, name, fmt.Sprintf("%s/%s/%d", info.Instance, info.Execution, info.Task))
	}
}

func (o *Options) stream(ctx context.Context, model models.Model, req *models.Request, turn int) (*models.Response, error) {
	t := o.newTry(ctx, req.Agent, turn)
	for ev, err := range models.Checked(model.Generate(ctx, req)) {
		switch {
		case err != nil:
			t.superseded(err)
			return nil, err
		case ev.Superseded != nil: // another model of a chain begins anew
			t.superseded(errors.New(ev.Superseded.Message))
			t = o.newTry(ctx, req.Agent, turn)
		case ev.Response != nil:
			return ev.Response, nil
		case ev.Delta != "":
			t.delta(ev.Delta)
		}
	}
	err := errors.New("the model's stream ended without an answer")
	t.superseded(err)
	return nil, err
}

// record stores the answer and looks at what it asks for.
func (a *Agent) record(ctx context.Context, m Manifest, in chatInput, resp *models.Response) (chatAnswer, error) {
	msg := resp.Message
	for i := range msg.ToolCalls {
		msg.ToolCalls[i].Arguments = strings.ToValidUTF8(msg.ToolCalls[i].Arguments, "\uFFFD")
	}
	b, err := memory.Encode(msg)
	if err != nil {
		return chatAnswer{}, err
	}
	ref, err := durable.Store(ctx, b)
	if err != nil {
		return chatAnswer{}, err
	}
	ans := chatAnswer{
		Message: ref, Finish: resp.Finish, Usage: resp.Usage, Model: resp.Model,
		Answered: resp.Answered, Tried: resp.Tried, Cached: resp.Cached,
	}
	for _, call := range msg.ToolCalls {
		c := checkedCall{Tool: call.Name}
		switch {
		case in.Last:
			c.Problem = "no tools can be called any more: answer with what you have"
		case in.Tools != nil && m.tool(call.Name) != nil && !slices.Contains(*in.Tools, call.Name):
			c.Problem = "this tool cannot be called now"
		case in.Results && call.Name == readTool && m.tool(readTool) == nil:
			c.Read = true
		default:
			c, err = a.check(ctx, m, call, resp.Finish)
		}
		if err != nil {
			return chatAnswer{}, err
		}
		ans.Calls = append(ans.Calls, c)
	}
	if len(msg.ToolCalls) == 0 && m.Output != nil {
		ans.Problem, err = checkOutput(m.Output, msg.Content)
	}
	return ans, err
}

// check finds out whether a call can be made, and what it needs.
func (a *Agent) check(ctx context.Context, m Manifest, call models.ToolCall, finish models.FinishReason) (checkedCall, error) {
	c := checkedCall{Tool: call.Name}
	if finish == models.FinishContentFilter {
		c.Problem = "the answer was withheld by a content filter: the call was not made"
		return c, nil
	}
	spec := m.tool(call.Name)
	if spec == nil {
		c.Problem = unknownTool(call.Name, m.Tools)
		return c, nil
	}
	t, err := a.find(ctx, call.Name, spec.Toolset)
	switch {
	case errors.Is(err, errNoTool) && spec.Toolset != "":
		c.Problem = "this tool is not there any more"
		return c, nil
	case err != nil && spec.Toolset != "" && ctx.Err() == nil: // the answer counts, and the set may come back
		c.Problem = "the call was not made: " + err.Error()
		return c, nil
	case err != nil:
		return c, err
	}
	err = t.Validate(call.Arguments)
	// An object that is whole is not the beginning of another one, but no arguments
	// at all may be that of any.
	if finish == models.FinishLength && (err != nil || strings.TrimSpace(call.Arguments) == "") {
		c.Problem = "the answer was cut off at the token limit, in the middle of this call: make it shorter"
		return c, nil
	}
	if err != nil {
		c.Problem = err.Error()
		return c, nil
	}
	c.Approval, c.Undo = t.Approval(), a.undoOf(m, t)
	if of := childOf(t); of != nil && spec.Toolset == "" {
		c.Child = of.name
	}
	if c.Toolset = spec.Toolset; c.Toolset != "" {
		e := spec.Effect // as the run knows it: a server must not make a tool repeatable in the middle
		if !t.Effect().Repeatable() {
			e = t.Effect() // but it may say that it is not any more
		}
		c.Effect = &e
	}
	return c, nil
}

func unknownTool(name string, have []ManifestTool) string {
	names := make([]string, len(have))
	for i, t := range have {
		names[i] = t.Name
	}
	if len(names) == 0 {
		return fmt.Sprintf("there is no tool %q, and no other", name)
	}
	return fmt.Sprintf("there is no tool %q; there are: %s", name, strings.Join(names, ", "))
}

// checkOutput says what is wrong with a structured answer; "" if nothing is.
func checkOutput(want *models.OutputSchema, text string) (string, error) {
	o, err := OutputSchema(want.Schema)
	if err != nil {
		return "", durable.NonRetriable(fmt.Errorf("the schema of the output: %w", err))
	}
	var bad *tools.ArgumentError
	if err := o.shape.Validate(text); errors.As(err, &bad) {
		return "The answer must be JSON of the given schema: " + strings.Join(bad.Problems, "; "), nil
	} else if err != nil {
		return "", err
	}
	return "", nil
}

// Delta is a piece of a model's answer as it comes. It is provisional: the answer
// counts once its turn is committed. When a turn is tried again, its deltas begin
// anew at offset 0 with another Try, and those before are void.
type Delta struct {
	Instance string // the agent's run
	Agent    string
	Turn     int
	Attempt  int
	Try      string // names the stream of text
	Offset   int    // bytes of this try's text before Text
	Text     string
}
