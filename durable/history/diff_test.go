package history

import (
	"strings"
	"testing"
	"time"
)

// scheduled is a recorded step; change makes of a copy what the code did.
func scheduled(change func(e *Event)) *Event {
	e := &Event{
		Kind: TaskScheduled, ID: 5, Time: time.Unix(1, 0), Name: "tool:search_logs", Data: Payload(`{"query":"timeout","limit":10}`),
		Tags: map[string]string{"a": "b"}, Trace: TraceContext{Parent: "00-1"}, Call: 2, Attempt: 1,
	}
	if change != nil {
		change(e)
	}
	return e
}

func TestCompare(t *testing.T) {
	at := time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)
	timer := func(at time.Time) *Event { return &Event{Kind: TimerCreated, ID: 2, FireAt: at} }
	data := func(s string) *Event { return scheduled(func(e *Event) { e.Data = Payload(s) }) }
	ref := func(s string) *Event {
		return scheduled(func(e *Event) { e.Data, e.DataRef = nil, HashOf([]byte(s)) })
	}
	long := strings.Repeat("x", 100)
	for _, test := range []struct {
		name             string
		recorded, did    *Event
		field, want, got string
	}{
		{"same", scheduled(nil), scheduled(nil), "", "", ""},
		{"what the code does not decide", scheduled(nil), scheduled(func(e *Event) {
			e.Time, e.Tags, e.Trace, e.SpanID, e.Request, e.Call, e.Attempt = time.Unix(2, 0), nil, TraceContext{}, "1", "r", 9, 9
			e.Sender = Instance{ID: "other"}
		}), "", "", ""},
		{"kind", scheduled(nil), scheduled(func(e *Event) { e.Kind = ChildCreated }), "kind", "TaskScheduled", "SubOrchestrationInstanceCreated"},
		{"kind before name", scheduled(nil), timer(at), "kind", "TaskScheduled", "TimerCreated"},
		{"id", scheduled(nil), scheduled(func(e *Event) { e.ID = 6 }), "id", "5", "6"},
		{"name", scheduled(nil), scheduled(func(e *Event) { e.Name = "tool:find_logs" }), "name", "tool:search_logs", "tool:find_logs"},
		{"version", scheduled(nil), scheduled(func(e *Event) { e.Version = "2" }), "version", `""`, "2"},
		{"target", &Event{Kind: EventSent, Target: "a"}, &Event{Kind: EventSent, Target: "b c"}, "target", "a", `"b c"`},
		{"answers", &Event{Kind: TimerFired, Answers: 1}, &Event{Kind: TimerFired, Answers: 2}, "answers", "1", "2"},
		{"status", &Event{Kind: ExecutionCompleted, Status: Completed}, &Event{Kind: ExecutionCompleted, Status: Failed}, "status", "completed", "failed"},
		{"lock set", &Event{Kind: EntityLockRequested, LockSet: []string{"@a@1", "@b@2"}}, &Event{Kind: EntityLockRequested, LockSet: []string{"@a@1"}},
			"lockSet", "@a@1, @b@2", "@a@1"},
		{"same instant elsewhere", timer(at), timer(at.In(time.FixedZone("", 3600))), "", "", ""},
		{"fireAt by a nanosecond", timer(at), timer(at.Add(1)), "fireAt", "2026-08-17T10:00:00Z", "2026-08-17T10:00:00.000000001Z"},
		{"data", data("abc"), data("abd"), "data", "abc", "abd"},
		{"data far inside", data(long + "1" + long), data(long + "2" + long), "data",
			"…" + long[:24] + "1" + long[:39] + "…", "…" + long[:24] + "2" + long[:39] + "…"},
		{"data cut off", data("abc"), data("ab"), "data", "abc", "ab"},
		{"other order of JSON", data(`{"a":1,"b":2}`), data(`{"b":2,"a":1}`), "data", `{"a":1,"b":2}`, `{"b":2,"a":1}`},
		{"data absent", scheduled(func(e *Event) { e.Data = nil }), data(""), "data", "nothing", `""`},
		{"data inside a character", data("aé"), data("aè"), "data", "aé", "aè"},
		{"same by hash", ref("abc"), data("abc"), "", "", ""},
		{"same hash twice", ref("abc"), ref("abc"), "", "", ""},
		{"other hash", ref("abc"), data("abd"), "data", "payload " + HashOf([]byte("abc")).String(), "abd"},
		{"hash and nothing", ref("abc"), scheduled(func(e *Event) { e.Data = nil }), "data", "payload " + HashOf([]byte("abc")).String(), "nothing"},
		{"failure", &Event{Kind: ExecutionCompleted, Failure: &Failure{Type: "E", Message: "disk\nfull", Stack: "1"}},
			&Event{Kind: ExecutionCompleted, Failure: &Failure{Type: "E", Message: "disk\ngone", Stack: "2"}}, "failure", `E: disk\nfull`, `E: disk\ngone`},
		{"failure in another build", &Event{Kind: ExecutionCompleted, Failure: &Failure{Type: "E", Stack: "1"}},
			&Event{Kind: ExecutionCompleted, Failure: &Failure{Type: "E", Stack: "2"}}, "", "", ""},
		{"no failure", &Event{Kind: ExecutionCompleted}, &Event{Kind: ExecutionCompleted, Failure: &Failure{Type: "E"}}, "failure", "none", "E: "},
		{"less", scheduled(nil), nil, "kind", "TaskScheduled", "nothing"},
		{"more", nil, scheduled(nil), "kind", "nothing", "TaskScheduled"},
		{"nothing twice", nil, nil, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			field, want, got, same := Compare(test.recorded, test.did)
			if field != test.field || want != test.want || got != test.got || same != (test.field == "") {
				t.Errorf("got  %q, %q, %q, %t\nwant %q, %q, %q", field, want, got, same, test.field, test.want, test.got)
			}
		})
	}
}

func TestDifferenceError(t *testing.T) {
	for _, test := range []struct {
		name          string
		recorded, did *Event
		want          string
	}{
		{"name", scheduled(nil), scheduled(func(e *Event) { e.Name = "tool:find_logs" }),
			`history of run-1 diverges at event 14 (execution 3f00): recorded TaskScheduled #5 "tool:search_logs", the code did TaskScheduled #5 "tool:find_logs" (name)`},
		{"data", scheduled(nil), scheduled(func(e *Event) { e.Data = Payload(`{"query":"timeout","limit":20}`) }),
			`history of run-1 diverges at event 14 (execution 3f00): recorded TaskScheduled #5 "tool:search_logs", the code did TaskScheduled #5 "tool:search_logs"` +
				` (data: recorded …uery":"timeout","limit":10}, the code …uery":"timeout","limit":20})`},
		{"less", scheduled(nil), nil,
			`history of run-1 diverges at event 14 (execution 3f00): recorded TaskScheduled #5 "tool:search_logs", the code did nothing`},
		{"more", nil, scheduled(nil),
			`history of run-1 diverges at event 14 (execution 3f00): recorded nothing, the code did TaskScheduled #5 "tool:search_logs"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &Difference{Address: Address{Instance: "run-1", Execution: "3f00", Number: 14}, Event: test.recorded, Did: test.did}
			d.Field, d.Want, d.Got, _ = Compare(test.recorded, test.did)
			if got := d.Error(); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
	address := Address{Instance: "my run\n", Execution: "3f00", Number: 2}
	if got, want := address.String(), `event 2 of "my run\n" (execution 3f00)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (&Difference{Address: address}).Error(); strings.Contains(got, "\n") {
		t.Errorf("an id breaks the line: %s", got)
	}
}

func TestDescribe(t *testing.T) {
	at := time.Date(2026, 8, 17, 10, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		event Event
		want  string
	}{
		{Event{Kind: OrchestratorStarted, ID: FromOutside}, `OrchestratorStarted`},
		{Event{Kind: ExecutionStarted, ID: FromOutside, Name: "incident", Version: "1.2", Data: Payload(`"disk"`)}, `ExecutionStarted "incident" version 1.2 "disk"`},
		{Event{Kind: ExecutionStarted, ID: FromOutside, Name: "later", FireAt: at}, `ExecutionStarted "later" at 2026-08-17T10:00:00Z`},
		{*scheduled(nil), `TaskScheduled #5 "tool:search_logs" {"query":"timeout","limit":10}`},
		{Event{Kind: TaskCompleted, ID: FromOutside, Answers: 5, Data: Payload{}}, `TaskCompleted for #5 ""`},
		{Event{Kind: TaskCompleted, ID: FromOutside, Answers: 0, DataRef: HashOf(nil)}, `TaskCompleted for #0 payload e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`},
		{Event{Kind: TaskFailed, ID: FromOutside, Answers: 5, Failure: &Failure{Type: "*url.Error", Message: "no\troute"}}, `TaskFailed for #5: *url.Error: no\troute`},
		{Event{Kind: TimerCreated, ID: 6, FireAt: at}, `TimerCreated #6 until 2026-08-17T10:00:00Z`},
		{Event{Kind: TimerFired, ID: FromOutside, Answers: 6, FireAt: at}, `TimerFired for #6`},
		{Event{Kind: ChildCreated, ID: 3, Name: "child", Target: "run-1:0003"}, `SubOrchestrationInstanceCreated #3 "child" as run-1:0003`},
		{Event{Kind: EventSent, ID: 4, Name: "Approval", Target: "run 2", Data: Payload("\xff\x1b[31m")}, `EventSent #4 "Approval" to "run 2" \xff\x1b[31m`},
		{Event{Kind: EntityLockRequested, ID: 0, LockSet: []string{"@a@1", "@b@2"}}, `EntityLockRequested #0 of @a@1, @b@2`},
		{Event{Kind: EntityUnlockSent, ID: 9, Target: "@a@1"}, `EntityUnlockSent #9 on @a@1`},
		{Event{Kind: ExecutionTerminated, ID: FromOutside, Recurse: true, Data: Payload(strings.Repeat("é", 30))}, `ExecutionTerminated with its children ` + strings.Repeat("é", 20) + "…"},
		{Event{Kind: ExecutionRewound, ID: FromOutside, Reason: "fixed"}, `ExecutionRewound because fixed`},
		{Event{Kind: ExecutionCompleted, ID: 7, Status: ContinuedAsNew, Data: Payload("1")}, `ExecutionCompleted #7 continued_as_new 1`},
		{Event{Kind: 99, ID: FromOutside, Raw: []byte{1}}, `Kind(99)`},
	} {
		if got := Describe(&test.event); got != test.want {
			t.Errorf("got  %s\nwant %s", got, test.want)
		}
	}
}
