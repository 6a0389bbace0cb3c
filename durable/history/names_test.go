package history

import (
	"encoding/json"
	"testing"

	"github.com/agentrun-dev/agentrun/internal/protocol"
)

func TestKindNames(t *testing.T) {
	for k, want := range map[Kind]string{
		TaskScheduled: "TaskScheduled", ChildCreated: "SubOrchestrationInstanceCreated", EntityUnlockSent: "EntityUnlockSent",
		ExecutionRewound: "ExecutionRewound", 0: "Kind(0)", 2: "Kind(2)", 31: "Kind(31)", -5: "Kind(-5)",
	} {
		if got := k.String(); got != want {
			t.Errorf("%d is %s, want %s", int(k), got, want)
		}
		if got, err := ParseKind(want); got != k || err != nil {
			t.Errorf("ParseKind(%q) = %d, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "taskScheduled", "Kind(", "Kind()", "Kind(99999999999)", "Kind(1", "Task"} {
		if k, err := ParseKind(bad); err == nil {
			t.Errorf("ParseKind(%q) = %s, want an error", bad, k)
		}
	}
}

func TestStatusNames(t *testing.T) {
	for number, name := range protocol.OrchestrationStatus_name {
		s := Status(number)
		if got, err := ParseStatus(s.String()); got != s || err != nil || s.String() == "status(0)" {
			t.Errorf("%s: ParseStatus(%q) = %d, %v", name, s, got, err)
		}
	}
	if len(statuses) != len(protocol.OrchestrationStatus_name) {
		t.Errorf("%d statuses have a name, want %d", len(statuses), len(protocol.OrchestrationStatus_name))
	}
	for s, want := range map[Status]string{Running: "running", ContinuedAsNew: "continued_as_new", Canceled: "cancelled", Suspended: "suspended", 8: "status(8)", -1: "status(-1)"} {
		if got := s.String(); got != want {
			t.Errorf("%d is %s, want %s", int(s), got, want)
		}
		if got, err := ParseStatus(want); got != s || err != nil {
			t.Errorf("ParseStatus(%q) = %d, %v", want, got, err)
		}
	}
	for _, bad := range []string{"", "Running", "done", "status(x)"} {
		if s, err := ParseStatus(bad); err == nil {
			t.Errorf("ParseStatus(%q) = %s, want an error", bad, s)
		}
	}
}

// TestJSON pins the form that recordings and `-o json` have.
func TestJSON(t *testing.T) {
	e := &Event{Kind: ExecutionCompleted, ID: 3, Data: Payload(""), Status: Terminated}
	got, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"kind":"ExecutionCompleted","id":3,"time":"0001-01-01T00:00:00Z","data":"","status":"terminated"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var back Event
	for _, bad := range []string{`{"kind":"TaskDone"}`, `{"status":"done"}`, `{"kind":6}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s was read as %+v", bad, back)
		}
	}
}
