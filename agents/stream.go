package agents

import (
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// EventKind says what an [Event] tells.
type EventKind string

// Kinds of events. All but EventDelta tell of what is on disk.
const (
	EventAgent    EventKind = "agent"     // an agent began: Input is what it was given
	EventTurn     EventKind = "turn"      // a model was asked
	EventDelta    EventKind = "delta"     // Text came, provisionally, at Offset of this Attempt
	EventAnswer   EventKind = "answer"    // the model's answer is recorded: the turn's end
	EventTool     EventKind = "tool"      // a tool call was scheduled
	EventResult   EventKind = "result"    // its result is recorded
	EventApproval EventKind = "approval"  // people are asked: Approval is the request's id
	EventDecided  EventKind = "decided"   // the request is settled
	EventAgentEnd EventKind = "agent-end" // an agent ended
	EventEnd      EventKind = "end"       // the run ended: Result holds its output
)

// Event is something that happened in a run.
type Event struct {
	Kind     EventKind `json:"kind"`
	Time     time.Time `json:"time"`
	Instance string    `json:"instance"` // the orchestration in which it happened
	Agent    string    `json:"agent,omitempty"`
	Turn     int       `json:"turn,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Offset   int       `json:"offset,omitempty"`
	Text     string    `json:"text,omitempty"`
	Tool     string    `json:"tool,omitempty"`
	Approval string    `json:"approval,omitempty"`
	Error    string    `json:"error,omitempty"`
	Result   *Result   `json:"result,omitempty"`
}

// Stream brings what happens in a runtime to those who follow runs. Give its
// methods to the runtime's options; [Open] does. It is safe for concurrent use,
// and never holds the runtime up: who reads slowly has a longer queue.
type Stream struct {
	mu        sync.Mutex
	followers map[*Follower]bool
	scheduled map[string]map[int32]*history.Event // what was started and not answered, by execution
}

// NewStream makes a stream that nobody follows.
func NewStream() *Stream {
	return &Stream{followers: map[*Follower]bool{}, scheduled: map[string]map[int32]*history.Event{}}
}

// Follower is a queue of the events of one run.
type Follower struct {
	stream *Stream
	ready  chan struct{}

	mu        sync.Mutex
	instances map[string]bool
	queue     []Event
}

// Follow queues the events of an instance and of its descendants from now on, as
// far as they are found: those that exist already are named by more.
func (s *Stream) Follow(root string, more ...string) *Follower {
	f := &Follower{stream: s, ready: make(chan struct{}, 1), instances: map[string]bool{root: true}}
	for _, id := range more {
		f.instances[id] = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.followers[f] = true
	return f
}

// Stop ends the following.
func (f *Follower) Stop() {
	f.stream.mu.Lock()
	defer f.stream.mu.Unlock()
	delete(f.stream.followers, f)
}

// Ready gets a value when there may be something to Take.
func (f *Follower) Ready() <-chan struct{} { return f.ready }

// Take empties the queue.
func (f *Follower) Take() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	q := f.queue
	f.queue = nil
	return q
}

func (f *Follower) put(child string, evs ...Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(evs) == 0 || !f.instances[evs[0].Instance] {
		return
	}
	if child != "" {
		f.instances[child] = true
	}
	f.queue = append(f.queue, evs...)
	select {
	case f.ready <- struct{}{}:
	default:
	}
}

// OnDelta takes a piece of text, see [Options.OnDelta].
func (s *Stream) OnDelta(d Delta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for f := range s.followers {
		f.put("", Event{Kind: EventDelta, Time: time.Now().UTC(), Instance: d.Instance, Agent: d.Agent, Turn: d.Turn, Attempt: d.Attempt, Offset: d.Offset, Text: d.Text})
	}
}

// OnTurn takes what was committed, see durable.Options.OnTurn.
func (s *Stream) OnTurn(r durable.Recorded) {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := s.scheduled[r.Instance.Execution]
	if open == nil {
		open = map[int32]*history.Event{}
		s.scheduled[r.Instance.Execution] = open
	}
	for _, ev := range r.Events {
		out := Event{Time: ev.Time, Instance: r.Instance.ID}
		child := ""
		switch ev.Kind {
		case history.ExecutionStarted:
			if name, ok := strings.CutPrefix(r.Name, agentPrefix); ok && ev.Parent == nil {
				out.Kind, out.Agent = EventAgent, name
			}
		case history.TaskScheduled, history.ChildCreated, history.EntityOperationCalled:
			open[ev.ID] = ev
			child = started(&out, ev)
		case history.EntityOperationCompleted, history.EntityOperationFailed:
			for id, was := range open {
				if was.Kind == history.EntityOperationCalled && was.Request == ev.Request {
					delete(open, id)
					asked(&out, was, ev)
				}
			}
		case history.TaskCompleted, history.TaskFailed, history.ChildCompleted, history.ChildFailed:
			if was := open[ev.Answers]; was != nil {
				delete(open, ev.Answers)
				answered(&out, was, ev)
			}
		case history.EventRaised:
			if id, ok := strings.CutPrefix(ev.Name, eventName("")); ok {
				out.Kind, out.Approval = EventDecided, id
			}
		case history.ExecutionCompleted:
			delete(s.scheduled, r.Instance.Execution)
			if ev.Status != history.ContinuedAsNew && r.Parent == "" {
				ended(&out, ev)
			}
		}
		for f := range s.followers {
			if out.Kind != "" {
				f.put(child, out)
			} else if child != "" {
				f.adopt(r.Instance.ID, child)
			}
		}
	}
}

// adopt follows a child that is no agent, without an event.
func (f *Follower) adopt(parent, child string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instances[parent] {
		f.instances[child] = true
	}
}

// started fills in the event of something that begins, and gives the instance
// that it begins.
func started(out *Event, ev *history.Event) (child string) {
	out.Attempt = int(ev.Attempt)
	switch {
	case ev.Kind == history.ChildCreated:
		child = ev.Target
		if name, ok := strings.CutPrefix(ev.Name, agentPrefix); ok {
			out.Kind, out.Agent = EventAgent, name
		}
	case ev.Kind == history.TaskScheduled:
		describe(out, ev, EventTurn, EventTool)
	}
	return child
}

// asked fills in the event of a request, once the entity has answered: from then on
// the inbox has it, and it can be decided.
func asked(out *Event, was, ev *history.Event) {
	id, ok := strings.CutPrefix(was.Target, ApprovalPrefix)
	if !ok || was.Name != "request" || ev.Kind != history.EntityOperationCompleted {
		return
	}
	out.Kind, out.Approval = EventApproval, id
	var a Approval
	if json.Unmarshal(was.Data, &a) == nil {
		out.Agent, out.Tool, out.Text = a.Agent, a.Tool, a.Question
	}
}

// describe tells model turns from tool calls.
func describe(out *Event, ev *history.Event, turn, tool EventKind) {
	if agent, ok := strings.CutPrefix(ev.Name, chatPrefix); ok {
		out.Kind, out.Agent = turn, agent
		var in chatInput
		if json.Unmarshal(ev.Data, &in) == nil {
			out.Turn = in.Turn
		}
	} else if name, ok := strings.CutPrefix(ev.Name, toolPrefix); ok {
		out.Kind = tool
		out.Agent, out.Tool, _ = strings.Cut(name, "/")
	}
}

// answered fills in the event of something that ended.
func answered(out *Event, was, ev *history.Event) {
	if ev.Failure != nil {
		out.Error = ev.Failure.Message
	}
	if was.Kind == history.ChildCreated {
		if name, ok := strings.CutPrefix(was.Name, agentPrefix); ok {
			out.Kind, out.Agent = EventAgentEnd, name
			out.Result = resultOf(ev.Data)
		}
		return
	}
	describe(out, was, EventAnswer, EventResult)
	out.Attempt = int(was.Attempt)
	var a toolAnswer
	if out.Kind == EventResult && ev.Failure == nil && json.Unmarshal(ev.Data, &a) == nil && a.IsError {
		out.Error = "the tool answered with an error"
	}
}

func ended(out *Event, ev *history.Event) {
	out.Kind = EventEnd
	out.Result = resultOf(ev.Data)
	if ev.Failure != nil {
		out.Error = ev.Failure.Message
	} else if ev.Status == history.Terminated {
		out.Error = "the run was cancelled"
	}
}

func resultOf(p history.Payload) *Result {
	var r Result
	if json.Unmarshal(p, &r) != nil || r.Turns == 0 {
		return nil
	}
	return &r
}
