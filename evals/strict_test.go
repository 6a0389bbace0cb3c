package evals_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/evals"
)

// none is for programs that must ask no model.
var none = version{}.define

func TestStrictUnchanged(t *testing.T) {
	rec := read(t, recordedTeam(t))
	for n := range 100 {
		if d, err := evals.Strict(t.Context(), rec, none(nil)...); d != nil || err != nil {
			t.Fatalf("try %d: %v, %v", n, d, err)
		}
	}
}

// TestStrictUnfinished: a run that waits for a person is replayed as far as it went.
func TestStrictUnfinished(t *testing.T) {
	text, err := record(script(), false)
	if err != nil {
		t.Fatal(err)
	}
	rec := read(t, text)
	if rec.Instances[0].Status != history.Running {
		t.Errorf("the run is %s", rec.Instances[0].Status)
	}
	if d, err := evals.Strict(t.Context(), rec, none(nil)...); d != nil || err != nil {
		t.Fatalf("%v, %v", d, err)
	}
	if d, err := evals.Strict(t.Context(), rec, version{metricsFirst: true}.define(nil)...); d == nil || err != nil {
		t.Fatalf("changed code: %v, %v", d, err)
	}
}

func TestStrictDiverges(t *testing.T) {
	rec := read(t, recordedTeam(t))
	for _, test := range []struct {
		name    string
		changed version
		// The event that must be named: the nth of this kind and name in the instance.
		instance int
		kind     history.Kind
		event    string
		want     []string // in the message
	}{
		{"tool renamed", version{search: "find_logs"}, 1, history.TaskCompleted, "",
			[]string{"the agent has another manifest now than was recorded; changed: tools (find_logs is new, search_logs is gone); agent logs"}},
		{"other order", version{metricsFirst: true}, 0, history.ChildCreated, "agent:logs",
			[]string{`"agent:logs"`, `the code did SubOrchestrationInstanceCreated`, `"agent:metrics"`, "; orchestration investigate"}},
		{"fewer turns", version{fixerTurns: 1}, 3, history.TaskCompleted, "",
			[]string{"another manifest now than was recorded; changed: maxTurns; agent fixer"}},
		{"agent renamed", version{fixer: "mender"}, 0, history.ChildCreated, "agent:fixer",
			[]string{`"agent:fixer"`, `the code did`, `"agent:mender"`, "; orchestration investigate"}},
		{"one more step", version{extra: true}, 0, history.ExecutionCompleted, "",
			[]string{"recorded ExecutionCompleted", "the code did TaskScheduled", `"snapshot"`}},
		{"other output", version{answer: "!"}, 0, history.ExecutionCompleted, "", []string{`data: recorded "Rolled back."`, `"Rolled back.!"`}},
		{"orchestration gone", version{lost: true}, 0, history.ExecutionStarted, "investigate",
			[]string{`recorded ExecutionStarted "investigate"; the program has no such orchestration; it has agent`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d, err := evals.Strict(t.Context(), rec, test.changed.define(nil)...)
			if err != nil || d == nil {
				t.Fatalf("got %v, %v", d, err)
			}
			in := rec.Instances[test.instance]
			want := history.Address{Instance: in.ID, Execution: in.Executions[0].ID, Number: find(t, in.Executions[0], test.kind, test.event)}
			if d.Address != want {
				t.Errorf("at %v, want %v", d.Address, want)
			}
			for _, text := range append(test.want, fmt.Sprintf("history of %s diverges at event %d (execution %s)", in.ID, want.Number, want.Execution)) {
				if !strings.Contains(d.Error(), text) {
					t.Errorf("%q does not say %q", d.Error(), text)
				}
			}
			if strings.Contains(d.Error(), "\n") {
				t.Errorf("%q has more than one line", d.Error())
			}
			b, err := json.Marshal(d)
			if err != nil || !strings.Contains(string(b), `"address":{"instance":"`) {
				t.Errorf("as JSON %s, %v", b, err)
			}
		})
	}
}

// find gives the place of the first event of a kind and name; NAME/TURN is a turn's.
func find(t *testing.T, x *evals.Execution, kind history.Kind, name string) int {
	t.Helper()
	name, turn := cutTurn(name)
	for n, ev := range x.Events {
		if ev.Kind == kind && ev.Name == name && (turn == "" || strings.Contains(string(ev.Data), `"turn":`+turn)) {
			return n
		}
	}
	t.Fatalf("the recording has no %s %q", kind, name)
	return 0
}

func cutTurn(name string) (string, string) {
	if name, turn, ok := strings.Cut(name, "/"); ok && strings.HasPrefix(name, "chat:") {
		return name, turn
	}
	return name, ""
}

// TestStrictCannot: what is wrong with the recording, and not with the code, is an error.
func TestStrictCannot(t *testing.T) {
	rec := read(t, recordedTeam(t))
	rec.Instances[0].Executions[0].Events[1].DataHash = history.HashOf([]byte("lost"))
	if d, err := evals.Strict(t.Context(), rec, none(nil)...); err == nil || d != nil || !strings.Contains(err.Error(), "not part of the recording") {
		t.Errorf("got %v, %v", d, err)
	}
}
