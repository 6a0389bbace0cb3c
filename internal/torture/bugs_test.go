//go:build linux || darwin

package torture

import (
	"context"
	"errors"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
)

// Bugs that a worker has on purpose, one for each kind of finding: what looks for
// something must be able to find it.
const (
	bugLostStart          = "a start is acknowledged and never made"
	bugLostSignal         = "a signal is acknowledged and never sent"
	bugDoubleSignal       = "a signal is sent twice"
	bugLostEvent          = "an event is acknowledged and never raised"
	bugBlindReconcile     = "Reconcile says that nothing happened"
	bugCredulousReconcile = "Reconcile says that everything happened"
	bugOtherCode          = "the code takes other steps"
	bugForgottenIntents   = "intents are forgotten"
	bugForgottenAnswers   = "answers are forgotten"
	bugEarlyAck           = "commits are acknowledged before they are on disk"
	bugTornCommit         = "a batch is written in two transactions"
	bugLostReceipts       = "receipts are not written"
	bugLostIntents        = "intents are not written"
	bugDoubleEvent        = "an event is raised twice"
	bugWrongAnswer        = "an activity gives a wrong answer"
	bugSilence            = "an activity that nobody called has an answer"
	bugOtherResult        = "a client is told another result"
	bugEarlyTimer         = "a timer fires before its time"
	bugRowPending         = "a row counts its open calls wrongly"
	bugRowEvents          = "a row counts its events wrongly"
	bugDamage             = "a page of the database is damaged"
	bugWrongID            = "an event has the number of another"
	bugLostLock           = "locks are forgotten"
	bugLostCancel         = "cancellations are forgotten"
	bugNoTimeout          = "an activity may take any time"
	bugLostLater          = "scheduled signals are forgotten"
	bugEarlyStart         = "an instance starts before its time"
	bugLostRetention      = "retention is forgotten"
	bugLostPurge          = "a purge is acknowledged and never made"
	bugEagerProgress      = "calls go on further than they were"
	bugKeptProgress       = "progress is kept when a call is over"
	bugClockBack          = "a turn is older than the one before"
)

// bug wraps the store in the one that the plan names.
func (w *worker) bug(s store.Store) store.Store {
	switch w.plan.Bug {
	case bugForgottenIntents:
		return forgetful{s}
	case bugForgottenAnswers:
		return deaf{s, isAnswer}
	case bugLostLater:
		return careless{s}
	case bugEagerProgress:
		return eager{s}
	case bugLostCancel:
		return deaf{s, isCancel}
	case bugEarlyAck:
		return &hasty{Store: s}
	case bugTornCommit:
		return &torn{Store: s, at: 10 + int(w.plan.Chance%20)}
	case bugLostReceipts, bugLostIntents, bugWrongID, bugClockBack, bugEarlyTimer, bugRowPending, bugRowEvents, bugLostLock, bugEarlyStart, bugLostRetention, bugKeptProgress:
		return &forger{Store: s, bug: w.plan.Bug}
	}
	return s
}

// forgetful has no intents.
type forgetful struct{ store.Store }

func (forgetful) Effects(context.Context, int64) ([]store.Effect, error) { return nil, nil }

// deaf leaves the last of some events out when a history is read.
type deaf struct {
	store.Store
	to func(*history.Event) bool
}

func (d deaf) History(ctx context.Context, last int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var rows [][]*history.Event
		cut := -1
		for row, err := range d.Store.History(ctx, last) {
			if err != nil {
				yield(nil, err)
				return
			}
			events, err := decode(row)
			if err != nil {
				yield(nil, err)
				return
			}
			if slices.ContainsFunc(events, d.to) {
				cut = len(rows)
			}
			rows = append(rows, events)
		}
		for i, events := range rows {
			if i == cut {
				events = slices.DeleteFunc(events, d.to)
			}
			if !yield(encode(events), nil) {
				return
			}
		}
	}
}

func isAnswer(e *history.Event) bool { return e.Kind == history.TaskCompleted }
func isCancel(e *history.Event) bool {
	_, ok := e.Cancels()
	return ok
}

func decode(row []byte) (events []*history.Event, err error) {
	for ev, err := range history.DecodeRows(row) {
		if err != nil {
			return nil, err
		}
		events = append(events, ev)
	}
	return events, nil
}

func encode(events []*history.Event) (row []byte) {
	for _, ev := range events {
		row = history.AppendRow(row, ev)
	}
	return row
}

// hasty has committed when the next batches come, and not before; reads see it all.
type hasty struct {
	store.Store
	mu   sync.Mutex
	late []*store.Batch
}

func (h *hasty) Commit(ctx context.Context, b *store.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.late = append(h.late, clone(b))
	if len(h.late) < 8 {
		return nil
	}
	return h.flush(ctx)
}

func (h *hasty) flush(ctx context.Context) error {
	for _, b := range h.late {
		if err := h.Store.Commit(ctx, b); err != nil {
			return err
		}
	}
	h.late = nil
	return nil
}

func (h *hasty) Instance(ctx context.Context, id string) (*store.Instance, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.flush(ctx); err != nil {
		return nil, err
	}
	return h.Store.Instance(ctx, id)
}

// careless has no messages that wait for entities.
type careless struct{ store.Store }

func (c careless) Inbox(ctx context.Context, id string) ([]store.Message, error) {
	if strings.HasPrefix(id, "@") {
		return nil, nil
	}
	return c.Store.Inbox(ctx, id)
}

// clone keeps what a store must not: the engine reuses its batches.
func clone(b *store.Batch) *store.Batch {
	c := *b
	c.Instances = slices.Clone(b.Instances)
	for i := range c.Instances {
		row := *c.Instances[i].Instance
		c.Instances[i].Instance = &row
	}
	c.History = slices.Clone(b.History)
	for i := range c.History {
		c.History[i].Data = slices.Clone(c.History[i].Data)
	}
	c.Ended, c.Inbox, c.Consumed = slices.Clone(b.Ended), slices.Clone(b.Inbox), slices.Clone(b.Consumed)
	c.Payloads, c.Refs, c.Effects = slices.Clone(b.Payloads), slices.Clone(b.Refs), slices.Clone(b.Effects)
	c.Progress, c.Purged = slices.Clone(b.Progress), slices.Clone(b.Purged)
	return &c
}

// torn writes instances before what else belongs to them, and dies in between.
type torn struct {
	store.Store
	at int
}

func (t *torn) Commit(ctx context.Context, b *store.Batch) error {
	first := clone(b)
	first.History, first.Payloads, first.Effects = nil, nil, nil
	if t.at--; t.at <= 0 && len(b.Instances) > 0 && len(b.History) > 0 {
		if err := t.Store.Commit(ctx, first); err != nil {
			return err
		}
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return t.Store.Commit(ctx, b)
}

// forger changes what is written.
type forger struct {
	store.Store
	bug string
}

func (f *forger) Commit(ctx context.Context, b *store.Batch) error {
	b = clone(b)
	switch f.bug {
	case bugLostReceipts, bugLostIntents:
		b.Effects = slices.DeleteFunc(b.Effects, func(e store.EffectWrite) bool { return e.Receipt.IsZero() == (f.bug == bugLostIntents) })
	case bugKeptProgress:
		b.Progress = slices.DeleteFunc(b.Progress, func(p store.ProgressWrite) bool { return p.Gone })
	case bugRowPending:
		for _, in := range b.Instances {
			in.Pending++
		}
	case bugRowEvents:
		for _, in := range b.Instances {
			in.Events++
		}
	}
	for _, in := range b.Instances {
		entity := strings.HasPrefix(in.ID, "@")
		switch {
		case f.bug == bugLostLock && entity:
			in.LockedBy, in.CustomStatus = "", nil
		case f.bug == bugLostRetention && in.Status.Ended():
			in.Due = time.Time{}
		}
	}
	for i := range b.History {
		events, err := decode(b.History[i].Data)
		if err != nil {
			return err
		}
		for _, ev := range events {
			switch {
			case f.bug == bugWrongID && ev.Kind == history.TaskScheduled && ev.ID > 0:
				ev.ID = 0
			case f.bug == bugClockBack && ev.Kind == history.OrchestratorStarted && b.History[i].Prev != 0:
				ev.Time = ev.Time.AddDate(-1, 0, 0)
			case f.bug == bugEarlyStart && ev.Kind == history.ExecutionStarted && !ev.FireAt.IsZero():
				ev.FireAt = ev.FireAt.AddDate(0, 0, 1)
			case f.bug == bugEarlyTimer && ev.Kind == history.TimerFired:
				ev.FireAt = ev.FireAt.AddDate(0, 0, 1)
			}
		}
		b.History[i].Data = encode(events)
	}
	return f.Store.Commit(ctx, b)
}

// damagePages copies the log into the database and writes nonsense over the heads
// of its later pages.
func damagePages(path string) error {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return err
	}
	if err := errors.Join(sqlitex.ExecuteTransient(c, "pragma wal_checkpoint(truncate)", nil), c.Close()); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	const page = 16 << 10
	info, err := f.Stat()
	for at := int64(2 * page); err == nil && at < info.Size(); at += page {
		_, err = f.WriteAt([]byte("nonsense"), at)
	}
	return err
}

// TestTortureFindsBugs runs workers that have a bug, each one of those above: what the
// checks look for they must find, or they would pass on anything.
func TestTortureFindsBugs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ bug, finding, does string }{
		{bugLostStart, "was acknowledged, and it is not there", ""},
		{bugLostSignal, "was acknowledged and is not in the ledger", "pure"},
		{bugDoubleSignal, "was written 2 times, and sent 1 times", "pure"},
		{bugLostEvent, "was started and does not end", "event"},
		{bugBlindReconcile, "was there already when it was done", "settled"},
		{bugCredulousReconcile, "is recorded and did not happen", "settled"},
		{bugOtherCode, "the replay of", "pure"},
		{bugForgottenIntents, "which is at most once, runs again", "once"},
		{bugForgottenAnswers, "is asked again though its answer was on disk", ""},
		{bugEarlyAck, "its step is not on disk", "plain"},
		{bugTornCommit, "cannot be read", ""},
		{bugLostReceipts, "has an answer and no receipt", "once"},
		{bugWrongID, "is not above", "plain"},
		{bugClockBack, "the turn before of", "plain"},
		{bugLostIntents, "its intent is not on disk", "once"},
		{bugDoubleEvent, "2 times, and was raised 1 times", "event"},
		{bugWrongAnswer, "gives 32, not 24", "plain"},
		{bugSilence, "has an answer that nobody gave", "plain"},
		{bugOtherResult, "a client was told", "pure"},
		{bugEarlyTimer, "it fired at", "sleep"},
		{bugRowPending, "calls open in its history and", "plain"},
		{bugRowEvents, "events in its history and", "plain"},
		{bugLostLock, "is in the section of safe", "lock"},
		{bugLostCancel, "is asked again though its answer was on disk", "endless"},
		{bugNoTimeout, "was started and does not end", "late"},
		{bugLostLater, "is not in its ledger", "later"},
		{bugEarlyStart, "to be started at", "plain"},
		{bugLostRetention, "is there after its retention", "plain"},
		{bugEagerProgress, "was on disk", "counting"},
		{bugKeptProgress, "is over, and its progress is kept", "counting"},
		{bugLostPurge, "was purged, and it is there", "plain"},
		{bugDamage, "the database is damaged", "plain"},
	} {
		t.Run(test.bug, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 20; seed++ {
				if r := newRound(t, seed); r.findsBug(test.bug, test.finding, test.does) {
					t.Logf("seed %d: %s", seed, r.findings[0])
					return
				}
			}
			t.Errorf("20 rounds with the bug, and nobody found that it %q", test.finding)
		})
	}
}

// findsBug runs a round of workers that have a bug. does is what instances do eight
// times; "": what they always do.
func (r *round) findsBug(bug, finding, does string) bool {
	r.bug = bug
	found := func() bool {
		return slices.ContainsFunc(r.findings, func(f string) bool { return strings.Contains(f, finding) })
	}
	for range 3 {
		if does != "" {
			r.scripts = map[int]script{}
			for i := range len(r.tasks) + 8 {
				r.scripts[i] = script{Name: instanceName(i), Steps: slices.Repeat([]step{{Do: does, N: 1}}, 8)}
			}
		}
		r.more(8)
		r.live(fate{cached: -1, killAt: 20 + r.random.IntN(250), patience: 3 * time.Second}, false)
		if found() {
			return true
		}
	}
	r.finish(3 * time.Second)
	return found()
}
