package agents

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// ErrMaxTurns is the text of the failure of a run that used up its turns.
var ErrMaxTurns = errors.New("the agent used up its turns")

// Bounds of a run.
const (
	// turnsPerExecution is after how many turns a run continues as new, so that its
	// history stays small however long it lasts.
	turnsPerExecution = 100
	// maxRepairs bounds how often a structured answer is sent back.
	maxRepairs = 2
)

// RunTag is the tag that holds the id of the run that an instance belongs to: the
// instance at the root of a tree of agents.
const RunTag = "agentrun.run"

// runInput is the input of an agent's orchestration.
type runInput struct {
	Input        string               `json:"input"`
	Conversation string               `json:"conversation,omitempty"` // "": one of its own
	Output       *models.OutputSchema `json:"output,omitempty"`
	State        *loopState           `json:"state,omitempty"` // after continue-as-new
}

// loopState is what a run carries from one execution to the next.
type loopState struct {
	Manifest durable.Ref `json:"manifest"`
	Head     memory.Head `json:"head"`
	Repairs  int         `json:"repairs,omitempty"`
	Begun    time.Time   `json:"begun"`
	Result   Result      `json:"result"`
}

// CallOption changes one run of an agent.
type CallOption func(*callOptions)

type callOptions struct {
	conversation string
	output       *Output
	durable      []durable.CallOption
}

// InConversation lets the run go on with a conversation, which others may share,
// instead of one of its own.
func InConversation(id string) CallOption { return func(o *callOptions) { o.conversation = id } }

// WithOutput asks for another structured output than the agent's.
func WithOutput(out *Output) CallOption { return func(o *callOptions) { o.output = out } }

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
	in := runInput{Conversation: o.conversation, Output: o.output.schema()}
	switch v := input.(type) {
	case string:
		in.Input = v
	default:
		b, err := json.Marshal(v)
		if err != nil {
			return in, nil, fmt.Errorf("the agent's input: %w", err)
		}
		in.Input = string(b)
	}
	return in, o.durable, nil
}

// Call runs the agent, as a child of the orchestration, and waits for its result.
// The input is what the user says: text, or a value that becomes JSON.
func (a *Agent) Call(ctx *durable.Context, input any, opts ...CallOption) (Result, error) {
	return a.Start(ctx, input, opts...).Await()
}

// Start runs the agent beside what follows.
func (a *Agent) Start(ctx *durable.Context, input any, opts ...CallOption) *durable.Task[Result] {
	in, call, err := prepare(input, opts)
	if err != nil {
		return durable.FailedTask[Result](ctx, err)
	}
	run := ctx.Tags()[RunTag]
	if run == "" {
		run = ctx.InstanceID()
	}
	call = append([]durable.CallOption{durable.WithTags(map[string]string{RunTag: run})}, call...)
	return a.run.Start(ctx, in, call...)
}

// loop is a run of the agent: turn by turn until its model asks for nothing more.
// It holds references to messages, never the conversation.
func (a *Agent) loop(ctx *durable.Context, in runInput) (Result, error) {
	r := &run{ctx: ctx, agent: a, conversation: in.Conversation}
	again, err := r.turns(in)
	if again {
		in.State, in.Conversation = &r.state, r.conversation
		return Result{}, ctx.ContinueAsNew(in)
	}
	r.traceRun(r.state.Begun, err)
	return r.state.Result, err
}

// turns takes turns until the run is done, or wants to continue as new.
func (r *run) turns(in runInput) (again bool, err error) {
	if err := r.begin(in); err != nil {
		return false, err
	}
	c := &r.agent.config
	for n := 1; ; n++ {
		if r.state.Result.Turns == c.MaxTurns {
			return false, durable.NonRetriable(fmt.Errorf("%w: agent %s may take %d", ErrMaxTurns, c.Name, c.MaxTurns))
		}
		if done, err := r.turn(); err != nil || done {
			return false, err
		}
		if n == turnsPerExecution {
			return true, nil
		}
	}
}

// run is a run in one execution.
type run struct {
	ctx          *durable.Context
	agent        *Agent
	conversation string
	state        loopState
	edited       map[int]*string // arguments that people put in the place of a call's, in this turn
}

// begin takes up the state of the last execution, or fixes the manifest and says
// what the user says.
func (r *run) begin(in runInput) (err error) {
	if in.State != nil {
		r.state = *in.State
		return nil
	}
	r.state.Begun = r.ctx.Now()
	r.state.Manifest, err = durable.CallActivity[durable.Ref](r.ctx, "manifest:"+r.agent.config.Name,
		manifestInput{in.Output, ownTags(r.ctx.Tags())})
	if err != nil {
		return err
	}
	if r.conversation != "" {
		return r.say(models.UserMessage(in.Input))
	}
	ref, err := r.store(models.UserMessage(in.Input))
	if err != nil {
		return err
	}
	return r.beginConversation(ref)
}

// beginConversation makes a conversation of the run's own. It has the run's id,
// unless an earlier instance of that id has used it: one that failed and was
// started again, by a retry, begins anew.
func (r *run) beginConversation(first durable.Ref) (err error) {
	r.conversation = r.ctx.InstanceID()
	r.state.Head, err = memory.Append.Call(r.ctx, r.conversation, memory.Entry{Messages: []durable.Ref{first}, New: true})
	if err != nil {
		r.conversation = r.ctx.ExecutionID()
		err = r.append(first)
	}
	return err
}

// say appends a message that the run itself writes.
func (r *run) say(m models.Message) error {
	ref, err := r.store(m)
	if err != nil {
		return err
	}
	return r.append(ref)
}

func (r *run) store(m models.Message) (durable.Ref, error) {
	b, err := memory.Encode(m)
	if err != nil {
		return durable.Ref{}, err
	}
	return r.ctx.Store(b), nil
}

func (r *run) append(refs ...durable.Ref) (err error) {
	r.state.Head, err = memory.Append.Call(r.ctx, r.conversation, memory.Entry{Messages: refs})
	return err
}

// turn asks the model once and does what it asks for.
func (r *run) turn() (done bool, err error) {
	res := &r.state.Result
	ans, err := durable.CallActivity[chatAnswer](r.ctx, "chat:"+r.agent.config.Name,
		chatInput{Manifest: r.state.Manifest, Head: r.state.Head, Turn: res.Turns + 1}, durable.WithRetry(*r.agent.config.Retry))
	if err != nil {
		return false, err
	}
	res.Turns++
	res.Usage = res.Usage.Add(ans.Usage)
	msg, err := memory.Message(r.ctx.Load, ans.Message)
	if err != nil {
		return false, err
	}
	if len(ans.Calls) == 0 {
		return r.answer(ans, msg)
	}
	results, stop, err := r.callTools(ans, msg)
	if err != nil {
		return false, err
	}
	res.ToolCalls += len(results)
	if err := r.append(append([]durable.Ref{ans.Message}, results...)...); err != nil {
		return false, err
	}
	if ans.Finish == models.FinishContentFilter {
		return false, r.withheld()
	}
	return false, stop
}

// withheld is the failure of a run whose model was kept from answering.
func (r *run) withheld() error {
	return durable.NonRetriable(fmt.Errorf("agent %s: the model's answer was withheld by a content filter", r.agent.config.Name))
}

// answer takes a message without calls: the end, unless it is a structured answer
// that does not fit.
func (r *run) answer(ans chatAnswer, msg models.Message) (done bool, err error) {
	empty := strings.TrimSpace(msg.Content) == "" // models refuse such a message in a conversation
	if !empty {
		if err := r.append(ans.Message); err != nil {
			return false, err
		}
	}
	switch {
	case ans.Finish == models.FinishContentFilter:
		return false, r.withheld()
	case empty:
		return false, durable.NonRetriable(fmt.Errorf("agent %s: the model's answer was cut off at the token limit before any text: allow it more tokens", r.agent.config.Name))
	case ans.Problem == "":
		r.state.Result.Text, r.state.Result.Cut = msg.Content, ans.Finish == models.FinishLength
		return true, nil
	case r.state.Repairs == maxRepairs:
		return false, durable.NonRetriable(fmt.Errorf("agent %s: after %d corrections the answer still does not fit: %s", r.agent.config.Name, maxRepairs, ans.Problem))
	}
	r.state.Repairs++
	return false, r.say(models.UserMessage(ans.Problem))
}
