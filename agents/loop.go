package agents

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// bounds are those of an execution of a run, after which it continues as new, so that
// its history stays small however long it lasts.
type bounds struct {
	turns int
	calls int // of tools
}

// RunTag is the tag that holds the id of the run that an instance belongs to: the
// instance at the root of a tree of agents.
const RunTag = "agentrun.run"

// runInput is the input of an agent's orchestration.
type runInput struct {
	Input        string         `json:"input"`
	Images       []models.Image `json:"images,omitempty"`
	Conversation string         `json:"conversation,omitempty"` // "": one of its own
	overrides
	Values map[string]json.RawMessage `json:"values,omitempty"`
	State  *loopState                 `json:"state,omitempty"` // after continue-as-new
}

func (in *runInput) message() models.Message {
	m := models.UserMessage(in.Input)
	m.Images = in.Images
	return m
}

// loopState is what a run carries from one execution to the next.
type loopState struct {
	Manifest durable.Ref  `json:"manifest"`
	Input    durable.Ref  `json:"input,omitzero"` // the message that the run began with
	Head     memory.Head  `json:"head"`
	View     memory.View  `json:"view,omitzero"`   // what the model is told of it
	Values   durable.Ref  `json:"values,omitzero"` // of the run's state
	Repairs  int          `json:"repairs,omitempty"`
	Begun    time.Time    `json:"begun"`
	Result   Result       `json:"result"`
	Took     models.Usage `json:"took,omitzero"` // by the last turn
	Wishes   wishes       `json:"wishes,omitzero"`
	// Results are the long results that the model can read on in, the newest last.
	Results []durable.Ref `json:"results,omitempty"`
	// Done is the last call that can be taken back, a doneCall.
	Done durable.Ref `json:"done,omitzero"`
	// Unsaid are messages that people want to be in the conversation.
	Unsaid []durable.Ref `json:"unsaid,omitempty"`
	// Last says that the turn to come is the last one, without tools.
	Last bool `json:"last,omitempty"`
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
		return Result{}, ctx.ContinueAsNew(runInput{State: &r.state, Conversation: r.conversation})
	}
	if r.state.Begun.IsZero() { // it has no manifest
		return r.state.Result, err
	}
	err = r.ended(r.undoAll(r.keepUnsaid(err)))
	r.traceRun(r.state.Begun, err)
	return r.state.Result, err
}

// turns takes turns until the run is done, or wants to continue as new.
func (r *run) turns(in runInput) (again bool, err error) {
	if err := r.begin(in); err != nil {
		return false, err
	}
	for n := 1; ; n++ {
		done, err := r.next()
		if err != nil || done {
			return false, err
		}
		if n == r.agent.bounds.turns || r.calls >= r.agent.bounds.calls {
			return true, nil
		}
	}
}

// next takes a turn, if there is to be one more.
func (r *run) next() (done bool, err error) {
	if _, err := r.boundary(); err != nil {
		return false, err
	}
	switch w := r.state.Wishes; {
	case w.Stop && w.Summary:
		return true, r.summary(StopAsked)
	case w.Stop:
		return true, r.stopped(StopAsked)
	case r.state.Result.Turns >= r.manifest.MaxTurns:
		return true, r.maxTurns()
	}
	if done, err = r.turn(); err != nil || !done {
		return done, err
	}
	// What was said before the run's answer was recorded has not been answered.
	said, err := r.boundary()
	// A run that would fail for one more turn has its answer: it keeps that.
	spent := r.state.Result.Turns >= r.manifest.MaxTurns && r.manifest.OnMaxTurns == MaxTurnsFail
	return !said || spent || r.state.Result.Stop != "", err
}

// run is a run in one execution.
type run struct {
	ctx          *durable.Context
	agent        *Agent
	conversation string
	manifest     Manifest
	state        loopState
	calls        int // of tools, in this execution
	inputAt      int // where the input is in the conversation, if this is the first execution
}

// begin takes up the state of the last execution, or fixes the manifest and says
// what the user says.
func (r *run) begin(in runInput) (err error) {
	if in.State != nil {
		r.state = *in.State
		return r.loadManifest()
	}
	retry := *r.agent.config.Retry
	retry.Retry = nil // asked by the step, see there
	r.state.Manifest, err = durable.CallActivity[durable.Ref](r.ctx, manifestPrefix+r.agent.config.Name,
		manifestInput{in.overrides, ownTags(r.ctx.Tags())}, durable.WithRetry(retry))
	if err != nil {
		return err
	}
	if err := r.loadManifest(); err != nil {
		return err
	}
	r.state.Begun = r.ctx.Now()
	r.state.View = memory.View{Agent: r.manifest.Agent, Others: r.manifest.Others, Window: r.manifest.Window}
	if r.state.Values, err = r.storeValues(in.Values); err != nil {
		return err
	}
	if r.state.Input, err = r.store(in.message()); err != nil {
		return err
	}
	if err := r.started(); err != nil {
		return err
	}
	return r.hear(in)
}

func (r *run) loadManifest() (err error) {
	r.manifest, err = loadManifest(r.ctx.Load, r.state.Manifest)
	return err
}

// hear puts what the user says into the conversation, once it was checked.
func (r *run) hear(in runInput) error {
	g, err := r.guard(r.ctx, OnInput, guardInput{Message: r.state.Input}, false)
	switch {
	case err != nil:
		return err
	case g.blocked != "":
		return r.blocked(OnInput, g.blocked)
	case g.text != nil:
		m := in.message()
		m.Content = *g.text
		if r.state.Input, err = r.store(m); err != nil {
			return err
		}
	}
	if r.conversation != "" {
		err = r.append(r.state.Input)
	} else {
		err = r.beginConversation(r.state.Input)
	}
	r.inputAt = r.state.Head.Length - 1
	return err
}

func (r *run) storeValues(values map[string]json.RawMessage) (durable.Ref, error) {
	if len(values) == 0 {
		return durable.Ref{}, nil
	}
	b, err := encodeValues(values)
	if err != nil {
		return durable.Ref{}, err
	}
	return r.ctx.Store(b), nil
}

// beginConversation makes a conversation of the run's own. It has the run's id,
// unless an earlier instance of that id has used it: one that failed and was
// started again, by a retry, begins anew.
func (r *run) beginConversation(first durable.Ref) (err error) {
	r.conversation = r.ctx.InstanceID()
	r.state.Head, err = memory.Append.Call(r.ctx.WithoutCancel(), r.conversation, memory.Entry{Messages: []durable.Ref{first}, New: true})
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

// append adds messages of people, or of the program.
func (r *run) append(refs ...durable.Ref) error {
	return r.appendEntry(memory.Entry{Messages: refs})
}

// appendOwn adds messages of the agent: its answers, and the results of its calls.
func (r *run) appendOwn(refs ...durable.Ref) error {
	return r.appendEntry(memory.Entry{Messages: refs, Agent: r.agent.config.Name})
}

// appendEntry adds to the conversation. It is never cut off: whether it took place
// decides what comes next.
func (r *run) appendEntry(in memory.Entry) error {
	head, err := memory.Append.Call(r.ctx.WithoutCancel(), r.conversation, in)
	if err != nil {
		return err
	}
	if first := r.state.Head.First; head.Length < r.state.Head.Length+len(in.Messages) || !first.IsZero() && head.First != first {
		// Somebody deleted it, or its time to live did. What was said is gone, and this append
		// has begun another one, which must not stay. If others have written to that, it is
		// theirs.
		if len(in.Messages) > 0 {
			_, _ = memory.Delete.Call(r.ctx.WithoutCancel(), r.conversation, memory.Deletion{Version: 1})
		}
		return durable.NonRetriable(fmt.Errorf("conversation %s was deleted while the run was under way", r.conversation))
	}
	r.state.Head = head
	return nil
}
