package orchestrator_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/store/memory"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
)

// publish asks whether its input may be published, for an hour.
var publish = durable.NewOrchestration("publish", func(ctx *durable.Context, text string) (agents.Approval, error) {
	return orchestrator.Approve(ctx, agents.Request{Question: "Publish " + text + "?", Needed: 2, Within: time.Hour})
})

// A request is settled by the people who have to decide, or by its hour: in
// virtual time, to the second.
func TestApprove(t *testing.T) {
	yes := func(by string) agents.Decision { return agents.Decision{Approve: true, By: by} }
	for _, c := range []struct {
		name      string
		decisions []agents.Decision
		status    agents.Status
		counted   int
		after     time.Duration
	}{
		{"approved", []agents.Decision{yes("eva"), yes("tom")}, agents.Approved, 2, 20 * time.Minute},
		{"rejected", []agents.Decision{yes("eva"), {By: "tom", Comment: "too early"}}, agents.Rejected, 2, 20 * time.Minute},
		{"one is not enough", []agents.Decision{yes("eva")}, agents.Expired, 1, time.Hour},
		{"nobody decides", nil, agents.Expired, 0, time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				rt, err := durable.OpenStore(ctx, memory.New(), durable.Options{}, define(scripted.New(says("logs", "", "x")), publish))
				if err != nil {
					t.Fatal(err)
				}
				defer rt.Close()
				begun := time.Now()
				id, err := publish.Schedule(ctx, rt.Client(), "it")
				if err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				inbox, err := agents.Inbox(ctx, rt.Client(), id, true)
				if err != nil || len(inbox) != 1 || inbox[0].Question != "Publish it?" || inbox[0].Kind != agents.KindQuestion {
					t.Fatalf("the inbox has %+v, %v", inbox, err)
				}
				for _, d := range c.decisions {
					time.Sleep(10 * time.Minute)
					if _, err := agents.Decide(ctx, rt.Client(), inbox[0].ID, d); err != nil {
						t.Fatal(err)
					}
				}
				a, err := publish.Wait(ctx, rt.Client(), id)
				if err != nil || a.Status != c.status || len(a.Decisions) != c.counted {
					t.Errorf("got %+v, %v", a, err)
				}
				if took := time.Since(begun); took != c.after {
					t.Errorf("it took %s, not %s", took, c.after)
				}
			})
		})
	}
}

// A decision counts that was given in time while no program of the run was there
// to act on it, although the run goes on only after the deadline.
func TestApproveWhileNoProgramRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		m := scripted.New(says("logs", "", "x"))
		first := memory.New()
		with := func(s *memory.Store, do func(*durable.Client), defs ...durable.Definition) {
			t.Helper()
			rt, err := durable.OpenStore(ctx, s, durable.Options{}, defs...)
			if err != nil {
				t.Fatal(err)
			}
			do(rt.Client())
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		}
		var request string
		with(first, func(c *durable.Client) {
			if _, err := publish.Schedule(ctx, c, "it", durable.WithInstanceID("p")); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			inbox, err := agents.Inbox(ctx, c, "", true)
			if err != nil || len(inbox) != 1 {
				t.Fatalf("the inbox has %+v, %v", inbox, err)
			}
			request = inbox[0].ID
		}, define(m, publish))

		time.Sleep(time.Minute)
		second := first.Reopen()
		with(second, func(c *durable.Client) {
			for _, by := range []string{"eva", "tom"} {
				if _, err := agents.Decide(ctx, c, request, agents.Decision{Approve: true, By: by}); err != nil {
					t.Fatal(err)
				}
			}
		}, agents.Approvals)

		time.Sleep(2 * time.Hour)
		with(second.Reopen(), func(c *durable.Client) {
			a, err := publish.Wait(ctx, c, "p")
			if err != nil || a.Status != agents.Approved {
				t.Errorf("got %+v, %v", a, err)
			}
		}, define(m, publish))
	})
}

// decide gives a decision about the first request that waits.
func decide(ctx context.Context, t *testing.T, c *durable.Client, d agents.Decision) {
	t.Helper()
	for {
		inbox, err := agents.Inbox(ctx, c, "", true)
		if err != nil {
			t.Fatal(err)
		}
		if len(inbox) == 0 {
			continue
		}
		if _, err := agents.Decide(ctx, c, inbox[0].ID, d); err != nil {
			t.Fatal(err)
		}
		return
	}
}
