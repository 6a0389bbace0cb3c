package scripted_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script.yaml")
	const data = `# a comment
version: 1
answers:
  - agent: planner
    latency: 800ms
    output:
      steps: [{id: 1, name: look}]
  - agent: logs
    turn: 2
    when: {user: disk, tool: "no space"}
    text: |
      Two
      lines.
    calls:
      - {tool: search, id: c1, arguments: {query: "error", limit: 10}}
      - {tool: raw, arguments: '{"broken'}
    usage: {inputTokens: 100, outputTokens: 20}
  - always: true
    error: {kind: rate_limit, retryAfter: 2s, status: 429}
`
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := scripted.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	want := scripted.Script{
		{Agent: "planner", Latency: 800 * time.Millisecond,
			Output: map[string]any{"steps": []any{map[string]any{"id": uint64(1), "name": "look"}}}},
		{Agent: "logs", Turn: 2, When: scripted.When{User: "disk", Tool: "no space"}, Text: "Two\nlines.\n",
			Calls: []scripted.Call{
				{Tool: "search", ID: "c1", Arguments: map[string]any{"query": "error", "limit": uint64(10)}},
				{Tool: "raw", Arguments: `{"broken`},
			},
			Usage: &models.Usage{InputTokens: 100, OutputTokens: 20}},
		{Always: true, Error: &scripted.Failure{Kind: models.KindRateLimit, RetryAfter: 2 * time.Second, Status: 429}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := scripted.Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !os.IsNotExist(unwrap(err)) {
		t.Errorf("error is %v", err)
	}
}

func unwrap(err error) error {
	for {
		u, ok := err.(interface{ Unwrap() error })
		if !ok || os.IsNotExist(err) {
			return err
		}
		err = u.Unwrap()
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct{ name, data, want string }{
		{"empty", "", "s.yaml:1: the script is empty"},
		{"unknown key", "version: 1\nanswers:\n  - agent: a\n    reply: x\n", `s.yaml:4: unknown field "reply"`},
		{"unknown key below", "version: 1\nanswers:\n  - calls:\n      - {tool: f, args: {}}\n", `s.yaml:4: unknown field "args"`},
		{"wrong type", "version: 1\nanswers:\n  - turn: first\n    text: x\n", "s.yaml:3: "},
		{"duplicate key", "version: 1\nanswers:\n  - text: x\n    text: y\n", "s.yaml:4: "},
		{"not YAML", "version: 1\nanswers: [\n", "s.yaml:2: "},
		{"bad duration", "version: 1\nanswers:\n  - text: x\n    latency: soon\n", "s.yaml:4: "},
		{"no version", "answers:\n  - text: x\n", "s.yaml:1: version is 0; this program reads version 1"},
		{"newer version", "# hm\nversion: 2\nanswers:\n  - text: x\n", "s.yaml:2: version is 2"},
		{"no answers", "version: 1\n", "s.yaml:1: the script has no answers"},
		{"invalid entry", "version: 1\nanswers:\n  - text: x\n\n  - agent: b\n    turn: 3\n", "s.yaml:5: the entry has no answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := scripted.Parse("s.yaml", []byte(tt.data))
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got  %v\nwant one line that begins with %s", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("version: 1\nanswers:\n  - text: x\n"))
	f.Add([]byte("version: 1\nanswers:\n  - calls: [{tool: f, arguments: {a: .nan}}]\n"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		script, err := scripted.Parse("s.yaml", data)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q has more than one line", err)
			}
			return
		}
		if _, err := script.Model(scripted.Options{}); err != nil {
			t.Errorf("a script that was read cannot be played: %v", err)
		}
	})
}
