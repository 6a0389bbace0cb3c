package evals_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/memory"
)

func TestExportAndRead(t *testing.T) {
	text := recordedTeam(t)
	rec := read(t, text)
	var again bytes.Buffer
	if err := rec.Write(&again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), again.String()); diff != "" {
		t.Errorf("after reading and writing (-want +got):\n%s", diff)
	}

	var names []string
	for _, in := range rec.Instances {
		names = append(names, in.Name)
		if in.Status != history.Completed || in.Parent != "" && in.Parent != "run-1" {
			t.Errorf("%s is %s, below %q", in.ID, in.Status, in.Parent)
		}
	}
	if want := []string{"investigate", "agent:logs", "agent:metrics", "agent:fixer"}; !slices.Equal(names, want) {
		t.Errorf("instances %v, want %v", names, want)
	}
	if rec.Program != "examples/team" || rec.Root != "run-1" {
		t.Errorf("program %q, root %q", rec.Program, rec.Root)
	}
	kinds := map[string]int{}
	for _, n := range rec.Entities {
		kinds[strings.Split(n.ID, "@")[1]]++
	}
	if want := map[string]int{"conversation": 3, "approval": 1}; !maps.Equal(kinds, want) {
		t.Errorf("entities %v, want %v", kinds, want)
	}
}

// TestPayloads: the large input and the binary data are there once each, and so is every
// message of every conversation, and every manifest.
func TestPayloads(t *testing.T) {
	rec := read(t, recordedTeam(t))
	input, err := json.Marshal(largeInput)
	if err != nil {
		t.Fatal(err)
	}
	for what, data := range map[string][]byte{"input": input, "snapshot": binary} {
		got, err := rec.Payload(durable.Ref{Hash: history.HashOf(data)})
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if bytes.Count(recordedTeam(t), []byte("payments is slow")) != 1 {
		t.Error("the large input is not there exactly once")
	}
	messages := 0
	for _, n := range rec.Entities {
		var s memory.State
		if !strings.HasPrefix(n.ID, "@conversation@") {
			continue
		}
		if err := json.Unmarshal(n.State, &s); err != nil {
			t.Fatal(err)
		}
		for _, err := range memory.Read(rec.Payload, s.Head, 0) {
			if err != nil {
				t.Fatal(err)
			}
			messages++
		}
	}
	if messages != 4+2+4 {
		t.Errorf("%d messages", messages)
	}
	if _, err := rec.Payload(durable.Ref{Hash: history.HashOf([]byte("other"))}); err == nil || !strings.Contains(err.Error(), "not part of the recording") {
		t.Errorf("a payload that is not there: %v", err)
	}
}

func compileSchema(t *testing.T, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func TestRecordingSchema(t *testing.T) {
	schema := compileSchema(t, evals.RecordingSchema())
	valid := func(text []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	text := recordedTeam(t)
	if err := valid(text); err != nil {
		t.Errorf("a recording: %v", err)
	}
	for old, bad := range map[string]string{
		`"version": 1`:     `"version": 2`,
		`"root": "run-1",`: `"rooot": "run-1",`,
		`"kind": "`:        `"kin": "`,
		`"base64": "`:      `"text": "", "base64": "`,
		`"status": "compl`: `"status": 1, "x": "compl`,
		`"executions": [`:  `"executions": [], "x": [`,
		`"time": "20`:      `"time": "x`,
		`"hash": "`:        `"hash": "0`,
	} {
		if valid(replaced(t, text, old, bad)) == nil {
			t.Errorf("valid with %s instead of %s", bad, old)
		}
	}
}

// TestSchemaKeys: the schema has every key that an event can have, and no other.
func TestSchemaKeys(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(evals.RecordingSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	for name, typ := range map[string]reflect.Type{
		"event": reflect.TypeFor[evals.Event](), "instance": reflect.TypeFor[evals.Instance](), "failure": reflect.TypeFor[history.Failure](),
		"parent": reflect.TypeFor[history.Parent](), "trace": reflect.TypeFor[history.TraceContext](), "entity": reflect.TypeFor[evals.Entity](),
	} {
		var want []string
		for _, f := range reflect.VisibleFields(typ) {
			if key, _, _ := strings.Cut(f.Tag.Get("json"), ","); key != "-" && key != "" {
				want = append(want, key)
			}
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(schema.Defs[name].Properties))); diff != "" {
			t.Errorf("%s (-type +schema):\n%s", name, diff)
		}
	}
}
