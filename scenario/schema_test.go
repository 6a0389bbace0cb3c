package scenario_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentrun-dev/agentrun/scenario"
)

var compiledSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(scenario.Schema()))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	return c.Compile("schema.json")
})

// fitsSchema reads YAML with another decoder than the package's.
func fitsSchema(t *testing.T, data []byte) error {
	t.Helper()
	schema, err := compiledSchema()
	if err != nil {
		t.Fatal(err)
	}
	var decoded any
	if err := yaml.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(value)
}

func TestValid(t *testing.T) {
	files, err := filepath.Glob("testdata/valid/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, path := range files {
		if _, err := scenario.Load(path); err != nil {
			t.Errorf("%v", err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := fitsSchema(t, data); err != nil {
			t.Errorf("%s does not fit the schema: %v", path, err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	for _, change := range []string{
		"version: 2", "name: A", "team: {}", "team: {agent: a, orchestration: b}", "crew: a",
		"agents: [{name: a}]", "agents: [{name: a, prompt: b, instructions: c, model: d}]", "agents: [{name: a, instructions: b}]",
		"script: {answers: []}", "script: {latency: soon, answers: [{text: a}]}", "script: {answers: [{reply: a}]}",
		"decisions: [{decide: approve}]", "decisions: [{tool: a, decide: maybe}]", "models: {a: ''}",
		"expect: {status: done}", "expect: {turns: 3}", "expect: {tools: {called: [a, a]}}",
	} {
		key, _, _ := strings.Cut(change, ":")
		var lines []string
		for line := range strings.Lines(small) {
			if !strings.HasPrefix(line, key+":") {
				lines = append(lines, line)
			}
		}
		if err := fitsSchema(t, []byte(strings.Join(lines, "")+change+"\n")); err == nil {
			t.Errorf("the schema accepts %s", change)
		}
	}
}

// TestSchemaKeys compares the keys of the Go types with those of the schema, at every depth.
func TestSchemaKeys(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(scenario.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	compareKeys(t, "", reflect.TypeFor[scenario.Scenario](), root, root["$defs"].(map[string]any))
}

func compareKeys(t *testing.T, path string, typ reflect.Type, schema, defs map[string]any) {
	for ref, ok := schema["$ref"].(string); ok; ref, ok = schema["$ref"].(string) {
		schema = defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch {
	case typ == reflect.TypeFor[json.RawMessage](), typ == reflect.TypeFor[time.Duration]():
		return
	case typ.Kind() == reflect.Pointer:
		compareKeys(t, path, typ.Elem(), schema, defs)
		return
	case typ.Kind() == reflect.Slice:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			t.Errorf("%s is a list, and has no items in the schema", path)
			return
		}
		compareKeys(t, path+"[]", typ.Elem(), items, defs)
		return
	case typ.Kind() != reflect.Struct:
		return
	}
	properties, _ := schema["properties"].(map[string]any)
	if schema["additionalProperties"] != false {
		t.Errorf("%s: the schema lets other keys pass", path)
	}
	var names []string
	for _, f := range reflect.VisibleFields(typ) {
		if !f.IsExported() {
			continue
		}
		tag := f.Tag.Get("yaml")
		if tag == "" {
			tag = f.Tag.Get("json")
		}
		name, _, _ := strings.Cut(tag, ",")
		names = append(names, name)
		if property, ok := properties[name].(map[string]any); ok {
			compareKeys(t, path+"."+name, f.Type, property, defs)
		}
	}
	slices.Sort(names)
	if diff := cmp.Diff(names, slices.Sorted(maps.Keys(properties))); diff != "" {
		t.Errorf("keys of %s (-Go +schema):\n%s", path, diff)
	}
}
