package agents

import (
	"cmp"
	"encoding/json"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// teller makes events of the history of one execution, in the order of the history.
type teller struct {
	instance string
	name     string                   // of the orchestration
	root     bool                     // nobody waits for it in the run: its end is the run's
	open     map[int32]*history.Event // what was started and not answered
}

// event makes the event that tells of ev; its Kind is "" if there is nothing to tell.
// child is the instance that ev starts, and was what it answers, if it does.
func (t *teller) event(ev *history.Event) (out Event, child string, was *history.Event) {
	out = Event{Time: ev.Time, Instance: t.instance}
	switch ev.Kind {
	case history.ExecutionStarted:
		if name, ok := strings.CutPrefix(t.name, agentPrefix); ok && t.root {
			out.Kind, out.Agent = EventAgent, name
		}
	case history.TaskScheduled, history.ChildCreated, history.EntityOperationCalled:
		t.open[ev.ID] = ev
		child = started(&out, ev)
	case history.EntityOperationCompleted, history.EntityOperationFailed:
		for id, call := range t.open {
			if call.Kind == history.EntityOperationCalled && call.Request == ev.Request {
				delete(t.open, id)
				asked(&out, call, ev)
			}
		}
	case history.TaskCompleted, history.TaskFailed, history.ChildCompleted, history.ChildFailed:
		if was = t.open[ev.Answers]; was != nil {
			delete(t.open, ev.Answers)
			answered(&out, was, ev)
		}
	case history.EventRaised:
		if id, ok := strings.CutPrefix(ev.Name, eventName("")); ok {
			out.Kind, out.Approval = EventDecided, id
		}
		if name, ok := strings.CutPrefix(t.name, agentPrefix); ok && ev.Name == steerEvent {
			steered(&out, name, ev)
		}
	case history.ExecutionCompleted:
		if ev.Status != history.ContinuedAsNew && t.root {
			ended(&out, ev)
		}
	}
	return out, child, was
}

// steered fills in the event of a wish that an agent was sent.
func steered(out *Event, agent string, ev *history.Event) {
	var cmd command
	if json.Unmarshal(ev.Data, &cmd) == nil {
		out.Kind, out.Agent, out.Text = EventSteered, agent, cmd.Do
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
		var in toolInput
		if strings.HasPrefix(out.Tool, "*") && json.Unmarshal(ev.Data, &in) == nil {
			out.Tool = in.Tool // of a toolset
		}
	} else if name, ok := strings.CutPrefix(ev.Name, undoPrefix); ok {
		out.Kind, out.Undo = tool, true
		out.Agent, _, _ = strings.Cut(name, "/")
		var in toolInput
		if json.Unmarshal(ev.Data, &in) == nil {
			out.Tool = in.Tool
		}
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
		out.Error = cmp.Or(a.Error, "the tool answered with an error")
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
