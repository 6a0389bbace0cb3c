package engine

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Definitions are what an engine can run. An instance whose definition is not
// among them is for Options.Workers, or waits: it never fails for that.
type Definitions struct {
	Orchestrations []Orchestration
	Activities     []Activity
	Entities       []Entity
}

// Orchestration makes executors for the instances of one name, or of one version
// of it, see VersionMatch.
type Orchestration struct {
	Name    string
	Version string
	New     func() Executor
	// Retain is how long an instance is kept after its end; then it is purged, and
	// with it its descendants that have ended. 0: until somebody purges it. It is
	// decided at the end: another value later is for those that end later.
	Retain time.Duration
}

// Executor runs the turns of one execution of an orchestration. The engine
// calls it from one goroutine at a time, keeps it between turns while memory
// lasts, and makes a new one, which it gives the past to, when it is gone.
type Executor interface {
	// Turn applies t.New, after t.Past where that is set, runs the body until it
	// waits for what has not come, and fills in the results of t.
	Turn(t *Turn)
	// Close lets go of the body, running its deferred functions. It is called
	// once, and not while Turn runs.
	Close()
}

// Turn is one step of an execution: the shape of the protocol's
// OrchestratorRequest and OrchestratorResponse.
type Turn struct {
	Name     string
	Instance history.Instance
	Payloads PayloadReader

	// Past is the committed history of the execution; nil when the executor has
	// seen it already. An error in it is the store's.
	Past iter.Seq2[*history.Event, error]
	// New are the events of this turn. The first is an OrchestratorStarted,
	// whose time is the orchestration's clock.
	New []*history.Event
	// PastEvents is the number of events in the past of a worker's turn.
	PastEvents int64
	seq        uint64 // of a worker's turn

	// Actions are the events that the body caused, ids set, in program order. An
	// ExecutionCompleted can only be the last one.
	Actions []*history.Event
	// Pieces are payloads that the body stored in this turn.
	Pieces []Piece
	// CustomStatus is nil where the turn left it alone.
	CustomStatus history.Payload
	// NewVersion and Carryover go with a completion as ContinuedAsNew: the next
	// execution's version ("" keeps it) and the events that it starts with.
	NewVersion string
	Carryover  []*history.Event
	// Diverged is set when the code, replayed, did something else than the past
	// has; Actions is then the end as a failure.
	Diverged bool
	// Over are the logical calls of activities that failed and are not tried
	// again: their progress is of no more use.
	Over []int32
	// Err is set when the past could not be read: the turn did nothing.
	Err error
}

// Effect says what running an activity a second time would do, and so when the
// engine may start it and how often.
type Effect int

const (
	// AtLeastOnce: it starts after the commit that schedules it, and once more
	// after a crash.
	AtLeastOnce Effect = iota
	// Pure changes nothing in the world: it may start before that commit.
	Pure
	// AtMostOnce commits an intent of its own before it starts; an intent
	// without a receipt is settled by Reconcile, never by starting it again.
	AtMostOnce
)

// Activity is a function that runs outside the orchestration.
type Activity struct {
	Name   string
	Effect Effect
	// Costly limits a Pure activity to one call per instance that runs ahead of the
	// disk: what a crash would make to be paid twice is one call, not a chain.
	Costly bool
	Run    func(ctx context.Context, c *Call) Outcome
	// StartToClose bounds one attempt, and Heartbeat the time between two signs of
	// life of it (see Call.Heartbeat). 0: not bounded. A call's own terms win.
	StartToClose, Heartbeat time.Duration
	// MaxConcurrent bounds how many calls run at once; 0: only Options.Activities
	// does.
	MaxConcurrent int
	// Rate limits how often calls start; nil: not at all.
	Rate *Rate
	// Reconcile finds out what became of a call of an AtMostOnce activity whose
	// outcome is unknown. nil: nobody can.
	Reconcile func(ctx context.Context, c *Call) (Outcome, Finding)
}

// Finding is what Reconcile found out.
type Finding int

const (
	// CannotTell: the call fails with UnknownOutcome. The outcome may have the failure
	// that Reconcile met, which its message then names.
	CannotTell Finding = iota
	// Happened: the outcome is the call's.
	Happened
	// DidNotHappen: it never took effect, so it may start, with a new intent.
	DidNotHappen
)

// Call is one attempt of an activity.
type Call struct {
	Name      string
	Version   string
	Instance  history.Instance
	ID        int32 // of its TaskScheduled event
	Attempt   int32 // from 1
	Input     history.Payload
	Tags      map[string]string
	Trace     history.TraceContext
	Payloads  PayloadReader
	Scheduled time.Time
	// Deadline is when the attempt is cut off; zero: never. HeartbeatTimeout is how
	// long it may be silent; 0: for ever.
	Deadline         time.Time
	HeartbeatTimeout time.Duration

	pieces []Piece
	engine *Engine
	call   *call
	given  uint64          // to which worker
	ctx    context.Context // of a worker's call
}

// Key is the call's idempotency key, 32 hex digits: the same for each attempt and
// after each crash, and of no other call.
func (c *Call) Key() string { return c.call.idempotencyKey() }

// Context is that of a call that a worker has: it ends when the orchestration gave the
// call up or its time is over. What the worker answers after that is dropped.
func (c *Call) Context() context.Context { return c.ctx }

// Outcome is what an activity came to: a failure, or a result.
type Outcome struct {
	Result  history.Payload
	Failure *history.Failure
}

// Entity runs batches of operations on entities of one name.
type Entity struct {
	Name string
	Run  func(b *EntityBatch)
}

// EntityBatch is some consecutive operations on one entity, in the order of
// their arrival.
type EntityBatch struct {
	ID       string // @name@key
	Now      time.Time
	State    history.Payload // before and after; nil is no state
	Ops      []*history.Event
	Payloads PayloadReader

	Results []Outcome // one for each of Ops
	// Sent are EntityOperationSignaled events (Target set) and ExecutionStarted
	// events (Instance.ID set) that the operations cause.
	Sent   []*history.Event
	Pieces []Piece
	Keep   []history.Hash // payloads stored by others that the state now refers to
	// Release are payloads that the state refers to no more. What is in Pieces or Keep
	// of the same batch too, is kept.
	Release []history.Hash

	seq uint64 // of a worker's batch
}

// Take adds what an operation did to the entity's payloads: it released some, and stored
// and kept others.
func (b *EntityBatch) Take(pieces []Piece, keep, release []history.Hash) {
	for _, h := range release {
		b.Pieces = slices.DeleteFunc(b.Pieces, func(p Piece) bool { return p.Hash == h })
		b.Keep = slices.DeleteFunc(b.Keep, func(k history.Hash) bool { return k == h })
	}
	b.Release = append(b.Release, release...)
	b.Pieces = append(b.Pieces, pieces...)
	b.Keep = append(b.Keep, keep...)
}

// Piece is a payload to be stored by its hash together with a turn or result.
type Piece struct {
	Hash history.Hash
	Data []byte
}

// PayloadReader reads payloads by hash, also those not yet committed.
type PayloadReader interface {
	Payload(ctx context.Context, h history.Hash) ([]byte, error)
}
