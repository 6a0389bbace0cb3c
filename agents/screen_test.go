package agents_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/models"
)

// failer is what tests and rapid's checks have in common.
type failer interface {
	Helper()
	Errorf(string, ...any)
	Fatalf(string, ...any)
}

// screen shows what models write, as the doc of agents.Event says, and is strict
// about what may come.
type screen struct {
	t        failer
	texts    map[string]string // by instance and turn
	try      map[string]string
	done     map[string]string // answers that are complete
	recorded []string          // events of what is recorded
	seen     map[string]int
	void     int // times that something shown was taken back
	deltas   int
}

func newScreen(t failer) *screen {
	return &screen{t: t, texts: map[string]string{}, try: map[string]string{}, done: map[string]string{}, seen: map[string]int{}}
}

func (s *screen) show(ev agents.Event) {
	s.t.Helper()
	key := fmt.Sprint(ev.Instance, "/", ev.Turn)
	text := s.texts[key]
	if ev.Cursor == "" || ev.Run == "" || ev.Instance == "" {
		s.t.Errorf("an event without its address: %+v", ev)
	}
	switch ev.Kind {
	case agents.EventDelta:
		s.deltas++
		if ev.Offset != len(text) || text != "" && s.try[key] != ev.Try || ev.Text == "" || ev.Attempt == 0 {
			s.t.Errorf("%s of try %s shows %q, and then comes %+v", key, s.try[key], text, ev)
		}
		if _, done := s.done[key]; done {
			s.t.Errorf("after the answer comes %+v", ev)
		}
		s.texts[key], s.try[key] = text+ev.Text, ev.Try
		return
	case agents.EventSuperseded:
		s.void++
		if text == "" || ev.Try != s.try[key] || ev.Offset != len(text) {
			s.t.Errorf("%s of try %s shows %q, and then comes %+v", key, s.try[key], text, ev)
		}
		delete(s.texts, key)
		return
	case agents.EventAnswer:
		if ev.Offset != len(text) || ev.Error != "" && text != "" || !strings.HasPrefix(ev.Text, text) {
			s.t.Errorf("%s shows %q, and then comes %+v", key, text, ev)
		}
		if delete(s.texts, key); ev.Error == "" {
			s.done[key] = ev.Text
		}
	}
	line := committed(ev)
	s.recorded = append(s.recorded, line)
	if s.seen[line]++; s.seen[line] > 1 {
		s.t.Errorf("twice: %s", line)
	}
}

// committed is an event of what is recorded, without what differs between followers.
func committed(ev agents.Event) string {
	return fmt.Sprintln(ev.Instance, ev.Time.UnixNano(), ev.Kind, ev.Agent, ev.Turn, ev.Attempt, ev.Tool, ev.Approval, ev.Text, ev.Error, ev.Result != nil)
}

// ofInstances sorts what was recorded by instances.
func ofInstances(lines []string) string {
	by := map[string][]string{}
	var ids []string
	for _, line := range lines {
		id, _, _ := strings.Cut(line, " ")
		if by[id] == nil {
			ids = append(ids, id)
		}
		by[id] = append(by[id], line)
	}
	slices.Sort(ids)
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(strings.Join(by[id], ""))
	}
	return b.String()
}

// past reads what is recorded of a run, from a cursor on.
func past(t failer, seq iter.Seq2[agents.Event, error]) (lines []string) {
	t.Helper()
	for ev, err := range seq {
		if err != nil {
			t.Fatalf("past: %v", err)
		}
		lines = append(lines, committed(ev))
	}
	return lines
}

// speaker is a model whose answers a test plays.
type speaker func(ctx context.Context, req *models.Request, yield func(models.Event, error) bool)

func (s speaker) Generate(ctx context.Context, req *models.Request) iter.Seq2[models.Event, error] {
	return func(yield func(models.Event, error) bool) { s(ctx, req, yield) }
}

// pieces yields text word by word; false if nobody wants more.
func pieces(yield func(models.Event, error) bool, text string) bool {
	for _, s := range strings.SplitAfter(text, " ") {
		if !yield(models.Event{Delta: s}, nil) {
			return false
		}
	}
	return true
}

func answerOf(text string, calls ...models.ToolCall) models.Event {
	finish := models.FinishStop
	if len(calls) > 0 {
		finish = models.FinishToolCalls
	}
	return models.Event{Response: &models.Response{Finish: finish, Message: models.AssistantMessage(text, calls...)}}
}

var errBusy = &models.Error{Kind: models.KindUnavailable, Message: "too busy"}

// gate lets a test hold a model until it has seen something.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate() *gate { return &gate{open: make(chan struct{})} }

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

func (g *gate) wait(ctx context.Context) {
	select {
	case <-g.open:
	case <-ctx.Done():
	}
}

// kinds lists the kinds of events, with texts of deltas and answers.
func kinds(evs []agents.Event) string {
	var b strings.Builder
	for _, ev := range evs {
		b.WriteString(string(ev.Kind))
		switch ev.Kind {
		case agents.EventDelta:
			fmt.Fprintf(&b, "(%d %s)", ev.Offset, ev.Text)
		case agents.EventSuperseded:
			fmt.Fprintf(&b, "(%d)", ev.Offset)
		case agents.EventAnswer:
			fmt.Fprintf(&b, "(%d %s%s)", ev.Offset, ev.Text, ev.Error)
		}
		b.WriteString(" ")
	}
	return strings.TrimSpace(b.String())
}

func openAgents(t testing.TB, url string, m models.Model, a *agents.Agent) *agents.Runtime {
	t.Helper()
	rt, err := agents.Open(t.Context(), url, agents.Options{Models: only(m)}, durableOptions, []*agents.Agent{a})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
	})
	return rt
}
