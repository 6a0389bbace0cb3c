package agents

import "time"

// EventKind says what an [Event] tells.
type EventKind string

// Kinds of events. All but EventDelta, EventSuperseded and EventProgress tell of what is
// on disk.
const (
	EventAgent      EventKind = "agent"      // an agent began
	EventTurn       EventKind = "turn"       // a model was asked
	EventDelta      EventKind = "delta"      // Text came, provisionally, at Offset of this Try
	EventSuperseded EventKind = "superseded" // what came of this Try, Offset bytes, is void
	EventAnswer     EventKind = "answer"     // the model's answer is recorded, or its failure: the end of this Attempt
	EventTool       EventKind = "tool"       // a tool call was scheduled
	EventProgress   EventKind = "progress"   // a tool says in Text how far it is, perhaps before its EventTool; not given by [Follow]
	EventResult     EventKind = "result"     // its result is recorded
	EventApproval   EventKind = "approval"   // people are asked: Approval is the request's id
	EventDecided    EventKind = "decided"    // the request is settled
	EventSteered    EventKind = "steered"    // somebody steered the agent: Text is say, pause, resume, stop or retry
	EventAgentEnd   EventKind = "agent-end"  // an agent ended
	EventEnd        EventKind = "end"        // the run ended: Result holds its output
)

// Event is something that happened in a run.
//
// What models write comes as deltas before it is recorded. To show it, keep a text
// for each Instance and Turn: a delta is appended, an EventSuperseded empties the
// text, and an EventAnswer without an Error completes it, by Text[Offset:]. Then it is
// the recorded text, whatever became of deltas and connections in between.
type Event struct {
	Kind     EventKind `json:"kind"`
	Time     time.Time `json:"time"`
	Run      string    `json:"run,omitempty"` // the instance that is followed
	Instance string    `json:"instance"`      // the orchestration in which it happened
	Agent    string    `json:"agent,omitempty"`
	Turn     int       `json:"turn,omitempty"`
	// Attempt counts how often the turn, or the tool call, was scheduled, from 1.
	Attempt int `json:"attempt,omitempty"`
	// Try names one stream of text of a model, of a delta and of what supersedes it.
	// There may be several in one attempt: after a crash, or with another model.
	Try string `json:"try,omitempty"`
	// Offset is in bytes of the text. For an EventAnswer it is how much of Text came as
	// deltas that stand.
	Offset int `json:"offset,omitempty"`
	// Text is what was written: a piece, with EventDelta; all of it, with the
	// EventAnswer of [Follow]; the question, with EventApproval.
	Text string `json:"text,omitempty"`
	Tool string `json:"tool,omitempty"`
	// Undo says that a call of Tool is taken back, see [Config].UndoOnFailure.
	Undo     bool    `json:"undo,omitempty"`
	Approval string  `json:"approval,omitempty"`
	Error    string  `json:"error,omitempty"`
	Result   *Result `json:"result,omitempty"`
	// Cursor is where to go on after this event, see [Follow].
	Cursor Cursor `json:"cursor,omitempty"`
}
