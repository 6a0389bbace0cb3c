package engine

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
)

// The shape of a history is part of the protocol: see BEHAVIOUR (c) and the
// package documentation of history.
func TestTwelveEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		epoch := time.Now().UTC()
		d := Definitions{
			Orchestrations: []Orchestration{
				orchestration("parent", sequence(schedule("upper", "a"),
					&history.Event{Kind: history.TimerCreated, FireAt: epoch.Add(time.Hour)}, child("kid", ""))),
				orchestration("kid", sequence()),
			},
			Activities: []Activity{upper},
		}
		e := start(t, memory.New(), d, Options{})
		begin(t, e, "p", "parent", "")
		finish(t, e, "p")
		evs := events(t, e, "p", "")
		equal(t, "history", show(evs), "OrchestratorStarted-1 ExecutionStarted-1 TaskScheduled+0 "+
			"OrchestratorStarted-1 TaskCompleted-1 TimerCreated+1 "+
			"OrchestratorStarted-1 TimerFired-1 SubOrchestrationInstanceCreated+2 "+
			"OrchestratorStarted-1 SubOrchestrationInstanceCompleted-1 ExecutionCompleted+3")
		for _, ev := range evs {
			if ev.Time.IsZero() {
				t.Errorf("%s has no time", ev.Kind)
			}
		}
		if fired := evs[7]; fired.Answers != 1 || !fired.FireAt.Equal(epoch.Add(time.Hour)) || evs[6].Time.Before(fired.FireAt) {
			t.Errorf("TimerFired %+v in a turn of %v", fired, evs[6].Time)
		}
		execution := evs[1].Instance.Execution
		equal(t, "child id", evs[8].Target, execution+":0002")
		kid := events(t, e, execution+":0002", "")
		p := kid[1].Parent
		if p == nil || p.ID != "p" || p.Execution != execution || p.Name != "parent" || p.Scheduled != 2 {
			t.Errorf("the child's parent is %+v", p)
		}
		end(t, e)
	})
}

// The clock of an orchestration never runs backwards, whatever the machine's does,
// also over a restart.
func TestClockNeverRunsBackwards(t *testing.T) {
	var hours atomic.Int64
	hours.Store(10)
	now := func() time.Time { return time.Unix(0, 0).Add(time.Duration(hours.Add(-1)) * time.Hour) }
	d := Definitions{
		Orchestrations: []Orchestration{orchestration("o", sequence(schedule("upper", "a"),
			&history.Event{Kind: history.TimerCreated, FireAt: time.Unix(0, 0).Add(-time.Hour)}, wait()))},
		Activities: []Activity{upper},
	}
	s := memory.New()
	e := start(t, s, d, Options{Now: now})
	begin(t, e, "i", "o", "")
	end(t, e)
	hours.Store(-100)
	e, _ = reopen(t, s, d, Options{Now: now})
	if err := e.Raise(t.Context(), "i", "x", nil); err != nil {
		t.Fatal(err)
	}
	finish(t, e, "i")
	last, turns := time.Time{}, 0
	for _, ev := range events(t, e, "i", "") {
		if ev.Kind == history.OrchestratorStarted {
			turns++
			if ev.Time.Before(last) {
				t.Errorf("turn %d: %v after %v", turns, ev.Time, last)
			}
			last = ev.Time
		}
	}
}

// wait is an action that needs an external event to go on.
func wait() *history.Event {
	return &history.Event{Kind: history.EventSent, Target: "nobody", Name: "x"}
}

func TestStartRefuses(t *testing.T) {
	e := start(t, memory.New(), Definitions{Orchestrations: []Orchestration{orchestration("o", waiting)}}, Options{})
	begin(t, e, "taken", "o", "")
	for _, c := range []struct {
		why  string
		s    Start
		want error
	}{
		{"taken", Start{ID: "taken", Name: "o"}, ErrExists},
		{"an entity's", Start{ID: "@a@b", Name: "o"}, ErrInvalid},
		{"too long", Start{ID: strings.Repeat("é", 101), Name: "o"}, ErrInvalid},
		{"not UTF-8", Start{ID: "\xff", Name: "o"}, ErrInvalid},
		{"no name", Start{ID: "i"}, ErrInvalid},
	} {
		if _, err := e.Start(t.Context(), c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v", c.why, err)
		}
	}
	if _, err := e.Start(t.Context(), Start{ID: strings.Repeat("é", 100), Name: "o"}); err != nil {
		t.Errorf("100 characters: %v", err)
	}
	if err := e.Raise(t.Context(), "nobody", "x", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("event to nobody: %v", err)
	}
	if err := e.Raise(t.Context(), "taken", "x", history.Payload("1")); err != nil {
		t.Fatal(err)
	}
	finish(t, e, "taken")
	if err := e.Raise(t.Context(), "taken", "x", nil); err != nil {
		t.Errorf("event to one that ended: %v", err)
	}
	if _, err := e.Start(t.Context(), Start{ID: "taken", Name: "o"}); !errors.Is(err, ErrExists) {
		t.Errorf("id of one that ended: %v", err)
	}
}

// A finished child is replaced by a start under its id, since retries reuse it; its
// old execution stays readable, unless it was of another orchestration. A live one is
// not replaced.
func TestChildIDs(t *testing.T) {
	d := Definitions{Orchestrations: []Orchestration{
		orchestration("twice", sequence(child("kid", "k"), child("kid", "k"))),
		orchestration("other", sequence(child("leaf", "k"))),
		orchestration("leaf", sequence()),
		orchestration("meets", sequence(child("waits", "w"))),
		orchestration("entity", sequence(child("kid", "@a@b"))),
		orchestration("kid", sequence()),
		orchestration("waits", waiting),
	}}
	s := memory.New()
	e := start(t, s, d, Options{})
	begin(t, e, "1", "twice", "")
	equal(t, "replaced", finish(t, e, "1"), "")
	check := func(e *Engine) {
		t.Helper()
		executions, err := e.Executions(t.Context(), "k")
		if err != nil || len(executions) != 2 || executions[0] == executions[1] {
			t.Fatalf("executions %q, %v", executions, err)
		}
		for i, x := range executions {
			evs := events(t, e, "k", x)
			if len(evs) != 3 || evs[1].Parent.Scheduled != int32(i) {
				t.Errorf("execution %d: %s", i, show(evs))
			}
		}
	}
	check(e)
	again, _ := reopen(t, s, d, Options{})
	check(again)

	begin(t, e, "2", "other", "")
	equal(t, "another name", finish(t, e, "2"), "")
	if s, err := e.Get(t.Context(), "k", false); err != nil || s.Name != "leaf" {
		t.Errorf("another name: %+v, %v", s, err)
	}
	begin(t, e, "w", "waits", "")
	begin(t, e, "3", "meets", "")
	equal(t, "live", finish(t, e, "3"), "failed: InstanceExists: the instance with the id w is running already")
	begin(t, e, "4", "entity", "")
	if got := finish(t, e, "4"); !strings.HasPrefix(got, "failed: InvalidArgument: ") {
		t.Errorf("id of an entity: %s", got)
	}
}

// What is large is stored once, by its hash, and comes back whole.
func TestLargeData(t *testing.T) {
	big, bigger := strings.Repeat("a", 20<<10), strings.Repeat("b", 300<<10)
	var many []*history.Event
	for range 100 {
		many = append(many, schedule("upper", strings.Repeat("c", 10<<10)))
	}
	all := func(seen []*history.Event) []*history.Event { // all at once: one turn of 1 MiB
		for n, ev := range seen {
			if ev.Kind == history.TaskCompleted && n == len(many)+1 {
				break
			}
		}
		done := 0
		for _, ev := range seen {
			if ev.Kind == history.TaskCompleted {
				done++
			}
		}
		if done < len(many) {
			return many
		}
		return append(many[:len(many):len(many)], complete(bigger))
	}
	d := Definitions{
		Orchestrations: []Orchestration{orchestration("o", sequence(schedule("upper", big))), orchestration("many", all)},
		Activities:     []Activity{upper},
	}
	s := memory.New()
	e := start(t, s, d, Options{})
	begin(t, e, "i", "o", bigger)
	equal(t, "output", finish(t, e, "i"), strings.ToUpper(big))
	begin(t, e, "m", "many", "")
	equal(t, "output", finish(t, e, "m"), bigger)
	end(t, e)

	rows := 0
	image := s.Clone()
	in, err := image.Instance(t.Context(), "m")
	if err != nil {
		t.Fatal(err)
	}
	for row, err := range image.History(t.Context(), in.Last) {
		if err != nil {
			t.Fatal(err)
		}
		if rows++; len(row) > maxRow {
			t.Errorf("a row of %d bytes", len(row))
		}
	}
	if rows < 4 {
		t.Errorf("%d rows", rows)
	}
	e, _ = reopen(t, s, d, Options{PayloadCache: 1})
	got, err := e.Get(t.Context(), "i", true)
	if err != nil || string(got.Input) != bigger || string(got.Output) != strings.ToUpper(big) {
		t.Errorf("after a restart: %d bytes in, %d out, %v", len(got.Input), len(got.Output), err)
	}
	for _, ev := range events(t, e, "m", "") {
		if ev.Data == nil && ev.Kind == history.TaskCompleted {
			t.Fatalf("an answer without its data: %+v", ev)
		}
	}
}

// Nothing stays pinned when all is committed and quiet.
func TestPinsEnd(t *testing.T) {
	running, block := make(chan struct{}), make(chan struct{})
	big := strings.Repeat("x", 20<<10)
	d := Definitions{
		Orchestrations: []Orchestration{orchestration("o", sequence(schedule("keep", ""), schedule("late", "")))},
		Activities: []Activity{
			activity("keep", Pure, func(c *Call) string { c.Store([]byte(big)); return big }),
			activity("late", AtLeastOnce, func(c *Call) string { running <- struct{}{}; <-block; c.Store([]byte(big + "2")); return "" }),
		},
	}
	e := start(t, memory.New(), d, Options{})
	begin(t, e, "i", "o", big)
	begin(t, e, "j", "o", "")
	// An answer that nobody waits for.
	stray := &message{to: "i", ev: &history.Event{Kind: history.TaskCompleted, ID: history.FromOutside, Answers: 77},
		pieces: []Piece{{Hash: history.HashOf([]byte("stray")), Data: []byte("stray")}}}
	e.payloads.pin(stray.pieces)
	e.deliver("i", stray)
	for range 2 {
		<-running
	}
	for _, id := range []string{"i", "j"} { // the answers come too late
		if err := e.Terminate(t.Context(), id, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	close(block)
	end(t, e)
	if n := len(e.payloads.pinned); n != 0 {
		t.Errorf("%d payloads are pinned", n)
	}
}

// A payload can be read before it is on disk, by whoever comes later in the log.
func TestUncommittedPayloads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := []byte("stored in an operation")
		keeper := Entity{Name: "keeper", Run: func(b *EntityBatch) {
			for _, op := range b.Ops {
				var o Outcome
				if op.Name == "put" {
					b.Pieces = append(b.Pieces, Piece{Hash: history.HashOf(data), Data: data})
				} else if p, err := b.Payloads.Payload(t.Context(), history.HashOf(data)); err != nil {
					o.Failure = &history.Failure{Message: err.Error()}
				} else {
					o.Result = p
				}
				b.Results = append(b.Results, o)
			}
			b.State = history.Payload("kept")
		}}
		put, get := operate("@keeper@k", ""), operate("@keeper@k", "")
		put.Name, get.Name = "put", "get"
		d := Definitions{Orchestrations: []Orchestration{orchestration("o", sequence(put, get))}, Entities: []Entity{keeper}}
		g, shut, open := gate(memory.New())
		e := start(t, g, d, Options{})
		shut()
		go func() { _, _ = e.Start(t.Context(), Start{ID: "i", Name: "o"}) }()
		synctest.Wait()
		open()
		equal(t, "output", finish(t, e, "i"), string(data))
		end(t, e)
	})
}
