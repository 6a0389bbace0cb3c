package taskhub

import (
	"google.golang.org/protobuf/proto"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// beginCall makes the message of an activity. One that cannot be sent fails.
func (s *workStream) beginCall(work callWork, f *flight) (*protocol.WorkItem, error) {
	c, err := work.Begin()
	if err != nil {
		return nil, err
	}
	f.call, f.release, f.id.task = c, func() bool { return work.Release(c) }, c.ID
	s.w.begun(f.subject)
	// The codec of histories refuses what the protocol cannot carry.
	ev, err := history.ToProto(&history.Event{Kind: history.TaskScheduled, ID: c.ID, Name: c.Name, Version: c.Version, Data: c.Input, Tags: c.Tags, Trace: c.Trace})
	if err != nil {
		return nil, failCall(s, work, c, &unsendable{err.Error()})
	}
	t := ev.GetTaskScheduled()
	m := &protocol.WorkItem{Request: &protocol.WorkItem_ActivityRequest{ActivityRequest: &protocol.ActivityRequest{
		Name: t.GetName(), Version: t.GetVersion(), Input: t.GetInput(), TaskId: c.ID,
		OrchestrationInstance: &protocol.OrchestrationInstance{InstanceId: c.Instance.ID, ExecutionId: wrapText(c.Instance.Execution)},
		ParentTraceContext:    t.GetParentTraceContext(), Tags: t.GetTags(),
	}}}
	if size := proto.Size(m); size > maxWorkItem {
		return nil, failCall(s, work, c, tooLarge("the input of the activity "+c.Name, size, "pass a reference to large data instead"))
	}
	return m, nil
}

func failCall(s *workStream, work callWork, c *engine.Call, why *unsendable) error {
	return work.Complete(s.w.ctx, c, engine.Outcome{Failure: why.failure()})
}

// outcomeOf reads what an activity or operation came to.
func outcomeOf(result history.Payload, failure *protocol.TaskFailureDetails) (engine.Outcome, error) {
	if failure == nil {
		return engine.Outcome{Result: result}, nil
	}
	f, err := failureOf(failure)
	if err != nil {
		return engine.Outcome{}, invalid("%v", err)
	}
	return engine.Outcome{Failure: f}, nil
}
