package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Effects is what can be told of an instance's effects outside.
type Effects struct {
	// Records are those of at-most-once activities, in the order of their intents.
	Records []EffectRecord
	// Keys make the idempotency keys of all its activities, by execution, oldest first.
	Keys []Keys
}

// EffectRecord is the record of one attempt of an at-most-once activity.
type EffectRecord struct {
	Execution string // in which it was scheduled
	Task      int32  // ID of its TaskScheduled event there
	Activity  string
	Key       string // the call's idempotency key
	Intent    time.Time
	Receipt   time.Time // zero: the outcome is unknown, unless Running
	Failed    bool      // the receipt is of a failure
	Running   bool      // its function runs in the process that has the hub
}

// Keys makes the idempotency keys of the activities of one execution.
type Keys struct {
	Execution string
	// Seed is what the keys have in common.
	Seed []byte
}

// seed makes that of an execution: generation counts executions, but not those that rewinds
// began.
func seed(hub, instance, origin string, generation int32) []byte {
	var b []byte
	for _, s := range []string{hub, instance, origin, strconv.Itoa(int(generation))} {
		b = append(append(b, s...), 0)
	}
	return b
}

// Of gives the key of a call that a TaskScheduled event of the execution began.
func (k Keys) Of(scheduled *history.Event) string {
	logical := scheduled.Call
	if logical == 0 {
		logical = scheduled.ID // written by someone who numbers no calls
	}
	h := sha256.New()
	h.Write(k.Seed)
	h.Write([]byte(strconv.Itoa(int(logical))))
	h.Write([]byte{0})
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// OutsideEffects tells what is known of an instance's effects outside.
func (e *Engine) OutsideEffects(ctx context.Context, id string) (*Effects, error) {
	r, old, err := e.executions(ctx, id)
	if err != nil {
		return nil, err
	}
	list, err := e.store.Effects(ctx, r.Num)
	if err != nil {
		return nil, err
	}
	all := &Effects{}
	for _, x := range list {
		all.Records = append(all.Records, EffectRecord{
			Execution: x.Execution, Task: x.ID, Activity: x.Activity, Key: x.IdempotencyKey,
			Intent: x.Intent, Receipt: x.Receipt, Failed: x.Failed,
		})
	}
	e.effects.mark(all.Records)
	for _, x := range append(old, store.Execution{ID: r.Execution, Generation: r.Generation, Last: r.Last}) {
		rewinds, err := e.rewindsOf(ctx, x.Last)
		if err != nil {
			return nil, fmt.Errorf("history of %s: %w", id, err)
		}
		all.Keys = append(all.Keys, Keys{x.ID, seed(e.opts.Hub, id, r.Origin, x.Generation-rewinds)})
	}
	return all, nil
}

// mark tells which of the records are of functions that run now: of several attempts of a
// call it can only be the last one.
func (r *runningEffects) mark(records []EffectRecord) {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := map[string]bool{}
	for i, x := range slices.Backward(records) {
		if _, runs := r.m[x.Key]; runs && !seen[x.Key] && x.Receipt.IsZero() {
			records[i].Running = true
		}
		seen[x.Key] = true
	}
}

// rewindsOf tells how often the execution whose history ends with a row was rewound before
// it began.
func (e *Engine) rewindsOf(ctx context.Context, last int64) (int32, error) {
	if last == 0 {
		return 0, nil
	}
	for row, err := range e.store.History(ctx, last) {
		if err != nil {
			return 0, err
		}
		for ev, err := range history.DecodeRows(row) {
			if err != nil {
				return 0, err
			}
			if ev.Kind == history.ExecutionStarted {
				return ev.Attempt, nil
			}
		}
	}
	return 0, nil
}
