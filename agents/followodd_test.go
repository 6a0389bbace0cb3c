package agents_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
)

// TestFollowOddPieces publishes what a worker that was cut off may still say, what
// comes twice, and a text that the answer turns out not to have.
func TestFollowOddPieces(t *testing.T) {
	end := newGate()
	m := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		end.wait(ctx)
		yield(answerOf("four and five"), nil)
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", m, a)
	c := rt.Client()
	publish := func(id string, v any) {
		b, err := json.Marshal(v)
		if err == nil {
			err = c.Publish(t.Context(), id, b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	try := func(n byte) []byte { return bytes.Repeat([]byte{n}, 12) }
	var all []agents.Event
	s := newScreen(t)
	for ev, err := range a.Run(t.Context(), rt, "Count.") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		all = append(all, ev)
		if ev.Kind == agents.EventDelta && ev.Text == " and six" {
			end.release()
		}
		if ev.Kind != agents.EventTurn {
			continue
		}
		s, err := c.Get(t.Context(), ev.Run)
		if err != nil {
			t.Fatal(err)
		}
		piece := func(kind agents.EventKind, n byte, offset int, text string) {
			for h, err := range c.History(t.Context(), ev.Run, "") {
				if err != nil {
					t.Fatal(err)
				}
				if h.Kind == history.TaskScheduled && strings.HasPrefix(h.Name, "chat:") {
					publish(ev.Run, map[string]any{"k": kind, "x": s.Execution, "t": h.ID, "y": try(n), "o": offset, "s": text})
				}
			}
		}
		publish(ev.Run, "of somebody else")
		publish(ev.Run, map[string]any{"k": "delta", "x": s.Execution, "t": 0, "y": try(1), "s": "of a call that is over"})
		publish(ev.Run, map[string]any{"k": "delta", "x": "another execution", "t": 0, "y": try(1), "s": "of another"})
		piece(agents.EventDelta, 2, 0, "one ")
		piece(agents.EventDelta, 2, 0, "one ")
		piece(agents.EventDelta, 2, 2, "e two")
		piece(agents.EventDelta, 2, 20, "after a gap")
		piece(agents.EventDelta, 1, 0, "older")
		piece(agents.EventSuperseded, 1, 0, "")
		piece(agents.EventSuperseded, 2, 0, "")
		piece(agents.EventDelta, 2, 7, " more")
		piece(agents.EventDelta, 2, 0, "again")
		piece(agents.EventDelta, 3, 4, "without a beginning")
		piece(agents.EventSuperseded, 3, 0, "")
		piece(agents.EventDelta, 4, 0, "four")
		piece(agents.EventDelta, 4, -1, "?four and six")
		piece(agents.EventDelta, 4, 4, " and six")
	}
	const want = "agent turn delta(0 one ) delta(4 two) superseded(7) delta(0 four) delta(4  and six) superseded(12) answer(0 four and five) end"
	if got := kinds(all); got != want {
		t.Errorf("events %s\nwant   %s", got, want)
	}
}

// TestFollowSplitCharacters has a model cut its text within characters: followers,
// whose events are JSON, get whole ones.
func TestFollowSplitCharacters(t *testing.T) {
	const text = "☃ und Öl"
	ready := newGate()
	m := speaker(func(ctx context.Context, _ *models.Request, yield func(models.Event, error) bool) {
		for i := range len(text) {
			if !yield(models.Event{Delta: text[i : i+1]}, nil) {
				return
			}
		}
		ready.wait(ctx)
		yield(answerOf(text), nil)
	})
	a := agents.New(agents.Config{Name: "a", Model: "m"})
	rt := openAgents(t, "memory:", m, a)
	s := newScreen(t)
	shown := ""
	for ev, err := range a.Run(t.Context(), rt, "Say it.") {
		if err != nil {
			t.Fatal(err)
		}
		s.show(ev)
		if ev.Kind == agents.EventDelta {
			if shown += ev.Text; shown == text {
				ready.release()
			}
		}
	}
	if s.void != 0 || shown != text {
		t.Errorf("shown %q, taken back %d times", shown, s.void)
	}
}
