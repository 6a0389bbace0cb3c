package evals_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/evals"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
	"github.com/agentrun-dev/agentrun/tools"
)

// files writes files into a new directory.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const suiteText = `version: 1
name: team
program: examples/team
cases:
  - name: replay
    mode: strict
    recordings: [testdata/*.json, testdata/b.json]
  - name: scripted
    mode: scenario
    scenario: scenario.yaml
`

const scenarioText = `version: 1
name: weather
agents:
  - name: clerk
    model: any
    instructions: Be short.
    tools: [weather]
team: {agent: clerk}
input: Umbrella?
script:
  latency: 10h
  answers:
    - agent: clerk
      calls: [{tool: weather, arguments: {city: Oslo}}]
    - agent: clerk
      text: Take one.
decisions:
  - {tool: weather, decide: approve}
expect:
  output: {contains: [Take one]}
  tools: {called: [weather]}
  approvals: 1
`

// program has what the suite and the scenario need.
func (v version) program(tool string, approval tools.Approval) *scenario.Program {
	weather := tools.New(tool, "Weather in a city.", func(_ context.Context, p place) (string, error) { return p.City + ": rain", nil }, tools.Pure(), tools.NeedsApproval(approval))
	return &scenario.Program{Definitions: v.define(nil), Tools: []tools.Tool{weather}}
}

func TestSuite(t *testing.T) {
	recording := string(recordedTeam(t))
	dir := files(t, map[string]string{"suite.yaml": suiteText, "scenario.yaml": scenarioText, "testdata/a.json": recording, "testdata/b.json": recording})
	suite, err := evals.LoadSuite(filepath.Join(dir, "suite.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if suite.Program != "examples/team" {
		t.Errorf("program %q", suite.Program)
	}
	var told []string
	run := func(s *evals.Suite, p *scenario.Program) *evals.Results {
		t.Helper()
		told = nil
		results, err := s.Run(t.Context(), p, evals.Options{OnResult: func(r evals.Result) { told = append(told, r.Case) }})
		if err != nil {
			t.Fatal(err)
		}
		return results
	}
	summary := func(r *evals.Results) (all []string) {
		for _, x := range r.Results {
			all = append(all, strings.TrimSpace(fmt.Sprintln(x.Case, filepath.Base(x.Recording), x.Status)))
		}
		return append(all, string(r.Verdict()))
	}

	good := run(suite, version{}.program("weather", tools.Approval{}))
	if diff := cmp.Diff([]string{"replay a.json passed", "replay b.json passed", "scripted . passed", "passed"}, summary(good)); diff != "" {
		t.Errorf("unchanged (-want +got):\n%s\n%+v", diff, good.Results)
	}
	if diff := cmp.Diff([]string{"replay", "replay", "scripted"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}

	bad := run(suite, version{search: "find_logs"}.program("forecast", tools.Approval{}))
	if diff := cmp.Diff([]string{"replay a.json diverged", "replay b.json diverged", "scripted . error", "error"}, summary(bad)); diff != "" {
		t.Errorf("tools renamed (-want +got):\n%s", diff)
	}
	if r := bad.Results[0]; r.Divergence == nil || r.Message != r.Divergence.Error() || r.Run != "run-1" {
		t.Errorf("divergence: %+v", r)
	}
	if !strings.Contains(bad.Results[2].Message, `unknown tool "weather"`) {
		t.Errorf("error: %s", bad.Results[2].Message)
	}

	// Two people must agree, and the scenario has one.
	waits := run(&evals.Suite{Name: "s", Cases: suite.Cases[1:]}, version{}.program("weather", tools.Approval{Needed: 2}))
	if diff := cmp.Diff([]string{"scripted . failed", "failed"}, summary(waits)); diff != "" {
		t.Errorf("waiting (-want +got):\n%s\n%+v", diff, waits.Results)
	}
	if f := strings.Join(waits.Results[0].Failures, "\n"); !strings.Contains(f, "waiting, expected completed") || !strings.Contains(f, "scenario.yaml:21:") {
		t.Errorf("failures: %s", f)
	}
	text, err := json.Marshal(bad)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"verdict":"error"`, `"suite":"team"`, `"status":"diverged"`, `"seconds":`, `"divergence":{"address":{"instance":"`, `"changed":["tools (`} {
		if !bytes.Contains(text, []byte(want)) {
			t.Errorf("JSON lacks %s: %s", want, text)
		}
	}
}

// TestScenarioOfRecording: what a scenario defines is replayed too, also without a tool
// that it names and the program lacks.
func TestScenarioOfRecording(t *testing.T) {
	dir := files(t, map[string]string{"scenario.yaml": scenarioText})
	path := filepath.Join(dir, "scenario.yaml")
	sc, err := scenario.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	p := version{}.program("weather", tools.Approval{})
	s, err := p.Open(t.Context(), scenario.Options{Store: "memory:", Scenario: sc, Latency: scripted.NoLatency})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	id, err := s.Start(t.Context(), "", "", map[string]string{scenario.TagScenario: path})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Follow(t.Context(), id, yes{}, nil); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(dir, "r.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := evals.Export(t.Context(), s.Client(), id, file); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	suite := &evals.Suite{Name: "s", Cases: []evals.Case{{Name: "replay", Mode: evals.ModeStrict, Recordings: []string{file.Name()}}}}
	for tool, want := range map[string]evals.Status{"weather": evals.Passed, "forecast": evals.Diverged} {
		results, err := suite.Run(t.Context(), version{}.program(tool, tools.Approval{}), evals.Options{})
		if err != nil || results.Verdict() != want {
			t.Errorf("with %s: %+v, %v", tool, results, err)
		}
	}
	gone := evals.Options{Scenario: func(string) (*scenario.Scenario, error) { return nil, os.ErrNotExist }}
	results, err := suite.Run(t.Context(), p, gone)
	if err != nil || results.Verdict() != evals.Errored || !strings.Contains(results.Results[0].Message, "name another one with scenario:") {
		t.Errorf("without its scenario: %+v, %v", results, err)
	}
	suite.Cases[0].Scenario = path
	results, err = suite.Run(t.Context(), p, gone)
	if err != nil || results.Verdict() != evals.Passed {
		t.Errorf("with another scenario: %+v, %v", results, err)
	}
}

// yes approves whatever is asked.
type yes struct{}

func (yes) Decide(context.Context, agents.Approval) (agents.Decision, bool, error) {
	return agents.Decision{Approve: true, By: "eva"}, true, nil
}
func (yes) Undecided(agents.Approval)                       {}
func (yes) Outcome(agents.Approval, agents.Decision, error) {}

func TestNoCases(t *testing.T) {
	for _, cases := range [][]evals.Case{nil, {{Name: "a", Mode: evals.ModeStrict}}} {
		results, err := (&evals.Suite{Name: "empty", Cases: cases}).Run(t.Context(), &scenario.Program{}, evals.Options{})
		if !errors.Is(err, evals.ErrNoCases) || results.Verdict() != evals.Errored {
			t.Errorf("%v: %v, %v", cases, err, results.Verdict())
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := &evals.Suite{Cases: []evals.Case{{Name: "a", Mode: evals.ModeStrict, Recordings: []string{"none.json"}}}}
	if results, err := s.Run(ctx, &scenario.Program{}, evals.Options{}); !errors.Is(err, context.Canceled) || len(results.Results) != 0 {
		t.Errorf("cancelled: %v, %v", results, err)
	}
	results, err := s.Run(t.Context(), &scenario.Program{}, evals.Options{})
	if err != nil || results.Verdict() != evals.Errored || !strings.Contains(results.Results[0].Message, "none.json") {
		t.Errorf("no file: %+v, %v", results, err)
	}
}

func TestWrongSuites(t *testing.T) {
	const begin = "version: 1\nname: s\ncases:\n"
	for name, test := range map[string]struct {
		text, want string
		valid      bool // for the schema, which does not see files
	}{
		"empty":              {"", "1: the version is missing", false},
		"no version":         {"name: s\n", "1: the version is missing; begin the file with version: 1", false},
		"version 2":          {"name: s\nversion: 2\nnew: 1\n", "2: version 2 is not one that this program reads, which is 1", false},
		"version of a kind":  {"version: one\nname: s\n", "1: ", false},
		"unknown key":        {"version: 1\nname: s\ncase: []\n", `3: unknown field "case"`, false},
		"key twice":          {"version: 1\nname: s\nname: t\n", "3: ", true},
		"second document":    {begin + "  - {name: a, mode: strict, recordings: [r.json]}\n---\na: 1\n", "second document", true},
		"no name":            {"version: 1\ncases: []\n", "1: the suite has no name", false},
		"no cases":           {"version: 1\nname: s\n", "1: the suite has no cases", false},
		"empty cases":        {"version: 1\nname: s\ncases: []\n", "3: the suite has no cases; add one", false},
		"case without name":  {begin + "  - mode: strict\n    recordings: [r.json]\n", "4: case 1 has no name", false},
		"two names":          {begin + "  - {name: a, mode: strict, recordings: [r.json]}\n  - {name: a, mode: strict, recordings: [r.json]}\n", `5: two cases are named "a"`, true},
		"unknown key inside": {begin + "  - name: a\n    mod: strict\n", `5: unknown field "mod"`, false},
		"no mode":            {begin + "  - name: a\n", `4: case "a" has mode ""; use strict or scenario`, false},
		"unknown mode":       {begin + "  - name: a\n    mode: swap\n", `5: case "a" has mode "swap"; use strict or scenario`, false},
		"no recordings":      {begin + "  - name: a\n    mode: strict\n", `4: case "a" has no recordings`, false},
		"no scenario":        {begin + "  - name: a\n    mode: scenario\n", `4: case "a" has no scenario`, false},
		"both":               {begin + "  - name: a\n    mode: scenario\n    scenario: s.yaml\n    recordings: [r.json]\n", "7: recordings are for mode: strict", false},
		"file not there":     {begin + "  - name: a\n    mode: strict\n    recordings:\n      - r.json\n      - x.json\n", "8: recordings x.json: there is no such file; paths are relative to the suite", true},
		"glob without match": {begin + "  - name: a\n    mode: strict\n    recordings: [x/*.json]\n", "6: recordings x/*.json: there is no such file", true},
		"broken glob":        {begin + "  - name: a\n    mode: strict\n    recordings: ['[']\n", "6: recordings [: syntax error in pattern", true},
		"scenario not there": {begin + "  - name: a\n    mode: scenario\n    scenario: t.yaml\n", "6: there is no scenario", true},
		"recordings no list": {begin + "  - name: a\n    mode: strict\n    recordings: {a: b}\n", "6: ", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := files(t, map[string]string{"suite.yaml": test.text, "r.json": "{}", "s.yaml": ""})
			path := filepath.Join(dir, "suite.yaml")
			s, err := evals.LoadSuite(path)
			if err == nil || s != nil {
				t.Fatal("no error")
			}
			got := err.Error()
			if !strings.HasPrefix(got, path+":") || !strings.Contains(got, test.want) || strings.Contains(got, "\n") {
				t.Errorf("got %q, want one line with %q", got, test.want)
			}
			if strings.Contains(name, "cases") && !errors.Is(err, evals.ErrNoCases) {
				t.Errorf("%v is not ErrNoCases", err)
			}
			if err := suiteFits(t, test.text); test.valid != (err == nil) && name != "key twice" && name != "second document" {
				t.Errorf("by the schema: %v", err)
			}
		})
	}
	if err := suiteFits(t, suiteText); err != nil {
		t.Errorf("a good suite: %v", err)
	}
	if _, err := evals.LoadSuite(filepath.Join(t.TempDir(), "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// suiteFits reads YAML for the schema.
func suiteFits(t *testing.T, text string) error {
	t.Helper()
	b, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		return err
	}
	return compileSchema(t, evals.SuiteSchema()).Validate(v)
}
