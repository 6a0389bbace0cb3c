package agents_test

import (
	"context"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestCrashSteered: a run that people steer while it waits for them comes to the same
// whatever crashes, and its requests do not stay open.
func TestCrashSteered(t *testing.T) {
	ask := tools.New("ask", "", func(context.Context, struct{}) (string, error) { return "asked", nil }, tools.Pure(), tools.NeedsApproval(tools.Approval{}))
	sunny := tools.New("weather", "", func(_ context.Context, in city) (string, error) { return in.Name + ": sunny", nil }, tools.Pure())
	a := agents.New(agents.Config{Name: "a", Model: "m", Tools: []tools.Tool{ask, sunny}}).Bound(1, 1000)
	script := byTurn(calling("one moment", models.ToolCall{Name: "ask", Arguments: "{}"}, in("Oslo")), saying("as far as I came"))
	defs := []durable.Definition{agents.Define(agents.Options{Models: only(script)}, a)}
	for _, c := range []struct {
		name  string
		steer func(ctx context.Context, c *durable.Client, id, request string) error
		want  string // of the result or the error
		asked string
	}{
		{"pause and stop", func(ctx context.Context, c *durable.Client, id, request string) error {
			if err := agents.Pause(ctx, c, id); err != nil {
				return err
			}
			if _, err := agents.Decide(ctx, c, request, agents.Decision{Approve: true, By: "eva", Nonce: "1"}); err != nil {
				return err
			}
			for {
				if s, err := c.Get(ctx, id); err != nil || strings.Contains(string(s.CustomStatus), "paused") {
					break
				}
			}
			return agents.StopAfterTurn(ctx, c, id, true)
		}, "as far as I came", "approved"},
		{"cancel", func(ctx context.Context, c *durable.Client, id, _ string) error { return c.Cancel(ctx, id, "enough") }, "enough", "withdrawn"},
	} {
		t.Run(c.name, func(t *testing.T) {
			points := durabletest.CrashEverywhere(t, defs, func(ctx context.Context, env *durabletest.Env) (outcomes, error) {
				id, err := a.Schedule(ctx, env.Client(), "hello")
				if err != nil {
					return outcomes{}, err
				}
				request := waitForRequest(t, env.Client())
				answeredIn(t, env.Client(), id, "tool:a/weather") // else it depends on who is first
				if err := c.steer(ctx, env.Client(), id, request.ID); err != nil {
					return outcomes{}, err
				}
				got, err := outcomeOf(ctx, t, env.Client(), a, id)
				if !strings.Contains(got.Result.Text+got.Err, c.want) || len(got.Asked) != 1 || !strings.Contains(got.Asked[0], c.asked) {
					t.Errorf("got %+v", got)
				}
				return got, err
			})
			if points < 10 {
				t.Errorf("only %d points", points)
			}
		})
	}
}
