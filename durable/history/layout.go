package history

import "google.golang.org/protobuf/encoding/protowire"

// The fields of a HistoryEvent around the body of its kind. Those of the protocol end well below
// 1000; from there on they are ours: optional, never needed to read the rest, dropped by ToProto.
const (
	eventIDField   protowire.Number = 1
	timestampField protowire.Number = 2

	firstExtension                  = 1000
	dataRefField   protowire.Number = firstExtension + 0
	attemptField   protowire.Number = firstExtension + 1
	callField      protowire.Number = firstExtension + 2
	lineageField   protowire.Number = firstExtension + 3
	termsField     protowire.Number = firstExtension + 4
)

// A form is how a field looks on the wire.
type form uint8

const (
	asText      form = iota // string; empty is absent
	asWrapped               // StringValue around a text; empty is absent
	asPayload               // StringValue; nil is absent, empty is not
	asNumber                // int32 or enum; zero is absent
	asBool                  // bool; false is absent
	asTexts                 // repeated string
	asTimestamp             // Timestamp; zero is absent
	asInstance              // OrchestrationInstance; zero is absent
	asParent                // ParentInstanceInfo; nil is absent
	asTrace                 // TraceContext; zero is absent
	asFailure               // TaskFailureDetails; nil is absent
	asTags                  // map<string, string>, written in the order of its keys
)

// A slot is a field of Event.
type slot uint8

const (
	// Those that share a form with others: see Event.text and Event.number.
	inName slot = iota
	inVersion
	inTarget
	inRequest
	inReason
	inSpanID
	inInstanceID
	inSenderID
	inSenderExecution
	inAnswers
	inStatus
	inPosition

	// Those that are the only one of their form.
	inData
	inRecurse
	inLockSet
	inFireAt
	inInstance
	inParent
	inTrace
	inFailure
	inTags
)

// A field says where a field of Event lies in the message of a kind, and how it looks there.
type field struct {
	number protowire.Number
	form   form
	slot   slot
}

// A layout is the message of one kind: its name in the protocol and its fields in the order of
// their numbers. raw is for a kind whose body is kept in Event.Raw as it came.
type layout struct {
	name   string
	fields []field
	raw    bool
}

// layouts has the layout of each kind at its number. It is the whole difference between kinds:
// whoever adds one adds a line here and its constant in event.go.
var layouts = [...]layout{
	ExecutionStarted: {name: "ExecutionStarted", fields: []field{
		{1, asText, inName}, {2, asWrapped, inVersion}, {3, asPayload, inData}, {4, asInstance, inInstance}, {5, asParent, inParent},
		{6, asTimestamp, inFireAt}, {7, asTrace, inTrace}, {8, asWrapped, inSpanID}, {9, asTags, inTags}}},
	ExecutionCompleted: {name: "ExecutionCompleted", fields: []field{
		{1, asNumber, inStatus}, {2, asPayload, inData}, {3, asFailure, inFailure}}},
	ExecutionTerminated: {name: "ExecutionTerminated", fields: []field{
		{1, asPayload, inData}, {2, asBool, inRecurse}}},
	TaskScheduled: {name: "TaskScheduled", fields: []field{
		{1, asText, inName}, {2, asWrapped, inVersion}, {3, asPayload, inData}, {4, asTrace, inTrace}, {5, asTags, inTags}}},
	TaskCompleted: {name: "TaskCompleted", fields: []field{
		{1, asNumber, inAnswers}, {2, asPayload, inData}}},
	TaskFailed: {name: "TaskFailed", fields: []field{
		{1, asNumber, inAnswers}, {2, asFailure, inFailure}}},
	ChildCreated: {name: "SubOrchestrationInstanceCreated", fields: []field{
		{1, asText, inTarget}, {2, asText, inName}, {3, asWrapped, inVersion}, {4, asPayload, inData}, {5, asTrace, inTrace}, {6, asTags, inTags}}},
	ChildCompleted: {name: "SubOrchestrationInstanceCompleted", fields: []field{
		{1, asNumber, inAnswers}, {2, asPayload, inData}}},
	ChildFailed: {name: "SubOrchestrationInstanceFailed", fields: []field{
		{1, asNumber, inAnswers}, {2, asFailure, inFailure}}},
	TimerCreated: {name: "TimerCreated", fields: []field{
		{1, asTimestamp, inFireAt}}},
	TimerFired: {name: "TimerFired", fields: []field{
		{1, asTimestamp, inFireAt}, {2, asNumber, inAnswers}}},
	OrchestratorStarted:   {name: "OrchestratorStarted"},
	OrchestratorCompleted: {name: "OrchestratorCompleted"},
	EventSent: {name: "EventSent", fields: []field{
		{1, asText, inTarget}, {2, asText, inName}, {3, asPayload, inData}}},
	EventRaised: {name: "EventRaised", fields: []field{
		{1, asText, inName}, {2, asPayload, inData}}},
	GenericEvent: {name: "GenericEvent", fields: []field{
		{1, asPayload, inData}}},
	HistoryState: {name: "HistoryState", raw: true},
	ContinueAsNew: {name: "ContinueAsNew", fields: []field{
		{1, asPayload, inData}}},
	ExecutionSuspended: {name: "ExecutionSuspended", fields: []field{
		{1, asPayload, inData}}},
	ExecutionResumed: {name: "ExecutionResumed", fields: []field{
		{1, asPayload, inData}}},
	EntityOperationSignaled: {name: "EntityOperationSignaled", fields: []field{
		{1, asText, inRequest}, {2, asText, inName}, {3, asTimestamp, inFireAt}, {4, asPayload, inData}, {5, asWrapped, inTarget}}},
	EntityOperationCalled: {name: "EntityOperationCalled", fields: []field{
		{1, asText, inRequest}, {2, asText, inName}, {3, asTimestamp, inFireAt}, {4, asPayload, inData},
		{5, asWrapped, inSenderID}, {6, asWrapped, inSenderExecution}, {7, asWrapped, inTarget}}},
	EntityOperationCompleted: {name: "EntityOperationCompleted", fields: []field{
		{1, asText, inRequest}, {2, asPayload, inData}}},
	EntityOperationFailed: {name: "EntityOperationFailed", fields: []field{
		{1, asText, inRequest}, {2, asFailure, inFailure}}},
	EntityLockRequested: {name: "EntityLockRequested", fields: []field{
		{1, asText, inRequest}, {2, asTexts, inLockSet}, {3, asNumber, inPosition}, {4, asWrapped, inSenderID}}},
	EntityLockGranted: {name: "EntityLockGranted", fields: []field{
		{1, asText, inRequest}}},
	EntityUnlockSent: {name: "EntityUnlockSent", fields: []field{
		{1, asText, inRequest}, {2, asWrapped, inSenderID}, {3, asWrapped, inTarget}}},
	ExecutionRewound: {name: "ExecutionRewound", fields: []field{
		{1, asWrapped, inReason}, {2, asWrapped, inSenderExecution}, {3, asWrapped, inInstanceID}, {4, asTrace, inTrace},
		{5, asWrapped, inName}, {6, asWrapped, inVersion}, {7, asPayload, inData}, {8, asParent, inParent}, {9, asTags, inTags}}},
}

// layout gives the layout of a kind, nil for one that this package does not know.
func (k Kind) layout() *layout {
	if k < 0 || int(k) >= len(layouts) || layouts[k].name == "" {
		return nil
	}
	return &layouts[k]
}

// field finds the field with a number. A message has at most nine, nearly always in order, so that
// a walk beats any table.
func (l *layout) field(n protowire.Number) *field {
	for i := range l.fields {
		if l.fields[i].number == n {
			return &l.fields[i]
		}
	}
	return nil
}

// text is where a slot of the forms asText and asWrapped lies in an event.
func (e *Event) text(s slot) *string {
	switch s {
	case inName:
		return &e.Name
	case inVersion:
		return &e.Version
	case inTarget:
		return &e.Target
	case inRequest:
		return &e.Request
	case inReason:
		return &e.Reason
	case inSpanID:
		return &e.SpanID
	case inInstanceID:
		return &e.Instance.ID
	case inSenderID:
		return &e.Sender.ID
	case inSenderExecution:
		return &e.Sender.Execution
	}
	panic("history: a layout has a text in a slot that is none")
}

// number is where a slot of the form asNumber lies in an event.
func (e *Event) number(s slot) *int32 {
	switch s {
	case inAnswers:
		return &e.Answers
	case inStatus:
		return (*int32)(&e.Status)
	case inPosition:
		return &e.Position
	}
	panic("history: a layout has a number in a slot that is none")
}
