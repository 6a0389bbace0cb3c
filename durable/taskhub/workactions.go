package taskhub

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/internal/protocol"
)

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", engine.ErrInvalid, fmt.Sprintf(format, args...))
}

// answerTurn writes a worker's answer into the turn.
func answerTurn(t *engine.Turn, events int, m *protocol.OrchestratorResponse) error {
	if n := m.GetNumEventsProcessed(); n != nil && int(n.GetValue()) < events {
		return invalid("the answer is to %d of %d events; a turn takes all of them", n.GetValue(), events)
	}
	t.CustomStatus, t.NewVersion, t.Carryover, t.Actions = payloadOf(m.GetCustomStatus()), "", nil, nil
	actions := slices.Clone(m.GetActions())
	// By their numbers, the end last: some SDKs give it a number of its own.
	slices.SortStableFunc(actions, func(a, b *protocol.OrchestratorAction) int {
		switch {
		case ends(a) == ends(b):
			return cmp.Compare(a.GetId(), b.GetId())
		case ends(a):
			return 1
		}
		return -1
	})
	seen := make(map[int32]bool, len(actions))
	for i, a := range actions {
		switch {
		case a.GetId() < 0 && !ends(a): // an end may leave its number to the engine
			return invalid("an action has the id %d, which is negative", a.GetId())
		case seen[a.GetId()]:
			return invalid("several actions have the id %d", a.GetId())
		case ends(a) && i < len(actions)-1:
			return invalid("several actions complete the orchestration")
		}
		seen[a.GetId()] = true
		ev, err := actionEvent(t, a)
		if err != nil {
			return fmt.Errorf("action %d: %w", a.GetId(), err)
		}
		t.Actions = append(t.Actions, ev)
	}
	return nil
}

func ends(a *protocol.OrchestratorAction) bool { return a.GetCompleteOrchestration() != nil }

// actionEvent gives the event of an action, which the codec of histories makes from the protocol's.
func actionEvent(t *engine.Turn, a *protocol.OrchestratorAction) (*history.Event, error) {
	m := &protocol.HistoryEvent{EventId: a.GetId()}
	switch x := a.GetOrchestratorActionType().(type) {
	case *protocol.OrchestratorAction_ScheduleTask:
		s := x.ScheduleTask
		if s.GetName() == "" {
			return nil, invalid("an activity has no name")
		}
		m.EventType = &protocol.HistoryEvent_TaskScheduled{TaskScheduled: &protocol.TaskScheduledEvent{
			Name: s.GetName(), Version: s.GetVersion(), Input: s.GetInput(), ParentTraceContext: s.GetParentTraceContext(), Tags: s.GetTags()}}
	case *protocol.OrchestratorAction_CreateSubOrchestration:
		s := x.CreateSubOrchestration
		if s.GetName() == "" {
			return nil, invalid("a sub-orchestration has no name")
		}
		m.EventType = &protocol.HistoryEvent_SubOrchestrationInstanceCreated{SubOrchestrationInstanceCreated: &protocol.SubOrchestrationInstanceCreatedEvent{
			InstanceId: s.GetInstanceId(), Name: s.GetName(), Version: s.GetVersion(), Input: s.GetInput(),
			ParentTraceContext: s.GetParentTraceContext(), Tags: s.GetTags()}}
	case *protocol.OrchestratorAction_CreateTimer:
		if err := checkTime("a timer", x.CreateTimer.GetFireAt(), true); err != nil {
			return nil, err
		}
		m.EventType = &protocol.HistoryEvent_TimerCreated{TimerCreated: &protocol.TimerCreatedEvent{FireAt: x.CreateTimer.GetFireAt()}}
	case *protocol.OrchestratorAction_SendEvent:
		s := x.SendEvent
		if s.GetInstance().GetInstanceId() == "" {
			return nil, invalid("the event %.40q is sent to no instance", s.GetName())
		}
		m.EventType = &protocol.HistoryEvent_EventSent{EventSent: &protocol.EventSentEvent{
			InstanceId: s.GetInstance().GetInstanceId(), Name: s.GetName(), Input: s.GetData()}}
	case *protocol.OrchestratorAction_SendEntityMessage:
		return entityMessage(m, x.SendEntityMessage)
	case *protocol.OrchestratorAction_TerminateOrchestration:
		s := x.TerminateOrchestration
		if s.GetInstanceId() == "" {
			return nil, invalid("no instance is named that is to be terminated")
		}
		return &history.Event{Kind: history.ExecutionTerminated, ID: a.GetId(), Target: s.GetInstanceId(), Data: payloadOf(s.GetReason()), Recurse: s.GetRecurse()}, nil
	case *protocol.OrchestratorAction_CompleteOrchestration:
		return completion(t, a.GetId(), x.CompleteOrchestration)
	case *protocol.OrchestratorAction_RewindOrchestration:
		return nil, invalid("a worker cannot rewind an orchestration: the server does it by itself")
	default:
		return nil, invalid("it is of no kind that is known")
	}
	return eventOf(m)
}

// eventOf converts an event that a worker made.
func eventOf(m *protocol.HistoryEvent) (*history.Event, error) {
	ev, err := history.FromProto(m)
	if err != nil {
		return nil, invalid("%v", err)
	}
	return ev, nil
}

func checkTime(of string, at *timestamppb.Timestamp, needed bool) error {
	if at == nil {
		if needed {
			return invalid("%s has no time", of)
		}
		return nil
	}
	if err := at.CheckValid(); err != nil {
		return invalid("the time of %s: %v", of, err)
	}
	return nil
}

// entityMessage gives the event of a message to an entity, or of a request for locks.
func entityMessage(m *protocol.HistoryEvent, a *protocol.SendEntityMessageAction) (*history.Event, error) {
	var at *timestamppb.Timestamp
	switch x := a.GetEntityMessageType().(type) {
	case *protocol.SendEntityMessageAction_EntityOperationSignaled:
		at = x.EntityOperationSignaled.GetScheduledTime()
		m.EventType = &protocol.HistoryEvent_EntityOperationSignaled{EntityOperationSignaled: x.EntityOperationSignaled}
	case *protocol.SendEntityMessageAction_EntityOperationCalled:
		at = x.EntityOperationCalled.GetScheduledTime()
		m.EventType = &protocol.HistoryEvent_EntityOperationCalled{EntityOperationCalled: x.EntityOperationCalled}
	case *protocol.SendEntityMessageAction_EntityLockRequested:
		m.EventType = &protocol.HistoryEvent_EntityLockRequested{EntityLockRequested: x.EntityLockRequested}
	case *protocol.SendEntityMessageAction_EntityUnlockSent:
		m.EventType = &protocol.HistoryEvent_EntityUnlockSent{EntityUnlockSent: x.EntityUnlockSent}
	default:
		return nil, invalid("a message to an entity is of no kind that is known")
	}
	if err := checkTime("a message to an entity", at, false); err != nil {
		return nil, err
	}
	ev, err := eventOf(m)
	if err != nil {
		return nil, err
	}
	if ev.Request == "" && ev.Kind != history.EntityOperationSignaled {
		return nil, invalid("a %s has no id, which its answer would need", ev.Kind)
	}
	if ev.Kind != history.EntityLockRequested {
		ev.Target, err = engine.EntityID(ev.Target)
		return ev, err
	}
	if len(ev.LockSet) == 0 {
		return nil, invalid("a lock is requested of no entity")
	}
	for i, id := range ev.LockSet {
		if ev.LockSet[i], err = engine.EntityID(id); err != nil {
			return nil, err
		}
	}
	return ev, nil
}

// completion gives the event of an orchestration's end, and notes what the next execution begins with.
func completion(t *engine.Turn, id int32, a *protocol.CompleteOrchestrationAction) (*history.Event, error) {
	status := history.Status(a.GetOrchestrationStatus())
	if !status.Ended() && status != history.ContinuedAsNew {
		return nil, invalid("an orchestration cannot end as %s", status)
	}
	failure, err := failureOf(a.GetFailureDetails())
	if err != nil {
		return nil, invalid("%v", err)
	}
	ev := &history.Event{Kind: history.ExecutionCompleted, ID: id, Status: status, Data: payloadOf(a.GetResult()), Failure: failure}
	if status == history.Failed && failure == nil {
		ev.Failure = &history.Failure{Type: "OrchestrationFailed", Message: a.GetDetails().GetValue()}
		if ev.Failure.Message == "" {
			ev.Failure.Message = string(ev.Data)
		}
	}
	if status != history.ContinuedAsNew {
		return ev, nil
	}
	t.NewVersion = a.GetNewVersion().GetValue()
	for i, m := range a.GetCarryoverEvents() {
		c, err := eventOf(m)
		if err != nil {
			return nil, fmt.Errorf("carried over event %d: %w", i, err)
		}
		if c.Kind != history.EventRaised {
			return nil, invalid("carried over event %d is a %s; only raised events can be carried over", i, c.Kind)
		}
		c.ID = history.FromOutside
		if c.Time.IsZero() {
			c.Time = clockOf(t)
		}
		t.Carryover = append(t.Carryover, c)
	}
	return ev, nil
}

// clockOf is the time at which a turn was begun.
func clockOf(t *engine.Turn) time.Time {
	if len(t.New) == 0 {
		return time.Time{}
	}
	return t.New[0].Time
}
