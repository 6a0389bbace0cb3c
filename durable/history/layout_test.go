package history

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

// TestLayoutsAreComplete compares the layouts with the generated descriptors: names, numbers and types.
func TestLayoutsAreComplete(t *testing.T) {
	forms := map[protoreflect.FullName][]form{
		"google.protobuf.StringValue": {asWrapped, asPayload},
		"google.protobuf.Timestamp":   {asTimestamp},
		"OrchestrationInstance":       {asInstance},
		"ParentInstanceInfo":          {asParent},
		"TraceContext":                {asTrace},
		"TaskFailureDetails":          {asFailure},
	}
	if got, want := len(kinds), eventTypes().Len(); got != want {
		t.Errorf("%d kinds have a layout, want %d", got, want)
	}
	for i := range eventTypes().Len() {
		kind := eventTypes().Get(i)
		l := Kind(kind.Number()).layout()
		name := string(kind.Name())
		if l == nil || l.name != strings.ToUpper(name[:1])+name[1:] {
			t.Errorf("kind %d: layout %+v, want one named like %s", kind.Number(), l, name)
			continue
		}
		if l.raw {
			continue
		}
		fields := kind.Message().Fields()
		if fields.Len() != len(l.fields) {
			t.Errorf("%s has %d fields, its layout %d", name, fields.Len(), len(l.fields))
		}
		for j := range fields.Len() {
			fd := fields.Get(j)
			f := l.field(fd.Number())
			var allowed []form
			switch {
			case fd.IsMap():
				allowed = []form{asTags}
			case fd.IsList():
				allowed = []form{asTexts}
			case fd.Message() != nil:
				allowed = forms[fd.Message().FullName()]
			case fd.Kind() == protoreflect.StringKind:
				allowed = []form{asText}
			case fd.Kind() == protoreflect.BoolKind:
				allowed = []form{asBool}
			default:
				allowed = []form{asNumber}
			}
			if f == nil || !slices.Contains(allowed, f.form) {
				t.Errorf("%s: layout %+v, want one of forms %v", fd.FullName(), f, allowed)
			}
		}
	}
}

// TestMeaning pins which field of Event some fields of the protocol land in: the round trips would not
// notice two that are exchanged.
func TestMeaning(t *testing.T) {
	at := time.Date(2026, 8, 17, 10, 0, 0, 123, time.UTC)
	called := fullEvent(eventTypes().ByNumber(protowire.Number(EntityOperationCalled))).GetEntityOperationCalled()
	sent := fullEvent(eventTypes().ByNumber(protowire.Number(EventSent))).GetEventSent()
	child := fullEvent(eventTypes().ByNumber(protowire.Number(ChildCreated))).GetSubOrchestrationInstanceCreated()
	rewound := fullEvent(eventTypes().ByNumber(protowire.Number(ExecutionRewound))).GetExecutionRewound()
	for _, test := range []struct {
		m    *protocol.HistoryEvent
		want Event
	}{
		{&protocol.HistoryEvent{EventId: -1, EventType: &protocol.HistoryEvent_TaskCompleted{TaskCompleted: &protocol.TaskCompletedEvent{
			TaskScheduledId: 7, Result: wrapperspb.String("")}}},
			Event{Kind: TaskCompleted, ID: FromOutside, Answers: 7, Data: Payload{}}},
		{&protocol.HistoryEvent{EventId: 3, EventType: &protocol.HistoryEvent_EventSent{EventSent: sent}},
			Event{Kind: EventSent, ID: 3, Name: sent.Name, Target: sent.InstanceId, Data: Payload(sent.Input.Value)}},
		{&protocol.HistoryEvent{EventType: &protocol.HistoryEvent_EntityOperationCalled{EntityOperationCalled: called}},
			Event{Kind: EntityOperationCalled, Name: called.Operation, Request: called.RequestId, FireAt: called.ScheduledTime.AsTime(),
				Data: Payload(called.Input.Value), Target: called.TargetInstanceId.Value,
				Sender: Instance{ID: called.ParentInstanceId.Value, Execution: called.ParentExecutionId.Value}}},
		{&protocol.HistoryEvent{EventType: &protocol.HistoryEvent_SubOrchestrationInstanceCreated{
			SubOrchestrationInstanceCreated: &protocol.SubOrchestrationInstanceCreatedEvent{
				InstanceId: child.InstanceId, Name: child.Name, Version: child.Version}}},
			Event{Kind: ChildCreated, Target: child.InstanceId, Name: child.Name, Version: child.Version.Value}},
		{&protocol.HistoryEvent{EventType: &protocol.HistoryEvent_ExecutionRewound{ExecutionRewound: &protocol.ExecutionRewoundEvent{
			Reason: rewound.Reason, ParentExecutionId: rewound.ParentExecutionId, InstanceId: rewound.InstanceId, Input: rewound.Input}}},
			Event{Kind: ExecutionRewound, Reason: rewound.Reason.Value, Sender: Instance{Execution: rewound.ParentExecutionId.Value},
				Instance: Instance{ID: rewound.InstanceId.Value}, Data: Payload(rewound.Input.Value)}},
		{must(ToProto(&Event{Kind: TimerFired, Time: at, FireAt: at.Add(time.Second), Answers: 4})),
			Event{Kind: TimerFired, Time: at, FireAt: at.Add(time.Second), Answers: 4}},
	} {
		got, err := FromProto(test.m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, *got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.want.Kind, diff)
		}
	}
}
