package agents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

var durableOptions = durable.Options{Logger: slog.New(slog.DiscardHandler)}

// quickly tries a model again without waiting.
var quickly = &durable.RetryPolicy{MaxAttempts: 5}

// TestSuperseded has a model fail in mid-answer, twice, the second time without a word.
func TestSuperseded(t *testing.T) {
	var calls atomic.Int32
	first := newGate()
	m := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		switch calls.Add(1) {
		case 1:
			if pieces(yield, "It is rai") {
				first.wait(ctx)
				yield(models.Event{}, errBusy)
			}
		case 2:
			yield(models.Event{}, errBusy)
		default:
			if pieces(yield, "It snows ☃") {
				yield(answerOf("It snows ☃"), nil)
			}
		}
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quickly})
	rt := openAgents(t, "memory:", m, a)
	var all []agents.Event
	s := newScreen(t)
	for ev, err := range a.Run(t.Context(), rt, "How is the weather?") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		all = append(all, ev)
		if ev.Text == "rai" {
			first.release()
		}
	}
	const want = "agent turn delta(0 It ) delta(3 is ) delta(6 rai) superseded(9) answer(0 agent a: model m: unavailable: too busy) " +
		"turn answer(0 agent a: model m: unavailable: too busy) turn "
	got := kinds(all)
	if !strings.HasPrefix(got, want) || !strings.HasSuffix(got, " It snows ☃) end") {
		t.Errorf("events %s", got)
	}
	if all[5].Attempt != 1 || all[6].Attempt != 1 || all[7].Attempt != 2 || !strings.Contains(all[5].Error, "too busy") {
		t.Errorf("events %+v", all[5:8])
	}
	if id := all[0].Run; s.done[id+"/1"] != "It snows ☃" {
		t.Errorf("shown %q", s.done)
	}
}

// TestFollowACrash ends the program in mid-answer: who follows the next one from the
// cursor is told that what was shown is void before the text begins anew.
func TestFollowACrash(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "crash.db")
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	forever := newGate()
	rt := openAgents(t, url, speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		if pieces(yield, "Once upon a") {
			forever.wait(ctx)
			yield(models.Event{}, errBusy)
		}
	}), a)
	s := newScreen(t)
	var cursor agents.Cursor
	for ev, err := range a.Run(t.Context(), rt, "Tell me a story.") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		if cursor = ev.Cursor; ev.Text == "a" {
			break
		}
	}
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	rt = openAgents(t, url, speaker(func(_ context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		if pieces(yield, "Once upon the") {
			yield(answerOf("Once upon the"), nil)
		}
	}), a)
	id := agentRun(t, rt.Client())
	for ev, err := range agents.Follow(t.Context(), rt.Client(), id, cursor) {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
	}
	if s.void != 1 || s.done[id+"/1"] != "Once upon the" {
		t.Errorf("taken back %d times, shown %q", s.void, s.done)
	}
	if want := past(t, agents.Past(t.Context(), rt.Client(), id, "")); ofInstances(s.recorded) != ofInstances(want) {
		t.Errorf("seen\n%s, recorded\n%s", s.recorded, want)
	}
}

// TestFollowLate has one follower come in mid-answer, and one that never reads: the
// first sees all that was written from its beginning, the other has it with the answer.
func TestFollowLate(t *testing.T) {
	held := newGate()
	m := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		if pieces(yield, "one two ") {
			held.wait(ctx)
			if pieces(yield, "three") {
				yield(answerOf("one two three"), nil)
			}
		}
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", m, a)
	id := ""
	var slow []agents.Event
	for ev, err := range a.Run(t.Context(), rt, "Count.") {
		if err != nil {
			t.Fatal(err)
		}
		id = ev.Run
		slow = append(slow, ev)
		if ev.Offset == len("one ") && ev.Kind == agents.EventDelta { // and here it stays until all is over
			s := newScreen(t)
			for ev, err := range agents.Follow(t.Context(), rt.Client(), id, "") {
				if err != nil {
					t.Fatal(err)
				}
				s.show(ev)
				if ev.Text == "two " {
					held.release()
				}
			}
			if s.deltas < 2 || s.done[id+"/1"] != "one two three" {
				t.Errorf("shown %q, by %d deltas", s.done, s.deltas)
			}
		}
	}
	if got, want := kinds(slow), "agent turn delta(0 one ) delta(4 two ) answer(8 one two three) end"; got != want && got != strings.Replace(want, "answer(8", "delta(8 three) answer(13", 1) {
		t.Errorf("events %s", got)
	}
}

// TestFollowFromEachEvent goes on from every cursor of a run of more than one
// execution: each time exactly the rest comes.
func TestFollowFromEachEvent(t *testing.T) {
	const turns = 103
	var calls atomic.Int32
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		n := models.AssistantTurns(req.Messages) + 1
		if n == turns {
			return answerOf("done").Response, nil
		}
		return answerOf(fmt.Sprint("turn ", n), models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`}).Response, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 200, Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	tm := start(t, m, a)
	if _, err := tm.ask(t, "go"); err != nil {
		t.Fatal(err)
	}
	root := ""
	for s, err := range tm.Client().Query(t.Context(), durable.Query{Names: []string{"run"}}) {
		if err != nil {
			t.Fatal(err)
		}
		root = s.ID
	}
	var all []string
	var cursors []agents.Cursor
	count := map[agents.EventKind]int{}
	s := newScreen(t)
	for ev, err := range agents.Follow(t.Context(), tm.Client(), root, "") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		all, cursors = append(all, committed(ev)), append(cursors, ev.Cursor)
		count[ev.Kind]++
	}
	want := map[agents.EventKind]int{agents.EventAgent: 1, agents.EventTurn: turns, agents.EventAnswer: turns,
		agents.EventTool: turns - 1, agents.EventResult: turns - 1, agents.EventAgentEnd: 1, agents.EventEnd: 1}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("events %v, want %v", count, want)
	}
	for i := 0; i < len(cursors); i += 7 {
		rest := past(t, agents.Past(t.Context(), tm.Client(), root, cursors[i]))
		if strings.Join(rest, "") != strings.Join(all[i+1:], "") {
			t.Fatalf("after event %d come %d events, not the %d that are left:\n%.1000s", i, len(rest), len(all)-i-1, strings.Join(rest, ""))
		}
	}
	if rest := past(t, agents.Follow(t.Context(), tm.Client(), root, cursors[len(cursors)-1])); len(rest) > 0 {
		t.Errorf("after the end comes %s", rest)
	}
}

// TestFollowRewound goes on from the end of a run that failed and was rewound: what
// its new execution has of the old one does not come again.
func TestFollowRewound(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	var calls atomic.Int32
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		switch {
		case models.AssistantTurns(req.Messages) == 0:
			return answerOf("looking", models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`}).Response, nil
		case broken.Load():
			return nil, &models.Error{Kind: models.KindAuth, Message: "no key"}
		}
		return answerOf("sunny").Response, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{weather(&calls, tools.Pure())}})
	tm := start(t, m, a)
	if _, err := tm.ask(t, "go"); err == nil {
		t.Fatal("it did not fail")
	}
	child := agentRun(t, tm.Client())
	state, err := tm.Client().Get(t.Context(), child)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{state.Parent, child} {
		broken.Store(true)
		s := newScreen(t)
		var cursor agents.Cursor
		follow := func() {
			for ev, err := range agents.Follow(t.Context(), tm.Client(), id, cursor) {
				if err != nil {
					t.Fatal(err)
				}
				cursor = ev.Cursor
				s.show(ev)
			}
		}
		follow()
		if id == child { // it was rewound with its parent: all of it is there
			if s.done[child+"/2"] != "sunny" {
				t.Errorf("shown %q", s.done)
			}
			continue
		}
		broken.Store(false)
		if err := tm.Client().Rewind(t.Context(), id, "there is a key"); err != nil {
			t.Fatal(err)
		}
		before := len(s.recorded)
		follow()
		if got := strings.Join(s.recorded[before:], ""); s.done[child+"/2"] != "sunny" || strings.Contains(got, "weather") || strings.Count(got, " turn ") != 1 {
			t.Errorf("after it was rewound come\n%s", got)
		}
	}
}

// TestManyFollowers has a hundred follow a run while it writes.
func TestManyFollowers(t *testing.T) {
	var text strings.Builder
	for i := range 200 {
		fmt.Fprintf(&text, "%d ", i)
	}
	begun := newGate()
	m := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		begun.wait(ctx)
		if pieces(yield, text.String()) {
			yield(answerOf(text.String()), nil)
		}
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", m, a)
	id, err := a.Schedule(t.Context(), rt.Client(), "Count.")
	if err != nil {
		t.Fatal(err)
	}
	var followers, there sync.WaitGroup
	for range 100 {
		there.Add(1)
		followers.Go(func() {
			s := newScreen(t)
			arrived := sync.OnceFunc(there.Done)
			defer arrived()
			for ev, err := range agents.Follow(t.Context(), rt.Client(), id, "") {
				if err != nil {
					t.Error(err)
					return
				}
				s.show(ev)
				if ev.Kind == agents.EventTurn {
					arrived()
				}
			}
			if s.done[id+"/1"] != text.String() {
				t.Errorf("shown %.100q", s.done)
			}
		})
	}
	there.Wait()
	begun.release()
	followers.Wait()
}

func TestFollowWhatIsNotThere(t *testing.T) {
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", scripted.Func(func(*models.Request) (*models.Response, error) { return answerOf("ok").Response, nil }), a)
	fail := func(id string, c agents.Cursor) (err error) {
		for _, err = range agents.Follow(t.Context(), rt.Client(), id, c) {
		}
		return err
	}
	if err := fail("nobody", ""); !durable.IsNotFound(err) || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("a run that is not there: %v", err)
	}
	var ids []string
	var cursor agents.Cursor
	for range 2 {
		for ev, err := range a.Run(t.Context(), rt, "hi") {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == agents.EventEnd {
				ids, cursor = append(ids, ev.Run), ev.Cursor
			}
		}
	}
	for _, c := range []agents.Cursor{cursor, "x", "AAAA", "!", cursor[:len(cursor)-3]} {
		if err := fail(ids[0], c); !errors.Is(err, agents.ErrCursor) {
			t.Errorf("cursor %q: %v", c, err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0*time.Second)
	defer cancel()
	for _, err := range agents.Follow(ctx, rt.Client(), ids[0], "") {
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without time: %v", err)
		}
	}
}

// TestFallbackSupersedes: when a chain's first model fails in mid-answer and the next
// one answers, what was shown of the first is void, within one attempt.
func TestFallbackSupersedes(t *testing.T) {
	seen := newGate()
	broken := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		if pieces(yield, "It is rai") {
			seen.wait(ctx)
			yield(models.Event{}, errBusy)
		}
	})
	whole := speaker(func(_ context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		if pieces(yield, "It snows") {
			yield(answerOf("It snows"), nil)
		}
	})
	chain := models.Fallback([]models.Named{{Name: "first", Model: broken}, {Name: "second", Model: whole}}, models.FallbackOptions{Restart: true})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", chain, a)
	s := newScreen(t)
	var all []agents.Event
	for ev, err := range a.Run(t.Context(), rt, "How is the weather?") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		all = append(all, ev)
		if ev.Text == "rai" {
			seen.release()
		}
	}
	if got := kinds(all); !strings.Contains(got, "superseded(9)") || s.done[all[0].Run+"/1"] != "It snows" {
		t.Errorf("events %s, shown %q", got, s.done)
	}
}
