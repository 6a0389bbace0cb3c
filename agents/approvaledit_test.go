package agents_test

import (
	"context"
	"errors"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// Where two must agree, they agree to the same arguments: whoever replaces them begins
// anew, and everybody is shown what would be called.
func TestTwoAgreeToTheSame(t *testing.T) {
	type decision struct {
		by, arguments, digest string
		refused               bool
	}
	const old, edit, other = `{"number":7}`, `{"number":8}`, `{"number":9}`
	for _, c := range []struct {
		name      string
		decisions []decision
		called    string
	}{
		{"as it is", []decision{{by: "ann"}, {by: "ann", refused: true}, {by: "bob"}}, old},
		{"the first one edits", []decision{{by: "ann", arguments: edit}, {by: "ann", refused: true}, {by: "bob"}}, edit},
		{"the second one edits", []decision{{by: "ann"}, {by: "bob", arguments: edit}, {by: "ann"}}, edit},
		{"one edits twice", []decision{{by: "ann", arguments: edit}, {by: "ann", arguments: other}, {by: "bob"}}, other},
		{"it is put back", []decision{{by: "ann", arguments: edit}, {by: "bob", arguments: old}, {by: "ann"}}, old},
		{"no edit at all", []decision{{by: "ann", arguments: old}, {by: "bob", arguments: old}}, old},
		{"another one was shown", []decision{{by: "ann", arguments: edit}, {by: "bob", digest: tools.Digest(old), refused: true}, {by: "bob", digest: tools.Digest(edit)}}, edit},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, called := t.Context(), ""
			pay := tools.New("pay", "", func(ctx context.Context, _ invoice) (string, error) {
				call, _ := tools.FromContext(ctx)
				called = call.Arguments
				return "paid", nil
			}, tools.NeedsApproval(tools.Approval{Needed: 2}))
			m := turns(answer("", "", models.ToolCall{ID: "1", Name: "pay", Arguments: old}), say("done"))
			a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{pay}})
			rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
			id, err := a.Schedule(ctx, rt.Client(), "go")
			if err != nil {
				t.Fatal(err)
			}
			req := waitForRequest(t, rt.Client())
			for i, d := range c.decisions {
				got, err := agents.Decide(ctx, rt.Client(), req.ID, agents.Decision{Approve: true, By: d.by, Arguments: d.arguments, Digest: d.digest})
				if d.refused && !errors.Is(err, agents.ErrNotCounted) || !d.refused && err != nil {
					t.Errorf("decision %d: %v", i, err)
				}
				if last := i == len(c.decisions)-1; last != (got.Status == agents.Approved) {
					t.Errorf("after decision %d it is %s, %d agree to %s", i, got.Status, got.Agreed(), got.Arguments)
				}
				if got.Digest != tools.Digest(got.Arguments) {
					t.Errorf("after decision %d the digest is not that of %s", i, got.Arguments)
				}
			}
			if _, err := a.Wait(ctx, rt.Client(), id); err != nil || called != c.called {
				t.Errorf("called with %s, %v", called, err)
			}
		})
	}
}

// An undo that people approve with other arguments is made with those.
func TestUndoEdited(t *testing.T) {
	ctx, h := t.Context(), &hotel{}
	h.reset()
	a := agents.New(agents.Config{Name: "a", Model: "m", UndoOnFailure: true, Tools: h.tools(tools.NeedsApproval(tools.Approval{}))})
	m := turns(answer("", "", book("1", 1)), answer("", "", models.ToolCall{ID: "1", Name: "boom"}))
	rt := opened(t, memory.New(), agents.Options{Models: only(m)}, a)
	id, err := a.Schedule(ctx, rt.Client(), "go")
	if err != nil {
		t.Fatal(err)
	}
	req := waitForRequest(t, rt.Client())
	if _, err := agents.Decide(ctx, rt.Client(), req.ID, agents.Decision{Approve: true, By: "ann", Arguments: `{"number":2}`}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Wait(ctx, rt.Client(), id); err == nil {
		t.Error("the run did not fail")
	}
	if got := h.happened(); len(got) != 2 || got[1] != "back 2" {
		t.Errorf("what happened is %q", got)
	}
}
