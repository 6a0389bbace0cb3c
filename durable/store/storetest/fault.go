package storetest

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Op is a call of a store at which a [Faulty] can fail.
type Op string

// The calls. OpCommitted comes after a commit that succeeded, OpHistoryRow and
// OpRunnableID before each row and id that is given; the others come before
// the call.
const (
	OpCommit     Op = "commit"
	OpCommitted  Op = "committed"
	OpSweep      Op = "sweep"
	OpRecover    Op = "recover"
	OpRunnable   Op = "runnable"
	OpRunnableID Op = "runnable id"
	OpDue        Op = "due"
	OpInstance   Op = "instance"
	OpExecutions Op = "executions"
	OpHistory    Op = "history"
	OpHistoryRow Op = "history row"
	OpRow        Op = "row"
	OpInbox      Op = "inbox"
	OpPayload    Op = "payload"
	OpEffects    Op = "effects"
	OpProgress   Op = "progress"
	OpQuery      Op = "query"
	OpClose      Op = "close"
)

// Faulty is a store that fails where it is told to. Make one with [NewFault].
type Faulty struct {
	s   store.Store
	err func(op Op, n int) error

	mu    sync.Mutex
	calls map[Op]int
}

var _ store.Store = (*Faulty)(nil)

// NewFault wraps s. Before each call it asks err, with the number of calls of
// that op so far, this one included, and fails with the answer unless that is
// nil. err is called by one goroutine at a time.
//
// A fault at OpCommit means that nothing was written; err may choose what it
// wraps. At OpCommitted everything was, and Commit returns store.ErrUnknown with
// the fault wrapped. After OpClose s is closed all the same.
func NewFault(s store.Store, err func(op Op, n int) error) *Faulty {
	return &Faulty{s: s, err: err, calls: map[Op]int{}}
}

// Calls gives how often op was reached.
func (f *Faulty) Calls(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

func (f *Faulty) fault(op Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[op]++
	if err := f.err(op, f.calls[op]); err != nil {
		return fmt.Errorf("injected at %s %d: %w", op, f.calls[op], err)
	}
	return nil
}

// faulty runs a call unless its fault comes first.
func faulty[T any](f *Faulty, op Op, call func() (T, error)) (T, error) {
	if err := f.fault(op); err != nil {
		var none T
		return none, err
	}
	return call()
}

// faultySeq does the same for a stream and each of its values.
func faultySeq[T any](f *Faulty, op, each Op, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		if err := f.fault(op); err != nil {
			yield(none, err)
			return
		}
		for v, err := range seq {
			if err == nil {
				err = f.fault(each)
			}
			if err != nil {
				yield(none, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Commit can fail before and after.
func (f *Faulty) Commit(ctx context.Context, b *store.Batch) error {
	if err := f.fault(OpCommit); err != nil {
		return err
	}
	if err := f.s.Commit(ctx, b); err != nil {
		return err
	}
	if err := f.fault(OpCommitted); err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnknown, err)
	}
	return nil
}

// Sweep can fail.
func (f *Faulty) Sweep(ctx context.Context, epoch uint64) (bool, error) {
	return faulty(f, OpSweep, func() (bool, error) { return f.s.Sweep(ctx, epoch) })
}

// Recover can fail.
func (f *Faulty) Recover(ctx context.Context) (store.Recovery, error) {
	return faulty(f, OpRecover, func() (store.Recovery, error) { return f.s.Recover(ctx) })
}

// Runnable can fail at its start and at each id.
func (f *Faulty) Runnable(ctx context.Context) iter.Seq2[string, error] {
	return faultySeq(f, OpRunnable, OpRunnableID, f.s.Runnable(ctx))
}

// Due can fail.
func (f *Faulty) Due(ctx context.Context, after store.Due, limit int) ([]store.Due, error) {
	return faulty(f, OpDue, func() ([]store.Due, error) { return f.s.Due(ctx, after, limit) })
}

// Instance can fail.
func (f *Faulty) Instance(ctx context.Context, id string) (*store.Instance, error) {
	return faulty(f, OpInstance, func() (*store.Instance, error) { return f.s.Instance(ctx, id) })
}

// Executions can fail.
func (f *Faulty) Executions(ctx context.Context, num int64) ([]store.Execution, error) {
	return faulty(f, OpExecutions, func() ([]store.Execution, error) { return f.s.Executions(ctx, num) })
}

// History can fail at its start and at each row.
func (f *Faulty) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	return faultySeq(f, OpHistory, OpHistoryRow, f.s.History(ctx, last))
}

// Row can fail.
func (f *Faulty) Row(ctx context.Context, key int64) ([]byte, error) {
	return faulty(f, OpRow, func() ([]byte, error) { return f.s.Row(ctx, key) })
}

// Inbox can fail.
func (f *Faulty) Inbox(ctx context.Context, id string) ([]store.Message, error) {
	return faulty(f, OpInbox, func() ([]store.Message, error) { return f.s.Inbox(ctx, id) })
}

// Payload can fail.
func (f *Faulty) Payload(ctx context.Context, h history.Hash) ([]byte, error) {
	return faulty(f, OpPayload, func() ([]byte, error) { return f.s.Payload(ctx, h) })
}

// Effects can fail.
func (f *Faulty) Effects(ctx context.Context, num int64) ([]store.Effect, error) {
	return faulty(f, OpEffects, func() ([]store.Effect, error) { return f.s.Effects(ctx, num) })
}

// Progress can fail at its start and at each record.
func (f *Faulty) Progress(ctx context.Context) iter.Seq2[store.Progress, error] {
	return faultySeq(f, OpProgress, OpProgress, f.s.Progress(ctx))
}

// Query can fail.
func (f *Faulty) Query(ctx context.Context, q store.Query) (store.Page, error) {
	return faulty(f, OpQuery, func() (store.Page, error) { return f.s.Query(ctx, q) })
}

// Close can fail, but closes.
func (f *Faulty) Close() error {
	fault := f.fault(OpClose)
	if err := f.s.Close(); err != nil {
		return err
	}
	return fault
}
