package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// stutterer is a model that fails in mid-answer as often as it is told to.
type stutterer struct {
	mu    sync.Mutex
	fails map[string][]int // by agent and turn: after how many words, one attempt after the other
}

func (m *stutterer) next(key string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.fails[key]) == 0 {
		return -1
	}
	n := m.fails[key][0]
	m.fails[key] = m.fails[key][1:]
	return n
}

func (m *stutterer) speaker() speaker {
	return func(ctx context.Context, req *models.Request, yield func(models.Event, error) bool) {
		turn := models.AssistantTurns(req.Messages) + 1
		key := fmt.Sprint(req.Agent, turn)
		fail := m.next(key)
		text := "It is " + key + " and ☃ says so"
		for i, s := range strings.SplitAfter(text, " ") {
			if i == fail {
				yield(models.Event{}, errBusy)
				return
			}
			for range 3 { // so that followers see some of it before the rest
				runtime.Gosched()
			}
			if !yield(models.Event{Delta: s}, nil) {
				return
			}
		}
		if turn < 3 {
			yield(answerOf(text, models.ToolCall{ID: "1", Name: "weather", Arguments: `{"name":"Oslo"}`}), nil)
			return
		}
		yield(answerOf(text), nil)
	}
}

// cutTeam is two agents side by side, then a third, below an orchestration.
func cutTeam(m models.Model) (*durable.Orchestration[string, string], durable.Definition) {
	sunny := tools.New("weather", "Weather in a city.", func(context.Context, city) (string, error) { return "sunny", nil }, tools.Pure())
	var list []*agents.Agent
	for _, name := range []string{"a", "b", "c"} {
		list = append(list, agents.New(agents.Config{Name: name, Model: "m", Tools: []tools.Tool{sunny}, Retry: quickly}))
	}
	run := durable.NewOrchestration("run", func(ctx *durable.Context, in string) (string, error) {
		a, b := list[0].Start(ctx, in), list[1].Start(ctx, in)
		_, errA := a.Await()
		_, errB := b.Await()
		res, err := list[2].Call(ctx, in)
		return res.Text, errors.Join(errA, errB, err)
	})
	return run, durable.Bundle(agents.Define(agents.Options{Models: only(m)}, list...), run)
}

// TestFollowCutAnywhere cuts off who follows, any number of times and in any place,
// while models stutter: with the cursor as it was last seen, or an earlier one with the
// screen of then, nothing is lost and nothing is shown twice.
func TestFollowCutAnywhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &stutterer{fails: map[string][]int{}}
		for _, agent := range []string{"a", "b", "c"} {
			for turn := range 3 {
				m.fails[fmt.Sprint(agent, turn+1)] = rapid.SliceOfN(rapid.IntRange(0, 7), 0, 2).Draw(t, "fails")
			}
		}
		run, defs := cutTeam(m.speaker())
		ctx := context.Background()
		rt, err := durable.OpenStore(ctx, memory.New(), durableOptions, defs)
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		id, err := run.Schedule(ctx, rt.Client(), "go")
		if err != nil {
			t.Fatal(err)
		}
		s := newScreen(t)
		var cursor agents.Cursor
		for cuts := 0; ; cuts++ {
			rest := rapid.IntRange(1, 30).Draw(t, "events until the cut")
			if cuts > 50 {
				rest = -1
			}
			ended := false
			for ev, err := range agents.Follow(ctx, rt.Client(), id, cursor) {
				if err != nil {
					t.Fatal(err)
				}
				s.show(ev)
				if cursor = asJSON(t, ev.Cursor); ev.Kind == agents.EventEnd {
					ended = true
				}
				if rest--; rest == 0 && !ended {
					break
				}
			}
			if ended {
				break
			}
		}
		want := past(t, agents.Past(ctx, rt.Client(), id, ""))
		if got := ofInstances(s.recorded); got != ofInstances(want) {
			t.Fatalf("seen\n%s\nrecorded\n%s", got, ofInstances(want))
		}
		if len(s.done) != 9 || len(s.texts) != 0 {
			t.Fatalf("shown %q, and unfinished %q", s.done, s.texts)
		}
	})
}

// asJSON sends a cursor on as clients do.
func asJSON(t failer, c agents.Cursor) (back agents.Cursor) {
	t.Helper()
	b, err := json.Marshal(c)
	if err == nil {
		err = json.Unmarshal(b, &back)
	}
	if err != nil {
		t.Fatalf("%v", err)
	}
	return back
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "AQ", "AQEAAAAAAAAAAAAA", "AQEBAgMEBQYHCAMBBQECAwQFBgcICQoLDA4BAgMEBQYHCA"} {
		f.Add(s)
	}
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt, err := durable.OpenStore(context.Background(), memory.New(), durableOptions, agents.Define(agents.Options{Models: only(speaker(
		func(_ context.Context, _ *models.Request, yield func(models.Event, error) bool) {
			yield(answerOf("ok"), nil)
		}))}, a))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = rt.Close() })
	id, err := a.Schedule(context.Background(), rt.Client(), "hi")
	if err == nil {
		_, err = a.Wait(context.Background(), rt.Client(), id)
	}
	if err != nil {
		f.Fatal(err)
	}
	for ev := range agents.Past(context.Background(), rt.Client(), id, "") {
		f.Add(string(ev.Cursor))
	}
	f.Fuzz(func(t *testing.T, s string) {
		n := 0
		for _, err := range agents.Past(t.Context(), rt.Client(), id, agents.Cursor(s)) {
			if err != nil && !errors.Is(err, agents.ErrCursor) {
				t.Fatal(err)
			}
			if n++; n > 20 {
				t.Fatal("there is no end")
			}
		}
	})
}
