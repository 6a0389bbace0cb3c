package agents_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	conversations "github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// Tests of places where features meet.

// opened runs agents on a store, with the options given.
func opened(t *testing.T, s *memory.Store, o agents.Options, list ...*agents.Agent) *durable.Runtime {
	t.Helper()
	rt, err := durable.OpenStore(t.Context(), s, durable.Options{}, agents.Define(o, list...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rt.Close() })
	return rt
}

// A run that cannot hand over to whom it began with fails by that name, also where a
// restart comes between the failure and the run's end: a replay takes the same steps.
func TestSuccessorGoneReplay(t *testing.T) {
	ctx, disk := t.Context(), memory.New()
	next := agents.New(agents.Config{Name: "b", Model: "m"})
	calling := turns(answer("", "", models.ToolCall{ID: "1", Name: "stop", Arguments: `{}`}))
	var image *memory.Store
	stop := tools.New("stop", "", func(context.Context, struct{}) (string, error) {
		if image == nil {
			image = disk.Clone()
		}
		return "", nil
	}, tools.Idempotent()) // not Pure, which runs ahead of the disk that it clones
	var ending chan struct{}
	config := agents.Config{Name: "a", Model: "m", MaxTurns: 1, OnMaxTurns: agents.MaxTurnsHandOver, Successor: next, Tools: []tools.Tool{stop},
		Hooks: agents.Hooks{RunEnd: func(ctx context.Context, _ agents.RunState, end agents.RunEnd) error {
			if ending == nil {
				return nil
			}
			close(ending)
			<-ctx.Done()
			return ctx.Err()
		}}}
	a := agents.New(config)
	rt := opened(t, disk, agents.Options{Models: only(calling)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err == nil { // b has nothing to say: what counts is the image
		t.Fatal("the successor's model has answered")
	}

	config.OnMaxTurns, config.Successor = "", nil
	ending = make(chan struct{})
	a = agents.New(config)
	if broken := a.Broken(agents.New(agents.Config{Name: "a", Model: "m", OnMaxTurns: agents.MaxTurnsHandOver, Successor: next}).Manifest()); !strings.Contains(broken, "b") {
		t.Errorf("a check of it says %q", broken)
	}
	rt = opened(t, image, agents.Options{Models: only(calling)}, a)
	<-ending
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	ending = nil
	rt = opened(t, image.Reopen(), agents.Options{Models: only(calling)}, a)
	if _, err := a.Wait(ctx, rt.Client(), id); err == nil || !strings.Contains(err.Error(), "hands over to b") || strings.Contains(err.Error(), "history") {
		t.Errorf("the run ended with %v", err)
	}
}

// A run that is cancelled while people find out what became of a call says in its
// conversation that nobody knows, not that the call was left out.
func TestCancelUnknownOutcome(t *testing.T) {
	ctx := t.Context()
	lost := tools.New("pay", "", func(context.Context, struct{}) (string, error) {
		return "", &tools.UnknownOutcomeError{Tool: "pay", Err: errors.New("the line went dead")}
	})
	m := turns(answer("", "", models.ToolCall{ID: "1", Name: "pay", Arguments: `{}`}))
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{lost}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	c := rt.Client()
	id, err := a.Schedule(ctx, c, "go")
	if err != nil {
		t.Fatal(err)
	}
	waitForRequest(t, c)
	if err := c.Cancel(ctx, id, "enough"); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, c, id); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("the run ended with %v", err)
	}
	list := messages(t, c, id)
	valid(t, list)
	if last := list[len(list)-1].Content; !strings.Contains(last, "nobody knows whether it took effect") || !strings.Contains(last, "the line went dead") {
		t.Errorf("the conversation says %q", last)
	}
}

// What people redact while a run is paused is not told to its model any more, and a
// conversation that they delete ends it.
func TestRedactPaused(t *testing.T) {
	redact := func(ctx context.Context, c *durable.Client, id string) error {
		return conversations.Redact.Send(ctx, c, id, conversations.Redaction{At: []int{2}, By: "eva"})
	}
	forget := func(ctx context.Context, c *durable.Client, id string) error {
		return conversations.Delete.Send(ctx, c, id, conversations.Deletion{})
	}
	if told, err := whilePaused(t, redact); err != nil || len(told) != 2 || strings.Contains(fmt.Sprint(told[1].Messages), "hunter2") {
		t.Errorf("redacted: %v, the model was told %+v", err, told)
	}
	var of *durable.Client
	var other string
	anew := func(ctx context.Context, c *durable.Client, id string) error {
		of, other = c, id
		return errors.Join(forget(ctx, c, id), conversations.Fork.Send(ctx, c, id, conversations.Head{}))
	}
	if told, err := whilePaused(t, forget); err == nil || !strings.Contains(err.Error(), "was deleted") || len(told) != 1 {
		t.Errorf("deleted: %v, the model was told %+v", err, told)
	}
	if told, err := whilePaused(t, anew); err == nil || !strings.Contains(err.Error(), "was deleted") || len(told) != 1 {
		t.Errorf("begun anew: %v, the model was told %+v", err, told)
	}
	if s, there, err := conversations.Conversation.Get(t.Context(), of, other); !there || err != nil || s.Version != 1 {
		t.Errorf("what somebody has begun anew is %+v, %v, %v", s, there, err)
	}
}

// whilePaused does something with a run's conversation between two turns. It gives what
// the model was told.
func whilePaused(t *testing.T, do func(ctx context.Context, c *durable.Client, id string) error) ([]*models.Request, error) {
	t.Helper()
	ctx := t.Context()
	var told []*models.Request
	begun, goOn := make(chan struct{}), make(chan struct{})
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		if told = append(told, req); len(told) == 1 {
			close(begun)
			<-goOn
			return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", models.ToolCall{ID: "1", Name: "look", Arguments: `{}`})}, nil
		}
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
	})
	look := tools.New("look", "", func(context.Context, struct{}) (string, error) { return "hunter2", nil }, tools.Pure())
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{look}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	c := rt.Client()
	id, err := a.Schedule(ctx, c, "go")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := agents.Pause(ctx, c, id); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	for {
		s, err := c.Get(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(s.CustomStatus), "paused") {
			break
		}
	}
	if err := do(ctx, c, id); err != nil {
		t.Fatal(err)
	}
	if err := agents.Resume(ctx, c, id); err != nil {
		t.Fatal(err)
	}
	_, err = a.Wait(ctx, c, id)
	return told, err
}

// A run under way whose model has lost its quota goes on without one.
func TestQuotaGone(t *testing.T) {
	ctx, disk := t.Context(), memory.New()
	var image *memory.Store
	stop := tools.New("stop", "", func(context.Context, struct{}) (string, error) { image = disk.Clone(); return "", nil }, tools.Pure())
	m := turns(answer("", "", models.ToolCall{ID: "1", Name: "stop", Arguments: `{}`}), say("done"))
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{stop}})
	rt := opened(t, disk, agents.Options{Models: only(m), Quotas: map[string]agents.Quota{"m": {Requests: 100}}}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	rt = opened(t, image, agents.Options{Models: only(m)}, a)
	if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
		t.Errorf("without the quota: %v", err)
	}
}

// What AfterTool takes out of a result that is too long to be shown whole is neither in
// what the model is shown nor in what it can read on in.
func TestAfterToolLongResult(t *testing.T) {
	ctx := t.Context()
	long := func(context.Context, struct{}) (string, error) {
		return "hunter2 " + strings.Repeat("x", 200) + " hunter2", nil
	}
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		last := req.Messages[len(req.Messages)-1].Content
		call := models.ToolCall{ID: "1", Name: "long", Arguments: `{}`}
		switch n := models.AssistantTurns(req.Messages); n {
		case 0:
		case 1:
			_, rest, _ := strings.Cut(last, `with id "`)
			id, _, _ := strings.Cut(rest, `"`)
			call = models.ToolCall{ID: "2", Name: "read_result", Arguments: `{"id":"` + id + `","offset":100}`}
		default:
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", call)}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{tools.New("long", "", long, tools.Pure(), tools.MaxResult(100))},
		Hooks: agents.Hooks{AfterTool: func(_ context.Context, _ tools.Tool, _ tools.Call, res *tools.Result) {
			res.Content = strings.ReplaceAll(res.Content, "hunter2", "***")
		}}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	list := messages(t, rt.Client(), id)
	for _, m := range list {
		if strings.Contains(m.Content, "hunter2") {
			t.Errorf("the model was told %q", m.Content)
		}
	}
	if len(list) != 6 || !strings.HasPrefix(list[2].Content, "*** xxx") || !strings.Contains(list[2].Content, "read_result") || !strings.Contains(list[4].Content, "xxx ***\n") {
		t.Errorf("the conversation is %q", list)
	}
}

// What a child gives is cut as any result, and the model can read on in it.
func TestLongChildResult(t *testing.T) {
	ctx := t.Context()
	long := durable.NewOrchestration("long", func(*durable.Context, struct{}) (string, error) {
		return strings.Repeat("x", tools.DefaultMaxResult) + " end", nil
	})
	read := ""
	m := scripted.Func(func(req *models.Request) (*models.Response, error) {
		last := req.Messages[len(req.Messages)-1].Content
		call := models.ToolCall{ID: "1", Name: "long", Arguments: `{}`}
		switch models.AssistantTurns(req.Messages) {
		case 0:
		case 1:
			_, rest, _ := strings.Cut(last, `with id "`)
			id, _, _ := strings.Cut(rest, `"`)
			call = models.ToolCall{ID: "2", Name: "read_result", Arguments: fmt.Sprintf(`{"id":%q,"offset":%d}`, id, tools.DefaultMaxResult)}
		default:
			read = last
			return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("done")}, nil
		}
		return &models.Response{Finish: models.FinishToolCalls, Message: models.AssistantMessage("", call)}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{agents.OrchestrationTool("long", "", long)}})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
		t.Fatal(err)
	}
	if n := len(messages(t, rt.Client(), id)[2].Content); n > tools.DefaultMaxResult+200 || !strings.HasPrefix(read, " end\n") {
		t.Errorf("the model was shown %d bytes, and then %q", n, read)
	}
}

// What is said while a run's last turn is under way does not cost it its answer.
func TestSayInLastTurn(t *testing.T) {
	ctx := t.Context()
	begun, goOn := make(chan struct{}), make(chan struct{})
	m := scripted.Func(func(*models.Request) (*models.Response, error) {
		close(begun)
		<-goOn
		return &models.Response{Finish: models.FinishStop, Message: models.AssistantMessage("the answer")}, nil
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", MaxTurns: 1})
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := agents.Say(ctx, rt.Client(), id, "thanks"); err != nil {
		t.Fatal(err)
	}
	close(goOn)
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "the answer" {
		t.Errorf("got %+v, %v", got, err)
	}
	if list := conversation(t, rt.Client(), id); len(list) != 3 || list[2] != "user: thanks" {
		t.Errorf("the conversation is %q", list)
	}
}
