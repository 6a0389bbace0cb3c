package agents_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// hotel is a world with rooms that are booked and given back.
type hotel struct {
	mu   sync.Mutex
	log  []string        // "book 1", "back 1", in the order in which it happened
	keys map[string]bool // of what is booked and given back, which counts once each
	// fail is asked before a room is given back; nil: never fails.
	fail func(room int) error
}

func (h *hotel) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.log, h.keys = nil, map[string]bool{}
}

func (h *hotel) happened() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.log)
}

func (h *hotel) do(ctx context.Context, what string, room int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if key := tools.Key(ctx); !h.keys[key] {
		h.keys[key] = true
		h.log = append(h.log, fmt.Sprint(what, " ", room))
	}
}

type room struct {
	Number int `json:"number"`
}

var errFull = errors.New("no such room")

// tools gives book, which back takes back, and boom, which ends the run.
func (h *hotel) tools(undo ...tools.Option) []tools.Tool {
	find := func(_ context.Context, key string, _ room) (string, bool, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return "done before", h.keys[key], nil
	}
	back := tools.New("back", "", func(ctx context.Context, in room) (string, error) {
		if h.fail != nil {
			if err := h.fail(in.Number); err != nil {
				return "", err
			}
		}
		h.do(ctx, "back", in.Number)
		return "given back", nil
	}, append([]tools.Option{tools.Reconcile(find)}, undo...)...)
	return []tools.Tool{
		tools.New("book", "", func(ctx context.Context, in room) (string, error) {
			if in.Number < 0 {
				return "", errFull
			}
			h.do(ctx, "book", in.Number)
			return "booked", nil
		}, tools.Compensable(back), tools.Reconcile(find)),
		tools.New("boom", "", func(context.Context, struct{}) (string, error) {
			return "", tools.Stop(errors.New("the house burns"))
		}, tools.Pure()),
	}
}

func book(id string, number int) models.ToolCall {
	return models.ToolCall{ID: id, Name: "book", Arguments: fmt.Sprintf(`{"number":%d}`, number)}
}

// booking books five rooms, two of them at once, fails to book another, and then fails.
var booking = turns(
	answer(models.FinishToolCalls, "", book("1", 1)),
	answer(models.FinishToolCalls, "", book("1", 2), book("2", -1), book("3", 3)),
	answer(models.FinishToolCalls, "", book("1", 4)),
	answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "boom"}, book("2", 5)),
)

var quickRetry = &durable.RetryPolicy{MaxAttempts: 3, FirstInterval: time.Millisecond}

// TestUndo crashes a run everywhere that fails after it has booked rooms: each is booked
// once and given back once, the last one first.
func TestUndo(t *testing.T) {
	for _, c := range []struct {
		name string
		set  bool
	}{{"own", false}, {"of a toolset", true}} {
		t.Run(c.name, func(t *testing.T) {
			h := &hotel{}
			cfg := agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Sequential: true, Retry: quickRetry}
			if c.set {
				cfg.Toolsets = []tools.Toolset{tools.Static("hotel", h.tools()...)}
			} else {
				cfg.Tools = h.tools()
			}
			a := agents.New(cfg).Bound(2, 1000) // it continues as new on the way
			defs := []durable.Definition{agents.Define(agents.Options{Models: only(booking)}, a)}
			points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) ([]string, error) {
				h.reset()
				id, err := a.Schedule(ctx, env.Client(), "go")
				if err != nil {
					return nil, err
				}
				if _, err := a.Wait(ctx, env.Client(), id); err == nil || !strings.Contains(err.Error(), "the house burns") || strings.Contains(err.Error(), "taken back") {
					return nil, fmt.Errorf("it ended with %w", err)
				}
				return h.happened(), nil
			})
			want := []string{"book 1", "book 2", "book 3", "book 4", "back 4", "back 3", "back 2", "back 1"}
			if got := h.happened(); !slices.Equal(got, want) {
				t.Errorf("after %d points: %q, want %q", points, got, want)
			}
		})
	}
}

// TestUndoParallel: with calls side by side, the order is that of the message, and what
// was made beside the call that stops the run is taken back too.
func TestUndoParallel(t *testing.T) {
	h := &hotel{}
	h.reset()
	a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Tools: h.tools()})
	tm := start(t, turns(answer(models.FinishToolCalls, "", book("1", 1), book("2", 2), models.ToolCall{ID: "3", Name: "boom"}, book("4", 3))), a)
	if _, err := tm.ask(t, "go"); err == nil || !strings.Contains(err.Error(), "the house burns") {
		t.Errorf("it ended with %v", err)
	}
	got := h.happened()
	slices.Sort(got[:min(3, len(got))])
	if want := []string{"book 1", "book 2", "book 3", "back 3", "back 2", "back 1"}; !slices.Equal(got, want) {
		t.Errorf("what happened is %q", got)
	}
}

// TestUndoEnds: what ends a run, and what is taken back then.
func TestUndoEnds(t *testing.T) {
	rooms := answer(models.FinishToolCalls, "", book("1", 1), book("2", 2))
	for _, c := range []struct {
		name string
		m    models.Model
		undo bool
		want string
	}{
		{"done", turns(rooms, say("booked")), true, "book 1, book 2"},
		{"failed, and is not to undo", turns(rooms, answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "boom"})), false, "book 1, book 2"},
		{"blocked", turns(rooms, say("secret")), true, "book 1, book 2, back 2, back 1"},
		{"used up its turns", turns(rooms), true, "book 1, book 2, book 1, book 2, back 2, back 1, back 2, back 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := &hotel{}
			h.reset()
			secret := agents.Guardrail{Name: "secret", On: agents.OnOutput, Check: func(_ context.Context, in agents.GuardInput) (agents.Verdict, error) {
				if in.Text == "secret" {
					return agents.Block("it is secret"), nil
				}
				return agents.Verdict{}, nil
			}}
			a := agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 2, Sequential: true, UndoOnFailure: c.undo, Tools: h.tools(), Guardrails: []agents.Guardrail{secret}})
			tm := start(t, c.m, a)
			_, err := tm.ask(t, "go")
			if got := strings.Join(h.happened(), ", "); got != c.want {
				t.Errorf("it ended with %v; what happened is %s, want %s", err, got, c.want)
			}
		})
	}
}

// TestUndoCanceled: a run that is cancelled in the middle of a turn takes back what it
// has done, and is cancelled all the same.
func TestUndoCanceled(t *testing.T) {
	ctx := t.Context()
	h := &hotel{}
	h.reset()
	begun := make(chan struct{})
	wait := tools.New("wait", "", func(ctx context.Context, _ struct{}) (string, error) {
		close(begun)
		<-ctx.Done()
		return "", ctx.Err()
	}, tools.Pure())
	m := turns(answer(models.FinishToolCalls, "", book("1", 1)), answer(models.FinishToolCalls, "", book("1", 2), models.ToolCall{ID: "2", Name: "wait"}))
	a := agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, UndoOnFailure: true, Tools: append(h.tools(), wait)})
	tm := start(t, m, a)
	id, err := a.Schedule(ctx, tm.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := tm.Client().Cancel(ctx, id, "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, tm.Client(), id); err == nil {
		t.Error("it did not fail")
	}
	if s, err := tm.Client().Get(ctx, id); err != nil || s.Status != history.Canceled {
		t.Errorf("it is %+v, %v", s, err)
	}
	if got := strings.Join(h.happened(), ", "); got != "book 1, book 2, back 2, back 1" {
		t.Errorf("what happened is %s", got)
	}
}

// TestUndoCutOff: a call that the cancellation cuts off may have taken effect. People say
// whether it did, and what did is taken back.
func TestUndoCutOff(t *testing.T) {
	for _, happened := range []bool{true, false} {
		t.Run(fmt.Sprint(happened), func(t *testing.T) {
			ctx := t.Context()
			h := &hotel{}
			h.reset()
			list := h.tools()
			undo, _ := list[0].Undo()
			begun := make(chan struct{})
			list[0] = tools.New("book", "", func(ctx context.Context, in room) (string, error) {
				h.do(ctx, "book", in.Number)
				if in.Number == 2 {
					close(begun)
					<-ctx.Done()
				}
				return "booked", ctx.Err()
			}, tools.Compensable(undo))
			m := turns(answer(models.FinishToolCalls, "", book("1", 1)), answer(models.FinishToolCalls, "", book("1", 2), book("2", 3)))
			a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Tools: list})
			tm := start(t, m, a)
			id, err := a.Schedule(ctx, tm.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			<-begun
			waitForResults(t, tm.Client(), id, 2) // the third room is booked too
			if err := tm.Client().Cancel(ctx, id, "enough"); err != nil {
				t.Fatal(err)
			}
			r := waitForRequest(t, tm.Client())
			if r.Kind != agents.KindOutcome || r.Tool != "book" || r.Arguments != `{"number":2}` {
				t.Errorf("people are asked %+v", r)
			}
			if _, err := agents.Decide(ctx, tm.Client(), r.ID, agents.Decision{Approve: happened, By: "eva"}); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, tm.Client(), id); err == nil {
				t.Error("it did not fail")
			}
			if s, err := tm.Client().Get(ctx, id); err != nil || s.Status != history.Canceled {
				t.Errorf("it is %+v, %v", s, err)
			}
			want := "back 3, back 2, back 1"
			if !happened {
				want = "back 3, back 1"
			}
			if got := strings.Join(h.happened(), ", "); !strings.HasSuffix(got, want) || strings.Count(got, "back") != strings.Count(want, "back") {
				t.Errorf("what happened is %s, want %s", got, want)
			}
			valid(t, messages(t, tm.Client(), id))
		})
	}
}

// TestUndoFails: an undo that fails is tried again; one that fails for good waits for
// people, and what they leave is in the run's error.
func TestUndoFails(t *testing.T) {
	ctx := t.Context()
	h := &hotel{}
	h.reset()
	tries := map[int]int{}
	h.fail = func(room int) error { // one call at a time
		tries[room]++
		switch {
		case room == 2:
			return errors.New("the desk is closed")
		case room == 1:
			return &tools.UnknownOutcomeError{Err: errors.New("the line broke")}
		}
		return nil
	}
	m := turns(answer(models.FinishToolCalls, "", book("1", 1), book("2", 2), book("3", 3), models.ToolCall{ID: "4", Name: "boom"}))
	a := agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, UndoOnFailure: true, Retry: quickRetry, Tools: h.tools()})
	tm := start(t, m, a)
	c := tm.Client()
	id, err := a.Schedule(ctx, c, "go")
	if err != nil {
		t.Fatal(err)
	}
	r := waitForRequest(t, c)
	if r.Kind != agents.KindOutcome || r.Tool != "back" || r.Arguments != `{"number":2}` || !strings.Contains(r.Question, "back was to take back a call of book, and failed: the desk is closed.") {
		t.Errorf("people are asked %+v", r)
	}
	if _, err := agents.Decide(ctx, c, r.ID, agents.Decision{By: "eva", Comment: "let them have it"}); err != nil {
		t.Fatal(err)
	}
	r = waitForRequest(t, c)
	if r.Tool != "back" || r.Key == "" || r.Arguments != `{"number":1}` || !strings.Contains(r.Question, "Did back take effect?") || !strings.Contains(r.Question, "the line broke") {
		t.Errorf("people are asked %+v", r)
	}
	if _, err := agents.Decide(ctx, c, r.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	_, err = a.Wait(ctx, c, id)
	if err == nil || !strings.Contains(err.Error(), "the house burns") ||
		!strings.Contains(err.Error(), "the call of book was not taken back: the desk is closed; eva says: let them have it") || strings.Count(err.Error(), "not taken back") != 1 {
		t.Errorf("it ended with %v", err)
	}
	if got := strings.Join(h.happened(), ", "); got != "book 1, book 2, book 3, back 3" || tries[3] != 1 || tries[2] != 1 || tries[1] != 1 {
		t.Errorf("what happened is %s, tried %v", got, tries)
	}
}

// TestUndoAgain: an undo that may be repeated is tried again by itself.
func TestUndoAgain(t *testing.T) {
	tries := map[string]int{}
	back := tools.New("back", "", func(ctx context.Context, _ room) (string, error) {
		if tries[tools.Key(ctx)]++; tries[tools.Key(ctx)] < 3 {
			return "", errors.New("the desk is busy")
		}
		return "given back", nil
	}, tools.Idempotent())
	book := tools.New("book", "", func(context.Context, room) (string, error) { return "booked", nil }, tools.Compensable(back))
	boom := tools.New("boom", "", func(context.Context, struct{}) (string, error) { return "", tools.Stop(errors.New("fire")) }, tools.Pure())
	m := turns(answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "book", Arguments: `{"number":1}`}, models.ToolCall{ID: "2", Name: "boom"}))
	tm := start(t, m, agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, UndoOnFailure: true, Retry: quickRetry, Tools: []tools.Tool{book, boom}}))
	if _, err := tm.ask(t, "go"); err == nil || strings.Contains(err.Error(), "not taken back") {
		t.Errorf("it ended with %v", err)
	}
	if len(tries) != 1 {
		t.Errorf("tried %v, with more than one key", tries)
	}
	for _, n := range tries {
		if n != 3 {
			t.Errorf("tried %d times", n)
		}
	}
}

// TestUndoApproval: an undo that needs approval waits for it.
func TestUndoApproval(t *testing.T) {
	ctx := t.Context()
	h := &hotel{}
	h.reset()
	m := turns(answer(models.FinishToolCalls, "", book("1", 1), book("2", 2), models.ToolCall{ID: "3", Name: "boom"}))
	a := agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, UndoOnFailure: true, Tools: h.tools(tools.NeedsApproval(tools.Approval{Question: "Give it back?"}))})
	tm := start(t, m, a)
	id, err := a.Schedule(ctx, tm.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	for i, room := range []string{`{"number":2}`, `{"number":1}`} {
		r := waitForRequest(t, tm.Client())
		if r.Kind != agents.KindTool || r.Tool != "back" || r.Question != "Give it back?" || r.Arguments != room {
			t.Errorf("people are asked %+v", r)
		}
		if _, err := agents.Decide(ctx, tm.Client(), r.ID, agents.Decision{Approve: i == 0, By: "eva"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Wait(ctx, tm.Client(), id); err == nil || !strings.Contains(err.Error(), "not taken back: a person has rejected this call") {
		t.Errorf("it ended with %v", err)
	}
	if got := strings.Join(h.happened(), ", "); got != "book 1, book 2, back 2" {
		t.Errorf("what happened is %s", got)
	}
}

// TestUndoUnknown: a call that was cut off is taken back if a person says that it took
// effect.
func TestUndoUnknown(t *testing.T) {
	for _, happened := range []bool{true, false} {
		t.Run(fmt.Sprint(happened), func(t *testing.T) {
			ctx := t.Context()
			h := &hotel{}
			h.reset()
			list := h.tools()
			undo, _ := list[0].Undo()
			list[0] = tools.New("book", "", func(context.Context, room) (string, error) {
				return "", &tools.UnknownOutcomeError{Err: errors.New("the line broke")}
			}, tools.Compensable(undo))
			m := turns(answer(models.FinishToolCalls, "", book("1", 1)), answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "boom"}))
			a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Tools: list})
			tm := start(t, m, a)
			id, err := a.Schedule(ctx, tm.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			r := waitForRequest(t, tm.Client())
			if _, err := agents.Decide(ctx, tm.Client(), r.ID, agents.Decision{Approve: happened, By: "eva"}); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, tm.Client(), id); err == nil {
				t.Error("it did not fail")
			}
			if got := h.happened(); len(got) == 1 != happened {
				t.Errorf("what happened is %q", got)
			}
		})
	}
}

// A hook that answers in the place of a tool leaves nothing to take back.
func TestUndoHooked(t *testing.T) {
	h := &hotel{}
	h.reset()
	m := turns(answer(models.FinishToolCalls, "", book("1", 1), models.ToolCall{ID: "2", Name: "boom"}))
	a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Sequential: true, Tools: h.tools(), Hooks: agents.Hooks{
		BeforeTool: func(_ context.Context, tool tools.Tool, _ tools.Call) (*tools.Result, error) {
			if tool.Name() == "book" {
				return &tools.Result{Content: "as if booked"}, nil
			}
			return nil, nil
		},
	}})
	if _, err := start(t, m, a).ask(t, "go"); err == nil {
		t.Error("it did not fail")
	}
	if got := h.happened(); len(got) > 0 {
		t.Errorf("what happened is %q", got)
	}
}

// TestUndoEffects: what was taken back is listed with the key that the undo was given,
// also of the tools of a toolset.
func TestUndoEffects(t *testing.T) {
	for _, set := range []bool{false, true} {
		t.Run(fmt.Sprint(set), func(t *testing.T) {
			h := &hotel{}
			h.reset()
			var mu sync.Mutex
			var keys []string
			note := func(name string, opts ...tools.Option) tools.Tool {
				return tools.New(name, "", func(ctx context.Context, _ room) (string, error) {
					mu.Lock()
					defer mu.Unlock()
					keys = append(keys, name+" "+tools.Key(ctx))
					return "done", nil
				}, opts...)
			}
			list := []tools.Tool{
				note("hold", tools.Compensable(note("hold-undone", tools.Idempotent()))),
				note("sell", tools.Compensable(note("sell-undone"))),
				note("tell", tools.Idempotent()), h.tools()[1],
			}
			c := agents.Config{Name: "a", Model: "m", Sequential: true, UndoOnFailure: true}
			if set {
				c.Toolsets = []tools.Toolset{tools.Static("shop", list...)}
			} else {
				c.Tools = list
			}
			var msg []models.ToolCall
			for i, name := range []string{"hold", "tell", "sell", "boom"} {
				msg = append(msg, models.ToolCall{ID: fmt.Sprint(i), Name: name, Arguments: `{"number":1}`})
			}
			msg[3].Arguments = "{}"
			a := agents.New(c)
			tm := start(t, turns(answer(models.FinishToolCalls, "", msg...)), a)
			id, err := a.Schedule(t.Context(), tm.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(t.Context(), tm.Client(), id); err == nil {
				t.Error("it did not fail")
			}
			effects, err := agents.Effects(t.Context(), tm.Client(), id)
			if err != nil {
				t.Fatal(err)
			}
			var got, classes []string
			for _, e := range effects {
				name := e.Tool
				if e.Undo {
					name += "-undone"
				}
				got = append(got, name+" "+e.Key)
				classes = append(classes, fmt.Sprint(name, " ", e.Effect, " ", e.State))
			}
			slices.Sort(got)
			slices.Sort(keys)
			if !slices.Equal(got, keys) {
				t.Errorf("listed are %q, and the tools had %q", got, keys)
			}
			slices.Sort(classes)
			want := []string{"hold compensable done", "hold-undone idempotent done", "sell compensable done", "sell-undone unsafe done", "tell idempotent done"}
			if !slices.Equal(classes, want) {
				t.Errorf("listed are %q", classes)
			}
		})
	}
}
