package scenario

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

func TestReferences(t *testing.T) {
	a, b := history.HashOf([]byte("a")), history.HashOf([]byte("b"))
	text := fmt.Sprintf(`{"z":[{"hash":%q,"size":1}],"a":{"message":{"hash":%q,"size":2}},"no":{"hash":"x","size":1},"more":{"hash":%q,"size":1,"x":1}}`, a, b, a)
	var data any
	if err := json.Unmarshal([]byte(text), &data); err != nil {
		t.Fatal(err)
	}
	want := []durable.Ref{{Hash: b, Size: 2}, {Hash: a, Size: 1}}
	if diff := cmp.Diff(want, references(data)); diff != "" {
		t.Error(diff)
	}
}

func TestStatusWord(t *testing.T) {
	for s, want := range map[history.Status]string{
		history.Pending: Running, history.Running: Running, history.ContinuedAsNew: Running, history.Suspended: Suspended,
		history.Completed: Completed, history.Failed: Failed, history.Terminated: Cancelled, history.Canceled: Cancelled,
	} {
		if got := StatusWord(s, 0); got != want {
			t.Errorf("%v is %q, want %q", s, got, want)
		}
	}
	if got := StatusWord(history.Running, 2); got != Waiting {
		t.Errorf("with requests it is %q", got)
	}
}

func TestQuestion(t *testing.T) {
	for want, req := range map[string]agents.Request{
		"Go on?":                           {Kind: agents.KindQuestion, Question: "Go on?"},
		"may ops call deploy?":             {Kind: agents.KindTool, Agent: "ops", Tool: "deploy"},
		"ops wants to call deploy: Is it?": {Kind: agents.KindTool, Agent: "ops", Tool: "deploy", Question: "Is it?"},
		"Did deploy, by ops, take effect?": {Kind: agents.KindOutcome, Agent: "ops", Tool: "deploy", Question: "Did deploy, by ops, take effect?"},
	} {
		if got := Question(agents.Approval{Request: req}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
