// Package store says what the engine needs from storage: one atomic batch at a
// time, and reads of what is committed.
//
// A store is passive. It decides nothing, retries nothing and starts nothing;
// every rule about orchestrations lives in the engine above it. What it does
// promise is small and is checked for each implementation by package storetest:
//
//   - Commit is atomic and durable: all of a batch or nothing of it, on disk when
//     Commit returns nil.
//   - Reads see committed batches only, and each sees one moment.
//   - One process at a time writes: Open takes the lease, and each commit is
//     fenced by the lease's epoch.
package store

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
)

// Store keeps one task hub. Commit is called by one goroutine at a time; reads
// may run beside it and beside each other.
type Store interface {
	// Commit makes a batch durable. On nil everything in b is on disk. On an
	// error nothing of it is, and the same batch may be tried again, unless the
	// error is ErrUnknown or ErrFenced: then the caller must stop. It keeps
	// nothing of b. A done ctx stops a commit that has not begun to write, never
	// one that has.
	Commit(ctx context.Context, b *Batch) error

	// Sweep deletes a bounded piece of what purged instances have left, in a
	// transaction that is fenced and fails as a batch's is, and tells whether more
	// is left. It is called like Commit, and not beside it.
	Sweep(ctx context.Context, epoch uint64) (more bool, err error)

	// Recover gives what an engine needs to know when it opens.
	Recover(ctx context.Context) (Recovery, error)
	// Runnable lists the ids of instances that have activities pending or
	// messages waiting, but for those that are Pending and have a Due, in order of creation; after them, those with messages
	// that do not exist yet, in order of their oldest message.
	Runnable(ctx context.Context) iter.Seq2[string, error]
	// Due gives up to limit instances that have a timer set, those due first
	// first, starting after the given position (zero Due: from the start).
	Due(ctx context.Context, after Due, limit int) ([]Due, error)

	// Instance gives an instance's row, or ErrNotFound.
	Instance(ctx context.Context, id string) (*Instance, error)
	// Executions gives the ended executions of an instance, oldest first; the
	// current one is in its row.
	Executions(ctx context.Context, num int64) ([]Execution, error)
	// History streams the history rows of one execution, oldest first, given
	// the key of its last row (0: nothing). A row is whole events
	// (history.DecodeRows); it is valid until the next one is asked for. A row
	// that is missing ends the stream with an error. The loop's body may read
	// from the store and commit to it.
	History(ctx context.Context, last int64) iter.Seq2[[]byte, error]
	// Row gives one history row by its key, or ErrNotFound: the first row of an
	// execution holds its input, the last one its result.
	Row(ctx context.Context, key int64) ([]byte, error)
	// Inbox gives the messages that wait for an instance, in the order of their
	// keys.
	Inbox(ctx context.Context, id string) ([]Message, error)
	// Payload gives a payload by its hash, or ErrNotFound.
	Payload(ctx context.Context, h history.Hash) ([]byte, error)
	// Effects gives the records of an instance's unsafe effects, in the order of
	// their intents (then of execution and ID).
	Effects(ctx context.Context, num int64) ([]Effect, error)
	// Progress streams every call's progress that is kept, in the order of
	// instance, execution and call. There is some only of calls that are not over.
	Progress(ctx context.Context) iter.Seq2[Progress, error]
	// Query lists instances.
	Query(ctx context.Context, q Query) (Page, error)

	// Close waits for reads under way, releases the lease and the files. It is
	// safe to call twice.
	Close() error
}

// Errors of a store. Others carry the cause in words.
var (
	// ErrNotFound: there is no such instance, payload or record.
	ErrNotFound = errors.New("not found")
	// ErrUnknown: a commit failed so that nobody knows what is on disk (a sync
	// failed). The engine halts; what is on disk is found out by opening again.
	ErrUnknown = errors.New("outcome of the commit is unknown")
	// ErrFenced: another process has taken the lease since. Nothing was written.
	ErrFenced = errors.New("the store's lease was lost")
	// ErrClosed: the store was closed before the call. Nothing was written.
	ErrClosed = errors.New("the store is closed")
)

// Batch is what one commit makes durable: a prefix of the engine's log.
type Batch struct {
	Epoch     uint64        // of the lease, see Recovery
	Instances []InstanceRow // each instance at most once
	History   []HistoryRow  // in the order of their keys
	Ended     []Execution   // executions that continued as new
	Inbox     []Message     // messages sent and not yet consumed
	Consumed  []int64       // keys of stored messages that turns of this batch consumed; one that is not stored is an error
	Payloads  []Payload     // stored once by hash; one that exists is left alone
	Refs      []PayloadRef  // which instance keeps which payload; repeating one is harmless
	// Released are references that go when Payloads and Refs are written, each with its
	// payload if that was the last one. One that is not there is harmless, and so is
	// one of an instance that was purged.
	Released []PayloadRef
	Effects  []EffectWrite
	Progress []ProgressWrite // in the order in which they happened: a call may be there more than once
	// Purged are numbers of stored instances that go before the rest of the batch is
	// written, so that it may take their ids again; a number that is not stored
	// is an error. From the commit on no read that begins with an id finds them:
	// the row and the messages that wait for the instance are gone (those for an
	// entity stay, since it comes into being again by them). What may be
	// long goes piece by piece with the calls of Sweep that follow: the histories
	// of all its executions, the records of its effects, and its references with
	// the payloads whose last ones they were. A message that goes like this may be
	// among Consumed of the same batch.
	Purged []int64
}

// InstanceRow is an instance's row to write. Inserting an id or number that
// exists, or updating a number that does not, fails the batch.
type InstanceRow struct {
	*Instance
	New bool // insert; otherwise only the fields that are marked "changes" are written
}

// Instance is what the engine knows of an instance without reading its history.
// The ids of entities begin with "@".
type Instance struct {
	Num     int64 // its number in the hub, from 1, in order of creation
	ID      string
	Name    string
	Parent  string // id of the instance that started it and waits for it; "" for none
	Created time.Time
	Tags    map[string]string
	// Origin is the id of the instance's first execution. Continue-as-new and
	// rewind keep it, so idempotency keys made from it stay the same.
	Origin string

	// These change.
	Version      string
	Execution    string // current execution's id; "" for an entity
	Generation   int32  // how many executions ended by continue-as-new before it
	Status       history.Status
	Updated      time.Time
	Completed    time.Time       // zero until it ended
	CustomStatus history.Payload // entities: what the engine keeps of the lock
	Pending      int             // activities scheduled and not answered
	Due          time.Time       // earliest timer that is not fired; zero for none
	First, Last  int64           // keys of the first and last history row of the current execution; 0 for none
	Events       int32           // events in the current execution's history
	State        history.Payload // entities: nil is no state (never set, or deleted)
	LockedBy     string          // entities: instance that holds the lock
}

// HistoryRow is some consecutive events of one execution. Rows lie in the order
// of the log, each pointing to its execution's previous one: appending to many
// instances touches the end of one table, not a page for each.
type HistoryRow struct {
	Key  int64 // position, increasing over the hub
	Prev int64 // key of the execution's previous row; 0 for its first
	Data []byte
}

// Execution is one that ended by continue-as-new.
type Execution struct {
	Num         int64 // instance
	Generation  int32
	ID          string
	First, Last int64
	Events      int32
	Started     time.Time
}

// Message waits for an instance, which need not exist yet.
type Message struct {
	Key  int64 // order of arrival over the hub
	To   string
	Data []byte // the engine's
}

// Payload is a value stored apart from what refers to it.
type Payload struct {
	Hash history.Hash
	Data []byte
}

// PayloadRef says that an instance keeps a payload. There is one for all places of
// the instance that refer to it. A payload goes with its last reference.
type PayloadRef struct {
	Hash history.Hash
	Num  int64
}

// EffectKey names one call of an at-most-once activity.
type EffectKey struct {
	Num       int64  // instance
	Execution string // execution in which it was scheduled
	ID        int32  // ID of its TaskScheduled event
}

// Effect is the record of an activity that must not run twice. It is written as
// an intent before the function is called and completed by its receipt in the
// commit that holds the result.
type Effect struct {
	EffectKey
	Activity       string
	IdempotencyKey string
	Intent         time.Time
	Receipt        time.Time // zero: the outcome is unknown unless the call is still running
	Failed         bool      // the receipt is of a failure
}

// EffectWrite writes an intent (Receipt zero) or completes one: the record as it
// is to be, whole, in place of one with the same key.
type EffectWrite struct{ Effect }

// ProgressKey names one logical call of an activity, with all its attempts.
type ProgressKey struct {
	Num       int64  // instance
	Execution string // execution in which it was scheduled
	Call      int32  // history.Event.Call; the ID of its TaskScheduled event where that has none
}

// Progress is how far a call that is not over had come, as it said last.
type Progress struct {
	ProgressKey
	Data history.Payload // nil is absent
	At   time.Time       // when it said so
}

// ProgressWrite keeps a call's progress in place of an earlier one, or forgets
// it; forgetting what is not there is harmless.
type ProgressWrite struct {
	Progress
	Gone bool // the call is over: only the key counts
}

// Recovery is the state of a store when it is opened.
type Recovery struct {
	Epoch   uint64 // of the lease that this process holds
	LastNum int64  // highest Instance.Num, also of one that is purged and not swept
	LastRow int64  // highest HistoryRow.Key
	LastMsg int64  // highest Message.Key among waiting ones
}

// Due is an instance's next timer. They are ordered by At, then Num.
type Due struct {
	At  time.Time
	Num int64
	ID  string
}
