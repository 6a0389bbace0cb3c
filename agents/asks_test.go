package agents_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// The tests of this file are what users of other frameworks told of in public, each
// with the place where it was told.

// counted is tools that count their calls by their arguments.
type counted struct {
	mu    sync.Mutex
	calls map[string]int
}

func (c *counted) count(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls == nil {
		c.calls = map[string]int{}
	}
	c.calls[what]++
}

func (c *counted) of(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[what]
}

func (c *counted) tool(name string, during func(city), opts ...tools.Option) tools.Tool {
	return tools.New(name, "", func(_ context.Context, in city) (string, error) {
		c.count(name + " " + in.Name)
		if during != nil {
			during(in)
		}
		return name + " " + in.Name, nil
	}, opts...)
}

func calls(name string, arguments ...string) func() (*models.Response, error) {
	var list []models.ToolCall
	for i, a := range arguments {
		list = append(list, models.ToolCall{ID: fmt.Sprint(i + 1), Name: name, Arguments: fmt.Sprintf(`{"name":%q}`, a)})
	}
	return answer(models.FinishToolCalls, "", list...)
}

// waitForResults waits until the results of n tool calls of a run are on disk.
func waitForResults(t *testing.T, c *durable.Client, id string, n int) {
	t.Helper()
	for found := 0; found < n; {
		found = 0
		for ev, err := range agents.Past(t.Context(), c, id, "") {
			if err != nil {
				t.Fatal(err)
			}
			if ev.Kind == agents.EventResult {
				found++
			}
		}
	}
}

// openOn opens a store that the test goes on to copy, or that is a copy.
func openOn(t *testing.T, s *memory.Store, m models.Model, a *agents.Agent) *durable.Runtime {
	t.Helper()
	rt, err := durable.OpenStore(t.Context(), s, durable.Options{}, agents.Define(agents.Options{Models: only(m)}, a))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// A process dies in the middle of a turn, when two of its three e-mails are out. When
// the turn goes on, the two are not sent again, and the third is not sent blindly.
// (microsoft/agent-framework#3938)
func TestAskCrashInMidTurn(t *testing.T) {
	ctx := t.Context()
	disk := memory.New()
	var c counted
	third, end := make(chan struct{}), make(chan struct{})
	a := agents.New(agents.Config{Name: "a", Model: "m", Sequential: true, Tools: []tools.Tool{c.tool("mail", func(in city) {
		if in.Name == "three" {
			close(third)
			<-end
		}
	})}})
	m := turns(calls("mail", "one", "two", "three"), say("sent"))
	rt := openOn(t, disk, m, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-third
	image := disk.Clone()
	close(end)

	rt = openOn(t, image, m, a)
	r := waitForRequest(t, rt.Client())
	if r.Kind != agents.KindOutcome || r.Arguments != `{"name":"three"}` {
		t.Errorf("people are asked %+v", r)
	}
	if _, err := agents.Decide(ctx, rt.Client(), r.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "sent" {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, mail := range []string{"one", "two", "three"} {
		if n := c.of("mail " + mail); n != 1 {
			t.Errorf("e-mail %s was sent %d times", mail, n)
		}
	}
	valid(t, messages(t, rt.Client(), id))
}

// Of four calls of one turn two need approval, at different times, and one of these is
// refused. The free ones run at once; none is lost, each has one answer, in the model's
// order, though the process ended while they waited.
// (openai/openai-agents-python#3004, microsoft/agent-framework#6910)
func TestAskApproveOneOfSeveral(t *testing.T) {
	ctx := t.Context()
	disk := memory.New()
	var c counted
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{c.tool("look", nil), c.tool("buy", nil, tools.NeedsApproval(tools.Approval{}))}})
	buy := func(id, what string) models.ToolCall {
		return models.ToolCall{ID: id, Name: "buy", Arguments: fmt.Sprintf(`{"name":%q}`, what)}
	}
	look := func(id, what string) models.ToolCall {
		return models.ToolCall{ID: id, Name: "look", Arguments: fmt.Sprintf(`{"name":%q}`, what)}
	}
	m := turns(answer(models.FinishToolCalls, "", look("1", "x"), buy("2", "car"), look("3", "y"), buy("4", "boat")), say("done"))
	rt := openOn(t, disk, m, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	both := func(rt *durable.Runtime) map[string]string {
		ids := map[string]string{}
		for len(ids) < 2 {
			list, err := agents.Inbox(ctx, rt.Client(), id, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range list {
				ids[r.Arguments] = r.ID
			}
		}
		return ids
	}
	ids := both(rt)
	waitForResults(t, rt.Client(), id, 2) // of the free calls
	rt = openOn(t, disk.Clone(), m, a)
	if again := both(rt); again[`{"name":"car"}`] != ids[`{"name":"car"}`] || again[`{"name":"boat"}`] != ids[`{"name":"boat"}`] {
		t.Errorf("the requests were %v and are %v", ids, again)
	}
	if _, err := agents.Decide(ctx, rt.Client(), ids[`{"name":"boat"}`], agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if _, err := agents.Decide(ctx, rt.Client(), ids[`{"name":"car"}`], agents.Decision{By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "done" || got.ToolCalls != 4 {
		t.Errorf("got %+v, %v", got, err)
	}
	for what, n := range map[string]int{"look x": 1, "look y": 1, "buy boat": 1, "buy car": 0} {
		if c.of(what) != n {
			t.Errorf("%s was called %d times", what, c.of(what))
		}
	}
	list := messages(t, rt.Client(), id)
	valid(t, list)
	for i, want := range []string{"look x", "rejected", "look y", "buy boat"} {
		if m := list[2+i]; !strings.Contains(m.Content, want) || m.ToolCallID != fmt.Sprint(i+1) {
			t.Errorf("call %d was answered %q", i+1, m.Content)
		}
	}
}

// A request waits; the program that goes on with the run fails before anybody decides,
// and again right after. The request is there still, the decision counts once, and what
// was approved runs once. (renjian-pro/AgentTrail#114, xorbitsai/xagent#2283)
func TestAskApprovalSurvivesFailedResume(t *testing.T) {
	ctx := t.Context()
	disk := memory.New()
	var c counted
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{c.tool("buy", nil, tools.NeedsApproval(tools.Approval{}))}})
	m := turns(calls("buy", "car"), say("done"))
	rt := openOn(t, disk, m, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	request := waitForRequest(t, rt.Client())
	end := func(rt *durable.Runtime) {
		t.Helper()
		if err := rt.Close(); err != nil {
			t.Fatal(err)
		}
		disk = disk.Reopen()
	}
	end(rt)
	for range 2 { // a program that cannot go on with it: it does not know the agent
		other := agents.New(agents.Config{Name: "other", Model: "m"})
		rt = openOn(t, disk, m, other)
		if r := waitForRequest(t, rt.Client()); r.ID != request.ID || r.Digest != request.Digest {
			t.Errorf("the request was %+v, and is %+v", request, r)
		}
		end(rt)
	}
	rt = openOn(t, disk, m, agents.New(agents.Config{Name: "other", Model: "m"}))
	if _, err := agents.Decide(ctx, rt.Client(), request.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	end(rt)
	rt = openOn(t, disk, m, a)
	if _, err := agents.Decide(ctx, rt.Client(), request.ID, agents.Decision{By: "bob"}); !errors.Is(err, agents.ErrNotCounted) {
		t.Errorf("a second decision: %v", err)
	}
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "done" || c.of("buy car") != 1 {
		t.Errorf("got %+v, %v; it ran %d times", got, err, c.of("buy car"))
	}
	end(rt)
	rt = openOn(t, disk, m, a)
	if list, err := agents.Inbox(ctx, rt.Client(), "", true); err != nil || len(list) > 0 || c.of("buy car") != 1 {
		t.Errorf("then: %v, %v; it ran %d times", list, err, c.of("buy car"))
	}
}

// However long a conversation is, the state of its entity and each event of its run are
// small: they hold references, and no text.
// (microsoft/agent-framework-durable-extension#4, ballerina-platform/ballerina-library#9182)
func TestAskStateStaysSmall(t *testing.T) {
	size := func(n int) (state, event int) {
		ctx := t.Context()
		text := strings.Repeat("x", 1000)
		m := scripted.Func(func(req *models.Request) (*models.Response, error) {
			if models.AssistantTurns(req.Messages) == n-1 {
				return say("done")()
			}
			return answer(models.FinishToolCalls, text, call("1", `{"name":"`+text+`"}`))()
		})
		var count atomic.Int32
		a := agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: n, Tools: []tools.Tool{weather(&count, tools.Pure())}})
		rt := openOn(t, memory.New(), m, a)
		id, err := a.Schedule(ctx, rt.Client(), "go")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
			t.Fatal(err)
		}
		e, err := rt.Client().Entity(ctx, "@conversation@"+id)
		if err != nil {
			t.Fatal(err)
		}
		for ev, err := range rt.Client().History(ctx, id, "") {
			if err != nil {
				t.Fatal(err)
			}
			event = max(event, len(ev.Data))
		}
		return len(e.State), event
	}
	// The references to the beginning of a long list are a few more, by its logarithm.
	if state, event := size(100); state == 0 || state > 1024 || event > 2048 {
		t.Errorf("after 100 turns of 2 KB the entity's state has %d bytes, and the largest event %d", state, event)
	}
}

// What breaks below one call of a turn (a panic, a tool that hangs, a provider that is
// away for a while) is an answer to that call, or is tried again by itself: the turn goes
// on, and what was done in it is not done again. (TracecatHQ/tracecat#3145)
func TestAskOneCallFails(t *testing.T) {
	var c counted
	var asked atomic.Int32
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if n := asked.Add(1); n == 1 || n == 3 || n == 4 { // the first try of each turn, and another one
			return nil, errBusy
		}
		if models.AssistantTurns(req.Messages) == 0 {
			return answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "mail", Arguments: `{"name":"x"}`},
				models.ToolCall{ID: "2", Name: "panics", Arguments: `{"name":"x"}`}, models.ToolCall{ID: "3", Name: "hangs"}, models.ToolCall{ID: "4", Name: "mail", Arguments: `{"name":"y"}`})()
		}
		return say("done")()
	})
	hangs := tools.New("hangs", "", func(ctx context.Context, _ struct{}) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}, tools.Pure(), tools.Timeout(time.Millisecond))
	a := agents.New(agents.Config{Name: "a", Model: "m", Retry: quickRetry,
		Tools: []tools.Tool{c.tool("mail", nil), c.tool("panics", func(city) { panic("boom") }), hangs}})
	tm := start(t, m, a)
	got, err := tm.ask(t, "go")
	if err != nil || got.Text != "done" || got.ToolCalls != 4 || got.Turns != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if c.of("mail x") != 1 || c.of("mail y") != 1 || c.of("panics x") != 1 {
		t.Errorf("calls %v", c.calls)
	}
	list := messages(t, tm.Client(), agentRun(t, tm.Client()))
	valid(t, list)
	for i, want := range []string{"mail x", "boom", "timeout", "mail y"} {
		if !strings.Contains(list[2+i].Content, want) {
			t.Errorf("call %d was answered %q", i+1, list[2+i].Content)
		}
	}
}

// A model call that was given up answers after all, when its turn has another answer:
// it changes nothing. (dapr/durabletask-go#129)
func TestAskStaleAnswer(t *testing.T) {
	ctx := t.Context()
	var asked atomic.Int32
	first, late, gone := make(chan struct{}), make(chan struct{}), make(chan struct{})
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if asked.Add(1) == 1 {
			close(first)
			<-late // whatever its context says
			defer close(gone)
			return calls("mail", "stale")()
		}
		if models.AssistantTurns(req.Messages) == 0 {
			return calls("mail", "new")()
		}
		return say("done")()
	})
	var c counted
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{c.tool("mail", func(city) {
		close(late)
		<-gone // the stale answer is there before the turn ends
	})}})
	rt := openOn(t, memory.New(), m, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-first
	if err := agents.RetryTurn(ctx, rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "done" || got.Turns != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
	if c.of("mail new") != 1 || c.of("mail stale") != 0 || len(messages(t, rt.Client(), id)) != 4 {
		t.Errorf("calls %v, conversation %q", c.calls, conversation(t, rt.Client(), id))
	}
}

// A team waits in two places at once, on two levels. Both are in one inbox, under the one
// run, and are decided in any order. (MODSetter/SurfSense#1393, LibreChat-AI/agents#392)
func TestAskTwoLevelsWait(t *testing.T) {
	for _, order := range [][]string{{"sign", "deploy"}, {"deploy", "sign"}} {
		t.Run(order[0]+" first", func(t *testing.T) {
			ctx := t.Context()
			var c counted
			approval := tools.NeedsApproval(tools.Approval{})
			below := agents.New(agents.Config{Name: "below", Model: "below", Tools: []tools.Tool{c.tool("deploy", nil, approval)}})
			middle := agents.New(agents.Config{Name: "middle", Model: "middle", Tools: []tools.Tool{agents.AsTool(below)}})
			top := agents.New(agents.Config{Name: "a", Model: "top", Tools: []tools.Tool{c.tool("sign", nil, approval), agents.AsTool(middle)}})
			task := func(id, agent string) models.ToolCall {
				b, _ := json.Marshal(agents.Assignment{Task: "go"})
				return models.ToolCall{ID: id, Name: agent, Arguments: string(b)}
			}
			scripts := map[string]models.Model{
				"top":    turns(answer(models.FinishToolCalls, "", models.ToolCall{ID: "1", Name: "sign", Arguments: `{"name":"x"}`}, task("2", "middle")), say("all done")),
				"middle": turns(answer(models.FinishToolCalls, "", task("1", "below")), say("middle done")),
				"below":  turns(calls("deploy", "y"), say("below done")),
			}
			rt, err := agents.Open(ctx, "memory:", agents.Options{Models: func(_ context.Context, name string) (models.Model, error) { return scripts[name], nil }}, durable.Options{}, []*agents.Agent{top})
			if err != nil {
				t.Fatal(err)
			}
			defer rt.Close()
			id, err := top.Schedule(ctx, rt.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]string{}
			for len(ids) < 2 {
				list, err := agents.Inbox(ctx, rt.Client(), id, true)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range list {
					ids[r.Tool] = r.ID
				}
			}
			for _, tool := range order {
				if _, err := agents.Decide(ctx, rt.Client(), ids[tool], agents.Decision{Approve: true, By: "eva"}); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := top.Wait(ctx, rt.Client(), id); err != nil || got.Text != "all done" {
				t.Errorf("got %+v, %v", got, err)
			}
			if c.of("sign x") != 1 || c.of("deploy y") != 1 {
				t.Errorf("calls %v", c.calls)
			}
			said := conversation(t, rt.Client(), id)
			if i := slices.Index(said, "tool: middle done"); i != 3 {
				t.Errorf("it was told %q", said)
			}
		})
	}
}
