// Package history has the events that executions are made of: their kinds, their form on the wire
// and in a store, and the first difference between what was recorded and what code does.
//
// # Events
//
// An [Event] is one fact about one execution of an orchestration: it started, it scheduled an activity,
// the activity answered. Facts are only ever appended. Whatever an orchestration knows is in its
// history, so that running its code again over it leads to the same place; after a crash nothing
// else is true.
//
// An event is the HistoryEvent message of the durable task protocol, which the SDKs of .NET, Java,
// JavaScript and Python speak. Event is a flat view of it: a [Kind] and one set of fields, of which
// each kind uses some. layout.go says which, in one table.
//
// # Numbers
//
// Every action of an orchestration (schedule an activity, create a timer or a child, send an event,
// call an entity, complete) takes the next number of one counter per execution, in program order. That
// number is the ID of the event which records the action. Whatever comes from outside (the start, an
// answer, a raised event) has the ID [FromOutside], -1, and says in Answers, or in Request for
// entities, which action it answers. So the IDs from 0 up strictly increase through a history, and a
// replayed action is compared with the event of the same number. Our own code counts from 0; that of
// other SDKs may count from 1. Nobody renumbers, reorders or drops events.
//
// The position of an event in its history is something else: together with instance and execution it
// is its [Address], by which people and errors name it.
//
// # Turns
//
// A history grows by turns. Each appends
//
//   - one OrchestratorStarted, whose Time is the orchestration's clock: the time at which the turn was
//     dispatched, never earlier than the one before it nor than a timer that fires in the turn;
//   - the messages that the turn takes in, in the order they came: ExecutionStarted in the first turn,
//     then answers, fired timers, raised events;
//   - one event for each action, in the order of their numbers; the last turn ends with
//     ExecutionCompleted, which has the number of the completing action.
//
// An activity, a timer and a child in sequence make these twelve events:
//
//	OrchestratorStarted, ExecutionStarted, TaskScheduled,
//	OrchestratorStarted, TaskCompleted, TimerCreated,
//	OrchestratorStarted, TimerFired, SubOrchestrationInstanceCreated,
//	OrchestratorStarted, SubOrchestrationInstanceCompleted, ExecutionCompleted
//
// An execution that continues as new ends with the status [ContinuedAsNew]; its instance goes on with a
// new execution and an empty history.
//
// # Payloads
//
// Inputs, results and other data are opaque strings. Absent differs from empty: a nil [Payload] stays
// nil and an empty one stays empty, through the store and over the wire.
//
// # The stored form
//
// [AppendEvent] and [DecodeEvent] are the codec, [AppendRow] and [DecodeRows] the same for a row of
// events. They go directly between Event and bytes: the engine writes an event for each step, and
// reads whole histories when it replays. [ToProto] and [FromProto] are for where the generated message
// is needed.
//
// Beside the fields of the protocol we write five of our own, numbered from 1000 up:
//
//	1000  bytes  DataRef: the SHA-256 of data that the store keeps apart from the event
//	1001  int32  Attempt: which try of a call this is, from 1; of a start: how often it was rewound
//	1002  int32  Call: which logical call it belongs to, from 1
//	1003  text   Lineage: of the start of an execution that was rewound: which one it was first
//	1004  Terms  timeouts and priority of an activity's call: its start to close (1) and heartbeat (2)
//	             in nanoseconds, the Timestamp of its deadline (3), its priority (4)
//
// Any protobuf decoder reads over them. They stay at home: ToProto leaves them out and FromProto does
// not take them in.
//
// # Versions
//
// The stored form has no version of its own. It changes as protobuf messages do: new kinds and new
// fields get new numbers, and no number ever changes its meaning. An event of a kind that this build
// does not know is kept as it came, in Raw, and can be shown and copied; a new field in a known kind
// is dropped by a build that does not know it once that build writes the event again. What may change
// between builds is the code that histories are replayed with; [Compare] and [Difference] find where.
package history
