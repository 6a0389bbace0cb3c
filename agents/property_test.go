package agents_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	agentmemory "github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// wild is a run under a random script, steered at random moments, in processes that
// are killed at others.
type wild struct {
	t     *rapid.T
	agent *agents.Agent
	defs  durable.Definition
	id    string

	steps []step // that are still to come

	mu      sync.Mutex
	during  map[int][]string // steps while the model is asked, by the answers before
	said    []string
	armed   bool
	commits int
	crashes []int // by commit
	disk    *memory.Store
	paid    map[string]int // by key: the world

	client *durable.Client

	rt    *durable.Runtime
	on    *memory.Store // that rt is on
	ended sync.WaitGroup
}

// step is what people do once there were so many commits.
type step struct {
	at int
	do string
}

var stepKinds = []string{"say", "say", "pause", "resume", "retry", "stop", "summary", "cancel"}

func newWild(t *rapid.T) *wild {
	w := &wild{t: t, id: "run", disk: memory.New(), paid: map[string]int{}, during: map[int][]string{}}
	pay := func(ctx context.Context, in city) (string, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.paid[tools.Key(ctx)]++
		return "paid " + in.Name, nil
	}
	stop := tools.New("stop", "", func(context.Context, struct{}) (string, error) { return "", tools.Stop(errors.New("stopped")) }, tools.Pure())
	c := agents.Config{Name: "a", Model: "m", Retry: quick, MaxTurns: 8, Guardrails: []agents.Guardrail{byWord(agents.OnArguments)},
		Sequential: rapid.Bool().Draw(t, "sequential"),
		OnMaxTurns: rapid.SampledFrom([]agents.MaxTurnsAction{agents.MaxTurnsFail, agents.MaxTurnsSummary}).Draw(t, "at max turns"),
		Tools: []tools.Tool{
			tools.New("weather", "", func(_ context.Context, in city) (string, error) {
				if in.Name == "Atlantis" {
					return "", errors.New("no such city")
				}
				return "sunny", nil
			}, tools.Pure()),
			tools.New("pay", "", pay), tools.New("ask", "", pay, tools.NeedsApproval(tools.Approval{})), stop,
		}}
	if rapid.IntRange(0, 3).Draw(t, "stop after") == 0 {
		c.StopTools = []string{"weather"}
	}
	w.agent = agents.New(c).Bound(rapid.IntRange(1, 3).Draw(t, "turns of an execution"), 100)
	w.defs = agents.Define(agents.Options{Models: only(w.asked(script(t)))}, w.agent)
	for range rapid.IntRange(0, 4).Draw(t, "steps") {
		w.steps = append(w.steps, step{rapid.IntRange(0, 40).Draw(t, "at"), rapid.SampledFrom(stepKinds).Draw(t, "step")})
	}
	slices.SortStableFunc(w.steps, func(a, b step) int { return a.at - b.at })
	for range rapid.IntRange(0, 2).Draw(t, "steps during turns") {
		n := rapid.IntRange(0, 5).Draw(t, "turn")
		w.during[n] = append(w.during[n], rapid.SampledFrom(stepKinds).Draw(t, "step"))
	}
	w.crashes = rapid.SliceOfN(rapid.IntRange(1, 60), 0, 3).Draw(t, "crashes")
	return w
}

// asked lets people steer while the model is asked.
func (w *wild) asked(m models.Model) models.Model {
	return scripted.Func(func(req *models.Request) (*models.Response, error) {
		n := models.AssistantTurns(req.Messages)
		w.mu.Lock()
		steps, c := w.during[n], w.client
		delete(w.during, n)
		w.mu.Unlock()
		for _, do := range steps {
			_ = w.steer(context.Background(), c, do) // the process may be gone meanwhile
		}
		return models.Collect(m.Generate(context.Background(), req))
	})
}

// script draws what a model answers, turn by turn.
func script(t *rapid.T) models.Model {
	call := rapid.Custom(func(t *rapid.T) models.ToolCall {
		name := rapid.SampledFrom([]string{"weather", "weather", "pay", "ask", "rm", "stop"}).Draw(t, "tool")
		if name == "stop" && rapid.IntRange(0, 3).Draw(t, "really") > 0 {
			name = "pay"
		}
		args := rapid.SampledFrom([]string{`{"name":"Oslo"}`, `{"name":"Atlantis"}`, `{"name":"no"}`, `{"name":"bomb"}`, `{"name":"money"}`, `{"name":"secret"}`, `{"name":`, `[]`}).Draw(t, "arguments")
		return models.ToolCall{Name: name, Arguments: args}
	})
	var list []*models.Response
	for range rapid.IntRange(0, 5).Draw(t, "turns") {
		calls := rapid.SliceOfN(call, 0, 4).Draw(t, "calls")
		text := rapid.SampledFrom([]string{"", "text"}).Draw(t, "text")
		if len(calls) == 0 {
			list = append(list, saying("an answer"))
		} else {
			list = append(list, calling(text, calls...))
		}
	}
	return scripted.Func(func(req *models.Request) (*models.Response, error) {
		if n := models.AssistantTurns(req.Messages); n < len(list) && len(req.Tools) > 0 {
			r := *list[n]
			return &r, nil
		}
		return saying("the end"), nil
	})
}

// open begins a process, if the last one is gone.
func (w *wild) open() {
	w.mu.Lock()
	disk := w.disk
	w.mu.Unlock()
	if disk == w.on {
		return
	}
	if old := w.rt; old != nil {
		w.ended.Go(func() { _ = old.Close() }) // its error is that it was fenced
	}
	rt, err := durable.OpenStore(context.Background(), disk, durable.Options{Logger: slog.New(slog.DiscardHandler), OnCommit: func(uint64) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.commits++; w.armed && disk == w.disk && slices.Contains(w.crashes, w.commits) {
			image := disk.Clone()
			disk.Reopen() // what it still does is refused
			w.disk = image
		}
	}}, w.defs)
	if err != nil {
		w.t.Fatal(err)
	}
	w.rt, w.on = rt, disk
	w.mu.Lock()
	defer w.mu.Unlock()
	w.client = rt.Client()
}

func (w *wild) alive() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.disk == w.on
}

// run goes on until the run has ended.
func (w *wild) run() {
	ctx := context.Background()
	w.open()
	id := w.id
	if _, err := w.agent.Schedule(ctx, w.rt.Client(), "begin", agents.With(durable.WithInstanceID(id))); err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.armed, w.commits = true, 0
	w.mu.Unlock()
	for {
		w.open()
		c := w.rt.Client()
		s, err := c.Get(ctx, id)
		if err != nil && w.alive() {
			w.t.Fatal(err)
		}
		if err == nil && s.Status.Ended() && w.alive() {
			return
		}
		paused := err == nil && strings.Contains(string(s.CustomStatus), "paused")
		w.mu.Lock()
		due := len(w.steps) > 0 && (paused || w.steps[0].at <= w.commits)
		w.mu.Unlock()
		switch {
		case due:
			do := w.steps[0].do
			w.steps = w.steps[1:]
			err = w.steer(ctx, c, do)
		case paused:
			err = agents.Resume(ctx, c, id)
		default:
			err = w.decide(ctx, c)
		}
		if err != nil && !errors.Is(err, agents.ErrEnded) && !errors.Is(err, agents.ErrNotCounted) && w.alive() {
			w.t.Fatal(err)
		}
	}
}

func (w *wild) steer(ctx context.Context, c *durable.Client, do string) error {
	switch do {
	case "pause":
		return agents.Pause(ctx, c, w.id)
	case "resume":
		return agents.Resume(ctx, c, w.id)
	case "retry":
		return agents.RetryTurn(ctx, c, w.id)
	case "stop", "summary":
		return agents.StopAfterTurn(ctx, c, w.id, do == "summary")
	case "cancel":
		return c.Cancel(ctx, w.id, "enough")
	}
	w.mu.Lock()
	text := fmt.Sprint("say ", len(w.said))
	w.said = append(w.said, text)
	w.mu.Unlock()
	return agents.Say(ctx, c, w.id, text)
}

func (w *wild) decide(ctx context.Context, c *durable.Client) error {
	list, err := agents.Inbox(ctx, c, "", true)
	if err != nil || len(list) == 0 {
		return err
	}
	a := list[0]
	_, err = agents.Decide(ctx, c, a.ID, agents.Decision{Approve: !strings.Contains(a.Arguments, "no"), By: "eva"})
	return err
}

// heard gives what of the people's messages has come to the run.
func (w *wild) heard(ctx context.Context, c *durable.Client) (all []string) {
	executions, err := c.Executions(ctx, w.id)
	if err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, x := range executions {
		for ev, err := range c.History(ctx, w.id, x) {
			if err != nil {
				w.t.Fatal(err)
			}
			if _, text, ok := strings.Cut(string(ev.Data), `"content":"say `); ok && ev.Kind == history.EventRaised && !seen[text[:1]] {
				seen[text[:1]] = true // once, though it goes over into the next execution
				all = append(all, "say "+text[:1])
			}
		}
	}
	return all
}

// check is what holds whatever happened.
func (w *wild) check() {
	ctx, c := context.Background(), w.rt.Client()
	res, err := w.agent.Wait(ctx, c, w.id)
	if _, has, _ := agentmemory.Conversation.Get(ctx, c, w.id); !has && err != nil {
		return // it was cancelled before it had one
	}
	list := messages(w.t, c, w.id)
	valid(w.t, list)
	answers, turns := 0, 0
	var said []string
	for _, m := range list {
		switch {
		case m.Role == models.RoleTool:
			answers++
		case m.Role == models.RoleAssistant:
			turns++
		case strings.HasPrefix(m.Content, "say "):
			said = append(said, m.Content)
		}
	}
	if err == nil && (res.Turns != turns || res.ToolCalls != answers) {
		w.t.Errorf("the result %+v is of a conversation with %d turns and %d calls", res, turns, answers)
	}
	if heard := w.heard(ctx, c); !slices.Equal(heard, said) {
		w.t.Errorf("people said %q, of which %q came, and the conversation has %q", w.said, heard, said)
	}
	for key, n := range w.paid {
		if n != 1 {
			w.t.Errorf("call %s was made %d times", key, n)
		}
	}
	requests, failed := agents.Inbox(ctx, c, "", false)
	if failed != nil {
		w.t.Fatal(failed)
	}
	for _, a := range requests {
		if a.Status == agents.Waiting {
			w.t.Errorf("nobody waits for %+v any more", a)
		}
	}
}

// TestWild: whatever a model does, people want and processes come to, a run ends with
// a conversation that a provider takes, in which nothing is lost and nothing is twice.
func TestWild(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWild(t)
		w.run()
		w.check()
		_ = w.rt.Close()
		w.ended.Wait()
	})
}
