package scenario_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/internal/nodeparts"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
	"github.com/agentrun-dev/agentrun/tools"
)

// TestToolsets runs an agent whose tools are all declared in the scenario: files, a
// program, and a server of the protocol's makers.
func TestToolsets(t *testing.T) {
	node, script := nodeparts.Find(t, "@modelcontextprotocol/server-everything/dist/index.js")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "docs"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "docs", "a.txt"), []byte("It is written."))
	t.Setenv("SCENARIO_TEST_WORD", "hunter2 from outside")
	s, err := scenario.Parse(filepath.Join(dir, "s.yaml"), fmt.Appendf(nil, `version: 1
name: s
team: {agent: a}
input: Go.
agents: [{name: a, model: m, instructions: Go., toolsets: [docs, run, server], stopTools: [e_echo], toolChoice: docs_read_file}]
toolsets:
  docs: {files: {root: docs, readOnly: true}, prefix: docs_, only: [read_file], effects: {read_file: idempotent}}
  run: {shell: {programs: [printenv], env: [SCENARIO_TEST_WORD]}, approvals: {"*": {question: Run it?}}}
  server: {mcp: {command: [%q, %q, stdio]}, prefix: e_, only: [echo, get-sum], effects: {echo: pure}}
  unused: {files: {root: nowhere}}
script:
  answers:
    - turn: 1
      calls:
        - {tool: docs_read_file, arguments: {path: a.txt}}
        - {tool: run, arguments: {program: printenv, args: [SCENARIO_TEST_WORD]}}
    - {turn: 2, calls: [{tool: e_echo, arguments: {message: hello}}]}
decisions: [{tool: run, decide: approve}]
`, node, script))
	if err != nil {
		t.Fatal(err)
	}
	var asked []*models.Request
	session, err := (&scenario.Program{}).Open(t.Context(), scenario.Options{
		Store: "memory:", Scenario: s, Latency: scripted.NoLatency, OnAnswer: func(q *models.Request, _ *models.Response) { asked = append(asked, q) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := session.Start(ctx, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := session.Follow(ctx, id, declared{s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Status != scenario.Completed || r.Text() != "Echo: hello" || r.Stop != "tool" || r.Approvals != 1 {
		t.Errorf("%s: %s %s, stopped by %q, %d approvals", r.Status, r.Text(), r.Error, r.Stop, r.Approvals)
	}
	if want := map[string]int{"docs_read_file": 1, "run": 1, "e_echo": 1}; !maps.Equal(r.Tools, want) {
		t.Errorf("the tools %v were called, want %v", r.Tools, want)
	}
	var told []string
	for _, m := range asked[1].Messages {
		if m.Role == models.RoleTool {
			told = append(told, m.Content)
		}
	}
	if len(told) != 2 || !strings.Contains(told[0], "It is written.") || !strings.Contains(told[1], "hunter2 from outside") {
		t.Errorf("results: %q", told)
	}
	effects := map[string]tools.Effect{}
	for _, tool := range manifestOf(t, session.Client(), "manifest:a").Tools {
		effects[tool.Toolset+" "+tool.Name] = tool.Effect
	}
	want := map[string]tools.Effect{"docs docs_read_file": tools.EffectIdempotent, "run run": tools.EffectUnsafe, "server e_echo": tools.EffectPure, "server e_get-sum": tools.EffectUnsafe}
	if fmt.Sprint(effects) != fmt.Sprint(want) {
		t.Errorf("effects %v, want %v", effects, want)
	}
}

// TestToolsetsNotOpened has toolsets that cannot be opened, told with their places.
func TestToolsetsNotOpened(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	open := func(toolset string) error {
		s, err := scenario.Parse(filepath.Join(dir, "s.yaml"), []byte(`version: 1
name: s
team: {agent: a}
agents: [{name: a, model: m, instructions: Go., toolsets: [set]}]
script: {answers: [{text: Done.}]}
toolsets:
  set: `+toolset+"\n"))
		if err != nil {
			return err
		}
		session, err := (&scenario.Program{}).Open(t.Context(), scenario.Options{Store: "memory:", Scenario: s})
		if err == nil {
			err = session.Close()
		}
		return err
	}
	for toolset, want := range map[string]string{
		"{files: {root: nowhere}}":                                                  "no such file",
		"{files: {root: link}}":                                                     "is a link out of the scenario's directory; name where it leads, and add outside: true",
		"{shell: {programs: [ls], dir: link}}":                                      "is a link out of the scenario's directory",
		"{mcp: {command: [ls], dir: link}}":                                         "is a link out of the scenario's directory",
		"{shell: {programs: [no-such-program-anywhere]}}":                           "no-such-program-anywhere",
		"{mcp: {command: [ls], env: [SCENARIO_TEST_UNSET]}}":                        "the environment variable SCENARIO_TEST_UNSET is not set",
		`{mcp: {url: "http://a.b", secrets: {Authorization: SCENARIO_TEST_UNSET}}}`: "the environment variable SCENARIO_TEST_UNSET is not set",
		"{http: {hosts: [a/b]}}":                                                    "a/b",
	} {
		err := open(toolset)
		if err == nil || !strings.Contains(err.Error(), "s.yaml:7:8: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", toolset, err, want)
		}
	}
	for _, toolset := range []string{"{files: {root: link}, outside: true}", fmt.Sprintf("{files: {root: %q}, outside: true}", outside), "{files: {root: .}}", "{http: {hosts: [a.b]}}"} {
		if err := open(toolset); err != nil {
			t.Errorf("%s: %v", toolset, err)
		}
	}
	if names, err := os.ReadDir("/proc/self/fd"); err == nil { // roots are closed
		for _, n := range names {
			if to, _ := os.Readlink("/proc/self/fd/" + n.Name()); slices.Contains([]string{dir, outside}, to) {
				t.Errorf("%s is still open", to)
			}
		}
	}
}

// declared are the people of a scenario.
type declared struct{ scenario *scenario.Scenario }

func (d declared) Decide(_ context.Context, a agents.Approval) (agents.Decision, bool, error) {
	decision, ok := d.scenario.Declared(a)
	return decision, ok, nil
}
func (declared) Undecided(agents.Approval)                       {}
func (declared) Outcome(agents.Approval, agents.Decision, error) {}
