package agents_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

type invoice struct {
	Number int `json:"number"`
}

// bank is the world that an unsafe tool changes.
type bank struct {
	mu       sync.Mutex
	payments []string // their keys
	asked    []string // keys that Reconcile was asked for
	during   func()   // runs within a payment, before it is made
}

func (b *bank) pay(ctx context.Context, in invoice) (string, error) {
	if b.during != nil {
		b.during()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.payments = append(b.payments, tools.Key(ctx))
	return "paid now", nil
}

// paying is agent a with the tool pay, whose outcome find tells; nil: nobody does.
func (b *bank) paying(find func() (string, bool, error)) *agents.Agent {
	opts := []tools.Option{tools.Unsafe()}
	if find != nil {
		opts = append(opts, tools.Reconcile(func(_ context.Context, key string, _ invoice) (string, bool, error) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.asked = append(b.asked, key)
			return find()
		}))
	}
	return agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{tools.New("pay", "Pay an invoice.", b.pay, opts...)}})
}

// onDisk runs the agent on a store.
func onDisk(t *testing.T, s *memory.Store, a *agents.Agent) *durable.Runtime {
	t.Helper()
	m := turns(answer("", "", models.ToolCall{ID: "1", Name: "pay", Arguments: `{"number":7}`}), say("fine"))
	rt, err := durable.OpenStore(t.Context(), s, durable.Options{}, agents.Define(agents.Options{Models: only(m)}, a))
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

// A process that dies between an unsafe call's intent and its receipt leaves the
// question whether it took effect. Reconcile answers it, or a person does; nothing
// is paid twice.
func TestUnknownOutcome(t *testing.T) {
	yes, no := &agents.Decision{Approve: true, By: "eva", Comment: "it is on the statement"}, &agents.Decision{By: "eva"}
	for _, c := range []struct {
		name     string
		find     func() (string, bool, error)
		decision *agents.Decision // nil: nobody is asked
		payments int              // after the crash
		told     string
		reason   string // what people are told of why nobody knows
	}{
		{"it happened", func() (string, bool, error) { return "paid before", true, nil }, nil, 0, "paid before", ""},
		{"it did not", func() (string, bool, error) { return "", false, nil }, nil, 1, "paid now", ""},
		{"cannot tell, it did", func() (string, bool, error) { return "", false, errors.New("the bank is closed") }, yes, 0,
			"A person has confirmed that it took effect; its result is lost.; eva says: it is on the statement", "its Reconcile could not tell: reconcile call "},
		{"cannot tell, it did not", func() (string, bool, error) { return "", false, errors.New("the bank is closed") }, no, 0,
			"a person has confirmed that it did not take effect", "the bank is closed"},
		{"panics", func() (string, bool, error) { panic("boom") }, no, 0, "did not take effect", "tool pay panicked: boom"},
		{"nobody can tell", nil, yes, 0, "took effect", "the process ended while tool:a/pay was running"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			disk := memory.New()
			var image *memory.Store
			var b bank
			b.during = func() { image = disk.Clone() } // the intent is on disk, the receipt is not
			a := b.paying(c.find)
			rt := onDisk(t, disk, a)
			id, err := a.Schedule(ctx, rt.Client(), "pay")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(ctx, rt.Client(), id); err != nil || len(b.payments) != 1 || len(b.asked) != 0 {
				t.Fatalf("without a crash: %v, %d payments, %d questions", err, len(b.payments), len(b.asked))
			}
			key := b.payments[0]

			b.payments, b.during = nil, nil
			rt = onDisk(t, image, a)
			if c.decision != nil {
				r := waitForRequest(t, rt.Client())
				if r.Kind != agents.KindOutcome || r.Run != id || r.Tool != "pay" || r.Arguments != `{"number":7}` ||
					!strings.Contains(r.Question, "Did pay take effect?") || !strings.Contains(r.Question, "key is "+key+".") || r.Key != key || !strings.Contains(r.Question, c.reason) {
					t.Errorf("asked is %+v", r)
				}
				edited := *c.decision
				edited.Approve, edited.Arguments = true, `{"number":8}`
				if _, err := agents.Decide(ctx, rt.Client(), r.ID, edited); !errors.Is(err, durable.ErrInvalid) {
					t.Errorf("arguments for what is done or not: %v", err)
				}
				if _, err := agents.Decide(ctx, rt.Client(), r.ID, *c.decision); err != nil {
					t.Fatal(err)
				}
			}
			got, err := a.Wait(ctx, rt.Client(), id)
			if err != nil || got.Text != "fine" || got.ToolCalls != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			if said := conversation(t, rt.Client(), id); len(said) != 4 || !strings.Contains(said[2], c.told) {
				t.Errorf("the model was told %q, want %q", said, c.told)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if len(b.payments) != c.payments {
				t.Errorf("after the crash it was paid %d times, not %d", len(b.payments), c.payments)
			}
			for _, k := range append(b.payments, b.asked...) {
				if k != key {
					t.Errorf("key %s became %s", key, k)
				}
			}
			if asked := len(b.asked); asked == 0 && c.find != nil {
				t.Error("Reconcile was not asked")
			}
		})
	}
}

// A process that ends in good order while an unsafe tool is at work, and does not
// wait for it, leaves the same question.
func TestCloseInUnsafeCall(t *testing.T) {
	ctx := t.Context()
	disk := memory.New()
	begun, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	var once sync.Once
	var b bank
	b.during = func() {
		once.Do(func() { close(begun) })
		<-end // whatever its context says
	}
	a := b.paying(nil)
	rt := onDisk(t, disk, a)
	id, err := a.Schedule(ctx, rt.Client(), "pay")
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := rt.Close(); err != nil {
		t.Fatal(err)
	}
	rt = onDisk(t, disk.Reopen(), a)
	r := waitForRequest(t, rt.Client())
	if r.Kind != agents.KindOutcome || r.Tool != "pay" {
		t.Errorf("asked is %+v", r)
	}
	if _, err := agents.Decide(ctx, rt.Client(), r.ID, agents.Decision{Approve: true, By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if got, err := a.Wait(ctx, rt.Client(), id); err != nil || got.Text != "fine" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// A call that does not know itself whether it took effect asks the same question, with
// its key.
func TestUnknownToItself(t *testing.T) {
	ctx := t.Context()
	key := ""
	pay := tools.New("pay", "", func(ctx context.Context, _ invoice) (string, error) {
		key = tools.Key(ctx)
		return "", &tools.UnknownOutcomeError{Err: errors.New("the line broke")}
	})
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{pay}})
	rt := onDisk(t, memory.New(), a)
	id, err := a.Schedule(ctx, rt.Client(), "pay")
	if err != nil {
		t.Fatal(err)
	}
	r := waitForRequest(t, rt.Client())
	if r.Kind != agents.KindOutcome || r.Key != key || key == "" || !strings.Contains(r.Question, "key is "+key+".") || !strings.Contains(r.Question, "the line broke") {
		t.Errorf("asked is %+v, for key %s", r, key)
	}
	if _, err := agents.Decide(ctx, rt.Client(), r.ID, agents.Decision{By: "eva"}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err != nil {
		t.Error(err)
	}
}
