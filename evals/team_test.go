package evals_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/tools"
)

// version is a version of the team's program: the zero value is what was recorded.
type version struct {
	search       string // name of the logs agent's tool; "": search_logs
	fixer        string // name of the fixer; "": fixer
	fixerTurns   int    // 0: the default
	metricsFirst bool
	extra        bool // one step more at the end
	answer       string
	lost         bool // without the orchestration
}

// binary is what the snapshot stores: no text.
var binary = []byte{0xff, 0, 0xfe}

// largeInput is stored apart from the event that has it.
var largeInput = "payments is slow " + strings.Repeat("!", 20<<10)

type query struct {
	Text string `json:"text"`
}

// define makes the program: an orchestration that asks two agents side by side and then
// a third one, whose tool needs approval.
func (v version) define(find func(context.Context, string) (models.Model, error)) []durable.Definition {
	if v.search == "" {
		v.search = "search_logs"
	}
	if v.fixer == "" {
		v.fixer = "fixer"
	}
	search := tools.New(v.search, "Search logs.", func(_ context.Context, q query) (string, error) { return "3 × " + q.Text, nil }, tools.Pure())
	rollBack := tools.New("roll_back", "Roll back.", func(_ context.Context, q query) (string, error) { return "rolled back " + q.Text, nil },
		tools.Unsafe(), tools.NeedsApproval(tools.Approval{Question: "Roll back?"}))
	logs := agents.New(agents.Config{Name: "logs", Instructions: "Search.", Model: "m", Tools: []tools.Tool{search}})
	metrics := agents.New(agents.Config{Name: "metrics", Model: "m"})
	fixer := agents.New(agents.Config{Name: v.fixer, Model: "m", MaxTurns: v.fixerTurns, Tools: []tools.Tool{rollBack}})
	snapshot := durable.NewActivity("snapshot", func(ctx context.Context, _ string) (durable.Ref, error) { return durable.Store(ctx, binary) })
	defs := []durable.Definition{agents.Define(agents.Options{Models: find}, logs, metrics, fixer), snapshot}
	if v.lost {
		return defs
	}
	return append(defs, durable.NewOrchestration("investigate", func(ctx *durable.Context, alert string) (string, error) {
		if _, err := snapshot.Call(ctx, "before"); err != nil {
			return "", err
		}
		order := []*agents.Agent{logs, metrics}
		if v.metricsFirst {
			order = []*agents.Agent{metrics, logs}
		}
		findings, err := durable.All(ctx, durable.StartEach(ctx, order, func(a *agents.Agent) *durable.Task[agents.Result] { return a.Start(ctx, "look") }))
		if err != nil {
			return "", err
		}
		fixed, err := fixer.Call(ctx, findings[0].Text)
		if err != nil {
			return "", err
		}
		if v.extra {
			if _, err := snapshot.Call(ctx, "after"); err != nil {
				return "", err
			}
		}
		return fixed.Text + v.answer, nil
	}))
}

// script answers the team.
func script() models.Model {
	call := func(tool, text string) []scripted.Call {
		return []scripted.Call{{Tool: tool, Arguments: map[string]any{"text": text}}}
	}
	return scripted.New(
		scripted.Entry{Agent: "logs", Calls: call("search_logs", "timeout")},
		scripted.Entry{Agent: "logs", Text: "Timeouts <since> 10:00 & before."},
		scripted.Entry{Agent: "metrics", Text: "p99 is 4 s."},
		scripted.Entry{Agent: "fixer", Calls: call("roll_back", "payments")},
		scripted.Entry{Agent: "fixer", Text: "Rolled back."},
	)
}

func only(m models.Model) func(context.Context, string) (models.Model, error) {
	return func(context.Context, string) (models.Model, error) { return m, nil }
}

// follow approves what a run asks for, if approve is set, until it has ended; else until
// it waits for a person.
func follow(ctx context.Context, rt *agents.Runtime, id string, approve bool) error {
	f := rt.Stream().Follow(id)
	defer f.Stop()
	if _, err := rt.Client().Schedule(ctx, "investigate", largeInput, durable.WithInstanceID(id), durable.WithTags(map[string]string{"agentrun.program": "examples/team"})); err != nil {
		return err
	}
	for ev, err := range f.Events(ctx, rt) {
		if err != nil {
			return err
		}
		if ev.Kind != agents.EventApproval {
			continue
		}
		if !approve {
			return nil
		}
		if _, err := agents.Decide(ctx, rt.Client(), ev.Approval, agents.Decision{Approve: true, By: "eva"}); err != nil {
			return err
		}
	}
	return nil
}

// record runs the team and exports it, twice.
func record(m models.Model, approve bool) (recording []byte, err error) {
	ctx := context.Background()
	rt, err := agents.Open(ctx, "memory:", agents.Options{}, durable.Options{Logger: slog.New(slog.DiscardHandler)}, nil, version{}.define(only(m))...)
	if err != nil {
		return nil, err
	}
	defer rt.Close()
	if err := follow(ctx, rt, "run-1", approve); err != nil {
		return nil, err
	}
	var out, again bytes.Buffer
	if err := evals.Export(ctx, rt.Client(), "run-1", &out); err != nil {
		return nil, err
	}
	if err := evals.Export(ctx, rt.Client(), "run-1", &again); err != nil {
		return nil, err
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		return nil, fmt.Errorf("two exports of one run differ")
	}
	return out.Bytes(), nil
}

var recorded1 = sync.OnceValues(func() ([]byte, error) { return record(script(), true) })

// recordedTeam gives the recording of a run of the team that ended.
func recordedTeam(t testing.TB) []byte {
	t.Helper()
	b, err := recorded1()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b)
}

func read(t testing.TB, recording []byte) *evals.Recording {
	t.Helper()
	rec, err := evals.Read(bytes.NewReader(recording))
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
