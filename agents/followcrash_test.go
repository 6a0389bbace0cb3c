package agents_test

import (
	"context"
	"slices"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/durabletest"
)

// TestFollowEveryCrash follows a team while the program crashes, at each point of the
// run in turn: the recorded events and the texts are always those of a run that did not
// crash, and what was shown of an answer that was cut off is taken back.
func TestFollowEveryCrash(t *testing.T) {
	m := (&stutterer{}).speaker()
	run, defs := cutTeam(m)
	durabletest.CrashEverywhere(t, []durable.Definition{defs}, func(ctx context.Context, env *durabletest.Env) ([]string, error) {
		id, err := run.Schedule(ctx, env.Client(), "go")
		if err != nil {
			return nil, err
		}
		s := newScreen(t)
		var told []string
		for ev, err := range agents.Follow(ctx, env.Client(), id, "") {
			if err != nil {
				return nil, err
			}
			s.show(ev)
			if ev.Kind != agents.EventDelta && ev.Kind != agents.EventSuperseded {
				told = append(told, string(ev.Kind)+" "+ev.Agent+" "+ev.Tool+" "+ev.Text+ev.Error)
			}
		}
		slices.Sort(told) // two agents work side by side
		if len(s.texts) > 0 || len(s.done) != 9 {
			t.Errorf("shown %q, and unfinished %q", s.done, s.texts)
		}
		return told, nil
	})
}
