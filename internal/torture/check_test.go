//go:build linux || darwin

package torture

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	sqlitestore "github.com/agentrun-dev/agentrun/durable/store/sqlite"
)

// copyImage copies a store's files as they lie, as nobody has them open.
func copyImage(from, to string) error {
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(filepath.Join(from, "hub.db"+suffix))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, "hub.db"+suffix), b, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// integrity asks SQLite whether it finds anything wrong with a database.
func integrity(path string) (string, error) {
	c, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return "", err
	}
	defer c.Close()
	text := ""
	err = sqlitex.ExecuteTransient(c, "pragma integrity_check", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		text += st.ColumnText(0)
		return nil
	}})
	return text, err
}

// checker compares an image of the store with the account.
type checker struct {
	*account
	ctx     context.Context
	round   *round
	s       store.Store
	defs    *definitions
	effects string        // the directory of the world's effects
	asked   map[call]bool // calls that histories have
	intents map[call]store.Effect
	// attempts has the last attempt of each call, which may have other numbers.
	attempts map[call]call
}

// check looks at the image in dir. final says that everything has ended.
func (a *account) check(ctx context.Context, r *round, dir string, final bool) (err error) {
	path := filepath.Join(dir, "hub.db")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		a.must(len(a.calls) == 0, "there is no database")
		return nil // killed before there was one
	}
	a.figures.Images++
	text, err := integrity(path)
	if !a.must(err == nil && text == "ok", "the database is damaged: %.300s %v", text, err) {
		return nil
	}
	s, err := sqlitestore.Open(ctx, path, sqlitestore.Options{NoPreallocation: true})
	if err != nil {
		a.find("the store does not open: %v", err)
		return nil
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	c := &checker{account: a, ctx: ctx, round: r, s: s, defs: define(nil, ""), effects: filepath.Join(r.dir, "effects"),
		asked: map[call]bool{}, intents: map[call]store.Effect{}, attempts: map[call]call{}}
	rows, err := c.query(store.Query{})
	if err != nil {
		return err
	}
	byID := map[string]*store.Instance{}
	for _, in := range rows {
		byID[in.ID] = in
		if err := c.instance(in); err != nil {
			a.find("%s cannot be read: %v", in.ID, err)
		}
	}
	c.witnessed()
	if err := c.progress(rows); err != nil {
		return err
	}
	if err := c.promised(byID, final); err != nil {
		return err
	}
	return c.ledgers(final)
}

func (c *checker) query(q store.Query) (all []*store.Instance, err error) {
	for {
		page, err := c.s.Query(c.ctx, q)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Instances...)
		if page.Token == "" {
			return all, nil
		}
		q.Token = page.Token
	}
}

func (c *checker) instance(in *store.Instance) error {
	effects, err := c.s.Effects(c.ctx, in.Num)
	if err != nil {
		return err
	}
	for _, e := range effects {
		c.intents[call{in.ID, e.Execution, e.ID}] = e
	}
	old, err := c.s.Executions(c.ctx, in.Num)
	if err != nil {
		return err
	}
	for _, x := range old {
		if err := c.execution(in, x.ID, x.Last, int(x.Events), true); err != nil {
			return err
		}
	}
	return c.execution(in, in.Execution, in.Last, int(in.Events), in.Status.Ended())
}

// execution checks one history.
func (c *checker) execution(in *store.Instance, id string, last int64, count int, ended bool) error {
	if last == 0 {
		c.must(count == 0 && !ended, "execution %s of %s has no history, and %d events", id, in.ID, count)
		return nil // it continued as new, and the next execution has had no turn
	}
	var events []*history.Event
	for row, err := range c.s.History(c.ctx, last) {
		if err != nil {
			return err
		}
		some, err := decode(row)
		if err != nil {
			return err
		}
		events = append(events, some...)
	}
	c.figures.Histories++
	c.figures.Events += len(events)
	c.must(len(events) == count, "%s has %d events in its history and %d in its row", in.ID, len(events), count)
	open := c.shape(in, id, events)
	if id == in.Execution && !ended {
		c.must(open == in.Pending, "%s has %d calls open in its history and %d in its row", in.ID, open, in.Pending)
	}
	end := events[len(events)-1].Kind
	c.must(ended == (end == history.ExecutionCompleted || end == history.ExecutionTerminated || end == history.ContinueAsNew),
		"%s ended: %v, and the last event of its history is %v", in.ID, ended, end)

	sequence := func(yield func(*history.Event, error) bool) {
		for _, ev := range events {
			if !yield(ev, nil) {
				return
			}
		}
	}
	d, err := durable.Replay(c.ctx, sequence, func(h history.Hash) ([]byte, error) { return c.s.Payload(c.ctx, h) }, c.defs.all...)
	if err != nil {
		return err
	}
	c.must(d == nil, "the replay of %s: %v", in.ID, d)
	return nil
}

// shape checks the order of a history's events, and what they answer. It gives the
// number of activities without an answer.
func (c *checker) shape(in *store.Instance, execution string, events []*history.Event) int {
	at := func(i int, format string, args ...any) string {
		return fmt.Sprintf("event %d of %s (%v): %s", i, in.ID, events[i].Kind, fmt.Sprintf(format, args...))
	}
	var clock time.Time
	var lastID int32 = history.FromOutside
	scheduled, timers := map[int32]bool{}, map[int32]bool{}
	began, open := 0, 0
	raised := map[string]int{}
	for i, ev := range events {
		if ev.ID != history.FromOutside {
			c.must(ev.ID > lastID, "%s", at(i, "its number %d is not above %d", ev.ID, lastID))
			lastID = max(lastID, ev.ID)
		}
		this := call{in.ID, execution, ev.Answers}
		switch ev.Kind {
		case history.OrchestratorStarted:
			c.must(!ev.Time.Before(clock), "%s", at(i, "it is of %v, the turn before of %v", ev.Time, clock))
			clock = ev.Time
		case history.ExecutionStarted:
			began++
			c.must(i == 1 && ev.Instance.Execution == execution, "%s", at(i, "it does not begin the execution"))
			c.must(!clock.Before(ev.FireAt), "%s", at(i, "it began at %v, to be started at %v", clock, ev.FireAt))
		case history.TaskScheduled:
			scheduled[ev.ID] = true
			open++
			this.task = ev.ID
			c.asked[this] = false
			logical := this
			if ev.Call != 0 {
				logical.task = ev.Call
			}
			c.attempts[logical] = this
		case history.TaskCompleted, history.TaskFailed:
			c.must(scheduled[ev.Answers], "%s", at(i, "it answers %d, which is not open", ev.Answers))
			delete(scheduled, ev.Answers)
			open--
			c.answer(this, ev)
		case history.TimerCreated:
			timers[ev.ID] = true
		case history.TimerFired:
			c.must(timers[ev.Answers], "%s", at(i, "it answers %d, which is not open", ev.Answers))
			delete(timers, ev.Answers)
			c.must(!clock.Before(ev.FireAt), "%s", at(i, "it fired at %v, due at %v", clock, ev.FireAt))
		case history.GenericEvent:
			if id, ok := ev.Cancels(); ok && scheduled[id] {
				delete(scheduled, id)
				open--
				c.canceled(call{in.ID, execution, id})
			}
		case history.EventRaised:
			raised[ev.Name]++
		}
	}
	c.must(events[0].Kind == history.OrchestratorStarted && began == 1, "the history of %s begins %d times, with %v", in.ID, began, events[0].Kind)
	if p := c.tasks[c.round.index(in.ID)]; p != nil {
		for n, e := range p.events {
			c.must(raised[eventName(n)] <= e.tried, "event %d reached %s %d times, and was raised %d times", n, in.ID, raised[eventName(n)], e.tried)
		}
	}
	return open
}

// canceled takes note of a call that was given up: it is not made again.
func (c *checker) canceled(this call) {
	r := c.calls[this]
	if r == nil {
		r = &callRecord{what: "endless"}
		c.calls[this] = r
	}
	c.asked[this] = true
	if r.answered == 0 {
		r.answered = c.life
		c.figures.Canceled++
	}
}

// answer checks an answer that is on disk: somebody gave it, and the records of what
// must not be done twice know of it.
func (c *checker) answer(this call, ev *history.Event) {
	r := c.calls[this]
	unknown := ev.Failure != nil && ev.Failure.Type == engine.UnknownOutcome
	if ev.Failure != nil && ev.Failure.Type == string(engine.StartToClose) {
		if r == nil {
			r = &callRecord{what: "late"} // it is on its way
			c.calls[this] = r
		}
		if r.answered == 0 {
			c.figures.TimedOut++
		}
	} else if r == nil || !r.ended && !unknown {
		if !c.must(unknown, "%s has an answer that nobody gave", this) {
			return
		}
		r = &callRecord{what: "once"} // killed between its intent and its first step
		c.calls[this] = r
	}
	if unknown && r.answered == 0 {
		c.figures.Unknown++
		c.must(!tellable(r.what), "the outcome of %s %s is unknown though Reconcile can tell", r.what, this)
		c.must(!slices.Contains(r.begun, c.life), "the outcome of %s is unknown though its process did not end", this)
	}
	if atMostOnce(r.what) {
		e, ok := c.intents[this]
		if c.must(ok, "%s %s has an answer and no intent", r.what, this) {
			c.must(unknown || !e.Receipt.IsZero(), "%s %s has an answer and no receipt", r.what, this)
			c.must(!unknown || e.Receipt.IsZero(), "the outcome of %s %s is unknown, and it has a receipt", r.what, this)
			c.must(unknown || e.Failed == (ev.Kind == history.TaskFailed), "the receipt of %s %s says failed: %v", r.what, this, e.Failed)
		}
		if r.what != "once" && ev.Kind == history.TaskCompleted {
			_, err := os.Stat(filepath.Join(c.effects, e.IdempotencyKey))
			c.must(err == nil, "%s %s is recorded and did not happen", r.what, this)
		}
	}
	c.asked[this] = true
	if r.answered == 0 {
		r.answered = c.life
	}
}

// witnessed checks what was done against what the store knows: nothing but pure
// activities begins before its step is on disk, nothing unsafe before its intent.
func (c *checker) witnessed() {
	for this, r := range c.calls {
		answered, asked := c.asked[this]
		c.must(answered || r.answered == 0, "the answer of %s %s was on disk and is gone", r.what, this)
		if len(r.begun) == 0 || r.what == "pure" {
			continue
		}
		c.must(asked, "%s %s began, and its step is not on disk", r.what, this)
		if atMostOnce(r.what) {
			_, ok := c.intents[this]
			c.must(ok, "%s %s began, and its intent is not on disk", r.what, this)
		}
	}
	for this, e := range c.intents {
		r := c.calls[this]
		c.must(e.Receipt.IsZero() || r != nil && c.asked[this], "%s has a receipt and no answer", this)
	}
}

// promised checks what clients were told.
func (c *checker) promised(rows map[string]*store.Instance, final bool) error {
	for i, p := range c.tasks {
		in := rows[instanceName(i)]
		c.must(!p.beside.acked || rows[purgedName(i)] == nil, "%s was purged, and it is there", purgedName(i))
		c.must(!final || rows[briefName(i)] == nil, "%s is there after its retention", briefName(i))
		if in == nil && p.started.acked {
			waiting, err := c.s.Inbox(c.ctx, instanceName(i))
			if err != nil {
				return err
			}
			c.must(len(waiting) > 0, "the start of %s was acknowledged, and it is not there", instanceName(i))
			continue
		}
		if in == nil {
			c.must(p.done == "" && !final, "%s is not there", instanceName(i))
			continue
		}
		c.must(p.started.tried > 0, "%s was never started", in.ID)
		if p.done == "" && !final {
			continue
		}
		if !c.must(in.Status == history.Completed, "%s is %v", in.ID, in.Status) {
			continue
		}
		last, err := c.s.Row(c.ctx, in.Last)
		if err != nil {
			return err
		}
		events, err := decode(last)
		if err != nil {
			return err
		}
		text := string(events[len(events)-1].Data)
		c.must(p.done == text, "a client was told that %s gives %s, and it gives %s", in.ID, p.done, text)
		_, sum, err := outcomeOf(text)
		if err != nil {
			return err
		}
		want, _ := interpret(c.round.script(i), i, map[string]map[string]int{})
		c.must(sum == want, "%s gives %d, not %d: %s", in.ID, sum, want, text)
	}
	return nil
}

// ledgers checks what entities hold: at the end exactly what was written, before
// never more.
func (c *checker) ledgers(final bool) error {
	want := map[string]map[string]int{}
	for i := range c.tasks {
		interpret(c.round.script(i), i, want)
	}
	rows, err := c.query(store.Query{Entities: true})
	if err != nil {
		return err
	}
	got, states := map[string]ledger{}, map[string][]byte{}
	for _, in := range rows {
		if states[in.ID] = in.State; !strings.HasPrefix(in.ID, c.defs.ledger.ID("")) {
			continue
		}
		var l ledger
		if in.State != nil {
			if err := json.Unmarshal(in.State, &l); err != nil {
				return fmt.Errorf("state of %s: %w", in.ID, err)
			}
		}
		got[in.ID] = l
	}
	if final {
		c.safes(states, want["safes"])
	}
	for i, p := range c.tasks {
		l := got[c.defs.ledger.ID(ledgerOf(i))]
		for n, s := range p.signals {
			name := signalName(i, n)
			c.must(l.Entries[name] <= s.tried, "signal %d of %d was written %d times, and sent %d times", n, i, l.Entries[name], s.tried)
			c.must(!final || l.Entries[name] > 0, "signal %d of %d was acknowledged and is not in the ledger", n, i)
		}
	}
	for n := range ledgers {
		l := got[c.defs.ledger.ID(ledgerOf(n))]
		entries := want[ledgerOf(n)]
		total := 0
		for name, times := range l.Entries {
			if v, ok := entries[name]; ok {
				c.must(times == 1, "%s is in its ledger %d times", name, times)
				total += v * times
				continue
			}
			var i, k int
			if _, err := fmt.Sscanf(name, "from-outside-%d-%d", &i, &k); err != nil {
				c.find("entry %s of %s comes from nowhere", name, ledgerOf(n))
			}
			total += times * (k + 1)
		}
		c.must(total == l.Total, "the entries of %s are %d in sum, its total is %d", ledgerOf(n), total, l.Total)
		for _, name := range slices.Sorted(maps.Keys(entries)) {
			c.must(!final || l.Entries[name] == 1, "%s is not in its ledger", name)
		}
	}
	return nil
}
