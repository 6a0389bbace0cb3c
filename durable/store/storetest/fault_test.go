package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/durable/store/storetest"
)

var errDisk = errors.New("disk on fire")

func TestFaultEveryCall(t *testing.T) {
	ctx := t.Context()
	one := &store.Instance{Num: 1, ID: "one", Pending: 1}
	row := store.HistoryRow{Key: 1, Data: []byte("x")}
	calls := map[storetest.Op]func(s store.Store) error{
		storetest.OpCommit:     func(s store.Store) error { return s.Commit(ctx, &store.Batch{Epoch: 1}) },
		storetest.OpCommitted:  func(s store.Store) error { return s.Commit(ctx, &store.Batch{Epoch: 1}) },
		storetest.OpRecover:    func(s store.Store) error { _, err := s.Recover(ctx); return err },
		storetest.OpRunnable:   func(s store.Store) error { return drain(s.Runnable(ctx)) },
		storetest.OpRunnableID: func(s store.Store) error { return drain(s.Runnable(ctx)) },
		storetest.OpDue:        func(s store.Store) error { _, err := s.Due(ctx, store.Due{}, 1); return err },
		storetest.OpInstance:   func(s store.Store) error { _, err := s.Instance(ctx, "one"); return err },
		storetest.OpExecutions: func(s store.Store) error { _, err := s.Executions(ctx, 1); return err },
		storetest.OpHistory:    func(s store.Store) error { return drain(s.History(ctx, 1)) },
		storetest.OpHistoryRow: func(s store.Store) error { return drain(s.History(ctx, 1)) },
		storetest.OpRow:        func(s store.Store) error { _, err := s.Row(ctx, 1); return err },
		storetest.OpInbox:      func(s store.Store) error { _, err := s.Inbox(ctx, "one"); return err },
		storetest.OpPayload:    func(s store.Store) error { _, err := s.Payload(ctx, history.HashOf(nil)); return err },
		storetest.OpEffects:    func(s store.Store) error { _, err := s.Effects(ctx, 1); return err },
		storetest.OpQuery:      func(s store.Store) error { _, err := s.Query(ctx, store.Query{}); return err },
		storetest.OpClose:      func(s store.Store) error { return s.Close() },
	}
	for op, call := range calls {
		t.Run(string(op), func(t *testing.T) {
			m := memory.New()
			f := storetest.NewFault(m, func(at storetest.Op, n int) error {
				if at == op && n == 2 {
					return errDisk
				}
				return nil
			})
			b := store.Batch{Epoch: 1, Instances: []store.InstanceRow{{Instance: one, New: true}},
				History: []store.HistoryRow{row}, Payloads: []store.Payload{{Hash: history.HashOf(nil)}}}
			if err := m.Commit(ctx, &b); err != nil {
				t.Fatal(err)
			}
			if err := call(f); err != nil {
				t.Fatalf("the first call: %v", err)
			}
			if err := call(f); !errors.Is(err, errDisk) || errors.Is(err, store.ErrUnknown) != (op == storetest.OpCommitted) {
				t.Errorf("the second call: %v", err)
			}
			if n := f.Calls(op); n != 2 {
				t.Errorf("%d calls counted", n)
			}
		})
	}
}

func drain[T any](seq func(func(T, error) bool)) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// A fault before a commit leaves nothing behind, one after it everything.
func ExampleNewFault() {
	ctx := context.Background()
	m := memory.New()
	defer m.Close()
	at := storetest.OpCommit
	f := storetest.NewFault(m, func(op storetest.Op, _ int) error {
		if op == at {
			return errors.New("no luck")
		}
		return nil
	})
	for i, op := range []storetest.Op{storetest.OpCommit, storetest.OpCommitted} {
		at = op
		id := fmt.Sprint("instance-", i)
		err := f.Commit(ctx, &store.Batch{Epoch: 1, Instances: []store.InstanceRow{
			{Instance: &store.Instance{Num: int64(i + 1), ID: id}, New: true}}})
		_, found := m.Instance(ctx, id)
		fmt.Println(err)
		fmt.Println("written:", found == nil)
	}
	// Output:
	// injected at commit 1: no luck
	// written: false
	// outcome of the commit is unknown: injected at committed 1: no luck
	// written: true
}
