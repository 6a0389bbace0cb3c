package history

import "time"

// Kind says what an event records. The names are those of the Durable Task
// protocol's HistoryEvent; the values are its oneof field numbers, so that a
// kind is also where the event lies on the wire.
type Kind int32

// The kinds of the protocol. A kind that this package does not know is kept
// as it came, see [Event.Raw].
const (
	ExecutionStarted         Kind = 3
	ExecutionCompleted       Kind = 4
	ExecutionTerminated      Kind = 5
	TaskScheduled            Kind = 6
	TaskCompleted            Kind = 7
	TaskFailed               Kind = 8
	ChildCreated             Kind = 9  // subOrchestrationInstanceCreated
	ChildCompleted           Kind = 10 // subOrchestrationInstanceCompleted
	ChildFailed              Kind = 11 // subOrchestrationInstanceFailed
	TimerCreated             Kind = 12
	TimerFired               Kind = 13
	OrchestratorStarted      Kind = 14
	OrchestratorCompleted    Kind = 15
	EventSent                Kind = 16
	EventRaised              Kind = 17
	GenericEvent             Kind = 18
	HistoryState             Kind = 19
	ContinueAsNew            Kind = 20
	ExecutionSuspended       Kind = 21
	ExecutionResumed         Kind = 22
	EntityOperationSignaled  Kind = 23
	EntityOperationCalled    Kind = 24
	EntityOperationCompleted Kind = 25
	EntityOperationFailed    Kind = 26
	EntityLockRequested      Kind = 27
	EntityLockGranted        Kind = 28
	EntityUnlockSent         Kind = 29
	ExecutionRewound         Kind = 30
)

// FromOutside is the ID of every event that the orchestration did not cause by
// an action of its own (the protocol wants ids >= 0 to increase strictly
// through a history, so whatever comes from outside is -1).
const FromOutside int32 = -1

// Event is one entry of an execution's history: a flat view of the protocol's
// HistoryEvent. Which fields a kind uses is listed in its layout (layout.go);
// the others stay zero. An Event is a value to read: once it is in a history
// nobody changes it.
type Event struct {
	Kind Kind      `json:"kind"`
	ID   int32     `json:"id"`   // number of the action that caused it, or FromOutside
	Time time.Time `json:"time"` // UTC; that of an OrchestratorStarted is the orchestration's clock

	// Name is what the event is about: the orchestration, activity, external
	// event or entity operation.
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`

	// Data is the input, result, event data or reason, whichever the kind has.
	// Only ExecutionRewound has two of them: its input is in Data, its reason
	// in Reason.
	Data Payload `json:"data,omitzero"`
	// DataRef is the hash of Data where Data is stored apart from the event.
	// Only the store writes and resolves it; it never crosses to a worker.
	DataRef Hash `json:"-"`

	Reason string `json:"reason,omitempty"` // ExecutionRewound

	// Answers is the ID of the event that this one answers (taskScheduledId,
	// timerId).
	Answers int32 `json:"answers,omitempty"`
	// Target is the instance that an action is aimed at: child, receiver of an
	// event, or entity.
	Target string `json:"target,omitempty"`
	// Request is the UUID that joins an entity message with its answer
	// (requestId, criticalSectionId).
	Request string `json:"request,omitempty"`

	FireAt  time.Time `json:"fireAt,omitzero"` // timers; scheduled start; scheduled entity operation
	Status  Status    `json:"status,omitempty"`
	Failure *Failure  `json:"failure,omitempty"`
	Recurse bool      `json:"recurse,omitempty"`

	Instance Instance          `json:"instance,omitzero"` // ExecutionStarted, ExecutionRewound: which execution this is
	Parent   *Parent           `json:"parent,omitempty"`  // ExecutionStarted: who waits for the result
	Sender   Instance          `json:"sender,omitzero"`   // entity messages: who sent it, where the answer goes
	LockSet  []string          `json:"lockSet,omitempty"`
	Position int32             `json:"position,omitempty"`
	Tags     map[string]string `json:"tags,omitempty"`
	Trace    TraceContext      `json:"trace,omitzero"`
	SpanID   string            `json:"spanId,omitempty"` // ExecutionStarted: span of the orchestration itself

	// Call numbers the logical call that an activity belongs to, from 1 in
	// program order, shared by all its retries; Attempt counts those from 1.
	// Both are ours (field numbers from 1000 up), optional, and can be
	// recomputed by replay.
	Call    int32 `json:"call,omitempty"`
	Attempt int32 `json:"attempt,omitempty"`
	// Lineage is, on the ExecutionStarted of an execution that a rewind began, the
	// id of the one that was rewound first, which the ids that its code makes come
	// from; Attempt is how often there was a rewind since. It is ours too.
	Lineage string `json:"lineage,omitempty"`

	// Terms are those of a call that its caller set; nil for none. They are ours
	// too, and cannot be recomputed by replay: a changed program keeps the terms
	// that a call was scheduled with.
	Terms *Terms `json:"terms,omitempty"`

	// Raw holds the encoded body of an event whose kind this package gives no
	// fields to (HistoryState, or one from a newer protocol). It is written
	// back unchanged.
	Raw []byte `json:"raw,omitempty"`
}

// Instance names one execution of an instance.
type Instance struct {
	ID        string `json:"id"`
	Execution string `json:"execution,omitempty"` // 32 lower-case hex digits
}

// Parent is the orchestration that started a child and waits for its end.
type Parent struct {
	Instance
	Name      string `json:"name,omitempty"`
	Version   string `json:"version,omitempty"`
	Scheduled int32  `json:"scheduled"` // ID of the parent's ChildCreated event
}

// TraceContext is the W3C trace context that an event carries.
type TraceContext struct {
	Parent string `json:"parent,omitempty"` // traceparent
	State  string `json:"state,omitempty"`  // tracestate
	SpanID string `json:"spanId,omitempty"` // deprecated in the protocol, kept as it came
}

// Status is an orchestration's runtime status, with the protocol's values.
type Status int32

// The statuses of the protocol.
const (
	Running        Status = 0
	Completed      Status = 1
	ContinuedAsNew Status = 2
	Failed         Status = 3
	Canceled       Status = 4
	Terminated     Status = 5
	Pending        Status = 6
	Suspended      Status = 7
)

// Ended reports whether an instance with this status will never run again.
// ContinuedAsNew ends an execution, not its instance.
func (s Status) Ended() bool {
	return s == Completed || s == Failed || s == Canceled || s == Terminated
}

// Payload is an opaque string of the protocol: an input, a result, data. nil
// is absent, which differs from empty and survives storage as such.
type Payload []byte

// IsZero reports whether the payload is absent.
func (p Payload) IsZero() bool { return p == nil }

// MarshalText gives the payload's text, so that JSON shows a string.
func (p Payload) MarshalText() ([]byte, error) { return p, nil }

// UnmarshalText takes text as the payload; the result is never absent.
func (p *Payload) UnmarshalText(b []byte) error {
	*p = append(make(Payload, 0, len(b)), b...)
	return nil
}
