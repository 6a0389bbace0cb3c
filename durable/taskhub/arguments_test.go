package taskhub_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/durable/store"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
)

// ears is a hub that notes what it is asked.
type ears struct {
	taskhub.Hub
	heard []any
}

func (e *ears) hear(args ...any) error { e.heard = args; return nil }

func (e *ears) Start(_ context.Context, s engine.Start) (string, error) { return "made", e.hear(s) }

func (e *ears) Raise(_ context.Context, id, name string, data history.Payload) error {
	return e.hear(id, name, data)
}

func (e *ears) Terminate(_ context.Context, id string, output history.Payload, recurse bool) error {
	return e.hear(id, output, recurse)
}

func (e *ears) Suspend(_ context.Context, id string, reason history.Payload) error {
	return e.hear("suspend", id, reason)
}

func (e *ears) Resume(_ context.Context, id string, reason history.Payload) error {
	return e.hear("resume", id, reason)
}

func (e *ears) Signal(_ context.Context, id, op string, input history.Payload, at time.Time) error {
	return e.hear(id, op, input, at)
}

func (e *ears) Query(_ context.Context, q store.Query, data bool) ([]*engine.State, string, error) {
	return nil, "next", e.hear(q, data)
}

func (e *ears) Entities(_ context.Context, q engine.EntityQuery, data bool) ([]*engine.EntityState, string, error) {
	return nil, "next", e.hear("entities", q, data)
}

func (e *ears) CleanEntities(_ context.Context, what engine.EntityCleaning, token string) (engine.CleanedEntities, string, error) {
	return engine.CleanedEntities{Empty: 3, Locks: 4}, "next", e.hear("clean", what, token)
}

// TestArguments checks that the hub hears what the Remote was told: the whole of it, with absent
// payloads apart from empty ones.
func TestArguments(t *testing.T) {
	ctx := t.Context()
	hub := new(ears)
	path, _ := serve(t, hub)
	r := dial(t, path)
	first := func(_ any, err error) error { return err }
	third := func(_ any, token string, err error) error {
		if token != "next" {
			t.Errorf("the token is %q", token)
		}
		return err
	}
	start := engine.Start{ID: "i", Name: "n", Version: "v", Input: history.Payload("in"), Tags: map[string]string{"a": "b", "c": ""},
		Trace: history.TraceContext{Parent: "p", State: "s", SpanID: "x"}}
	at := time.Date(2026, 8, 1, 2, 3, 4, 5, time.UTC)
	query := store.Query{TopLevel: true, Prefix: "p", Names: []string{"a", "b"}, Statuses: []history.Status{history.Running, history.Failed},
		CreatedFrom: at, CreatedTo: at.Add(time.Hour), Tags: map[string]string{"k": "v"}, Newest: true, Limit: 7, Token: "n3"}
	entities := engine.EntityQuery{Prefix: "@p", ModifiedFrom: at, ModifiedTo: at.Add(time.Hour), Transient: true, Limit: 7, Token: "o3"}
	none := history.Payload(nil)
	for name, c := range map[string]struct {
		call func() error
		want []any
	}{
		"start":            {func() error { return first(r.Start(ctx, start)) }, []any{start}},
		"start with least": {func() error { return first(r.Start(ctx, engine.Start{Name: "n"})) }, []any{engine.Start{Name: "n"}}},
		"start, empty":     {func() error { return first(r.Start(ctx, engine.Start{Input: history.Payload{}})) }, []any{engine.Start{Input: history.Payload{}}}},
		"raise":            {func() error { return r.Raise(ctx, "i", "e", history.Payload("d")) }, []any{"i", "e", history.Payload("d")}},
		"raise, absent":    {func() error { return r.Raise(ctx, "i", "e", nil) }, []any{"i", "e", none}},
		"terminate":        {func() error { return r.Terminate(ctx, "i", history.Payload("o"), false) }, []any{"i", history.Payload("o"), false}},
		"terminate all":    {func() error { return r.Terminate(ctx, "i", nil, true) }, []any{"i", none, true}},
		"suspend":          {func() error { return r.Suspend(ctx, "i", history.Payload("r")) }, []any{"suspend", "i", history.Payload("r")}},
		"resume":           {func() error { return r.Resume(ctx, "i", history.Payload("r")) }, []any{"resume", "i", history.Payload("r")}},
		"signal":           {func() error { return r.Signal(ctx, "@e@k", "op", history.Payload("d"), time.Time{}) }, []any{"@e@k", "op", history.Payload("d"), time.Time{}}},
		"signal later":     {func() error { return r.Signal(ctx, "@e@k", "op", nil, at) }, []any{"@e@k", "op", none, at}},
		"query":            {func() error { return third(r.Query(ctx, query, true)) }, []any{query, true}},
		"query of all":     {func() error { return third(r.Query(ctx, store.Query{}, false)) }, []any{store.Query{Limit: 100}, false}},
		"entities":         {func() error { return third(r.Entities(ctx, entities, true)) }, []any{"entities", entities, true}},
		"all entities":     {func() error { return third(r.Entities(ctx, engine.EntityQuery{}, false)) }, []any{"entities", engine.EntityQuery{Limit: 100}, false}},
		"clean entities": {func() error {
			done, next, err := r.CleanEntities(ctx, engine.EntityCleaning{Locks: true}, "o3")
			if done != (engine.CleanedEntities{Empty: 3, Locks: 4}) {
				t.Errorf("cleaned %+v", done)
			}
			return third(done, next, err)
		}, []any{"clean", engine.EntityCleaning{Locks: true}, "o3"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.call(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, hub.heard, payloads); diff != "" {
				t.Errorf("-want +heard:\n%s", diff)
			}
		})
	}
}
