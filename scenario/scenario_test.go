package scenario_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
	"github.com/agentrun-dev/agentrun/tools"
)

func load(t *testing.T, path string) *scenario.Scenario {
	t.Helper()
	s, err := scenario.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestEverything(t *testing.T) {
	zero, fifth, most, seven := 0.0, 0.2, 0.9, 7
	none, twenty, one := 0, 20, 1
	raw := func(s string) json.RawMessage { return json.RawMessage(s) }
	want := &scenario.Scenario{
		Version:     1,
		Name:        "everything-1",
		Description: "Every key of the format is in this file or in those beside it.\n",
		Agents: []scenario.Agent{
			{Name: "planner", Description: "Makes plans.", Instructions: "Make a plan.\nBe brief.\n", Model: "fast", MaxTurns: 3, Temperature: &zero,
				Output: raw(`{"type":"object","properties":{"steps":{"type":"array","items":{"type":"string"}},"confidence":{"type":"number"}},"required":["steps"]}`)},
			{Name: "logs", Instructions: "Search logs: all of them.", Model: "openai:gpt-4.1", Tools: []string{"search_logs", "now"}, Temperature: &fifth,
				Toolsets: []string{"docs", "web", "server", "remote", "run"}, Sequential: true, StopTools: []string{"now"}, OnMaxTurns: "summary",
				Window: 20, MaxContext: 4000, Summarizer: "fast", TopP: &most, MaxTokens: 500, Seed: &seven, Stop: []string{"END"},
				ToolChoice: "required", ParallelToolCalls: new(bool), ReasoningEffort: "low"},
			{Name: "writer", Instructions: "Write in a dry tone, at most 50 words.", Prompt: "prompts/writer.md", Model: "openai:gpt-4.1-nano",
				Variables: map[string]json.RawMessage{"tone": raw(`"dry"`), "words": raw(`50`)}},
		},
		Toolsets: map[string]scenario.Toolset{
			"docs": {Files: &scenario.FileTools{Root: "prompts", ReadOnly: true, Allow: []string{"**/*.md"}}, Prefix: "docs_", Only: []string{"read_file"},
				Effects: map[string]string{"read_file": "pure"}, Approvals: map[string]tools.Approval{"*": {By: []string{"sre"}, Needed: 1, Within: time.Hour, Question: "May it?"}}},
			"web":    {HTTP: &scenario.HTTPTool{Hosts: []string{"example.com"}, Secrets: map[string]string{"Authorization": "WEB_TOKEN"}}},
			"server": {MCP: &scenario.MCPServer{Command: []string{"npx", "server"}, Dir: "prompts", Env: []string{"SERVER_TOKEN"}, Trust: true}},
			"remote": {MCP: &scenario.MCPServer{URL: "https://example.com/mcp", Secrets: map[string]string{"Authorization": "WEB_TOKEN"}}},
			"run":    {Shell: &scenario.ShellTool{Programs: []string{"ls"}, Dir: "/tmp", Env: []string{"PATH"}, Timeout: 30 * time.Second}, Outside: true},
		},
		Team:   scenario.Team{Planner: &scenario.Planner{Agent: "planner", Specialists: []string{"logs", "writer"}, MaxRevisions: &none}},
		Input:  raw(`{"alert":"checkout is slow","since":"2026-01-02","n":12345678901234567890}`),
		Models: map[string]string{"fast": "openai:gpt-4.1-mini"},
		Script: &scenario.Script{Latency: 300 * time.Millisecond, Answers: scripted.Script{
			{Agent: "planner", Latency: 300 * time.Millisecond,
				Output: map[string]any{"steps": []any{"look"}, "confidence": json.Number("0.9")}},
			{Agent: "logs", Turn: 1, When: scripted.When{User: "slow", System: "Search"},
				Calls: []scripted.Call{
					{Tool: "search_logs", ID: "c1", Arguments: map[string]any{"query": "a < b & c", "limit": json.Number("10")}},
					{Tool: "now", Arguments: `{"broken`},
				},
				Usage: &models.Usage{InputTokens: 100, OutputTokens: 20, CachedTokens: 1, ReasoningTokens: 2}},
			{Agent: "logs", Text: "It is the cache.", Finish: models.FinishStop, Latency: time.Minute + 500*time.Millisecond},
			{Agent: "writer", Always: true, Latency: 300 * time.Millisecond,
				Error: &scripted.Failure{Kind: models.KindRateLimit, Message: "slow down", Status: 429, Code: "rate", RetryAfter: 2 * time.Second}},
		}},
		Decisions: []scenario.Decision{
			{Tool: "roll_back", Agent: "fixer", Decide: scenario.Approve, Arguments: raw(`{"version":"v2.13.1"}`), Comment: "The last good one.", As: "on-call"},
			{Agent: "fixer", Decide: scenario.Reject, As: "scenario"},
			{Question: "Really?", Decide: scenario.Wait, As: "scenario"},
		},
		Expect: &scenario.Expect{
			Status: scenario.Completed,
			Output: &scenario.ExpectOutput{Contains: []string{"cache", "50"}, Matches: "(?i)the cache", Equals: raw(`"It is the cache."`), Schema: raw(`{"type":"string"}`)},
			Tools:  &scenario.ExpectTools{Called: []string{"search_logs"}, NotCalled: []string{"roll_back"}},
			Turns:  &scenario.ExpectTurns{Max: &twenty}, Approvals: &one,
		},
	}
	got := load(t, "testdata/valid/everything.yaml")
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(scenario.Scenario{})); diff != "" {
		t.Errorf("scenario (-want +got):\n%s", diff)
	}
	other := load(t, "testdata/valid/orchestration.yaml")
	if got := string(other.Input); got != `{"b":1,"a":[1.5,-2,1e3]}` {
		t.Errorf("input is %s, want its keys in order", got)
	}
	if join := load(t, "testdata/valid/specialists.yaml").Team.Specialists.Join; join != scenario.JoinAll {
		t.Errorf("join is %q", join)
	}
}

// TestEditors has what editors and systems differ in.
func TestEditors(t *testing.T) {
	s, err := scenario.Parse("s.yaml", []byte("\uFEFFversion: 1\r\nname: a\r\nteam: {agent: a}\r\ninput: |\r\n  one\r\n  two\r\n"))
	if err != nil || string(s.Input) != `"one\ntwo\n"` {
		t.Errorf("scenario is %+v, %v", s, err)
	}
	_, err = scenario.Parse("s.yaml", []byte("\uFEFFversion: 1\r\nname: a\r\nteam: {ägent: a, x: b}\r\n"))
	const want = "s.yaml:3:8: unknown key \"ägent\"; the keys here are agent, orchestration, planner, specialists\n" +
		"s.yaml:3:18: unknown key \"x\"; the keys here are agent, orchestration, planner, specialists"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v\nwant %s", err, want)
	}
}

func TestDecide(t *testing.T) {
	s := load(t, "testdata/valid/everything.yaml")
	tests := []struct {
		request scenario.Request
		want    int // the number of the decision, -1 for none
	}{
		{scenario.Request{Tool: "roll_back", Agent: "fixer", Question: "Really?"}, 0},
		{scenario.Request{Tool: "roll_back", Agent: "other", Question: "Really?"}, 2},
		{scenario.Request{Tool: "restart", Agent: "fixer"}, 1},
		{scenario.Request{Agent: "fixer", Question: "Really?"}, 1},
		{scenario.Request{Agent: "other", Question: "Do you Really? mean it"}, 2},
		{scenario.Request{Agent: "other", Question: "really?"}, -1},
		{scenario.Request{}, -1},
	}
	for _, tt := range tests {
		d, ok := s.Decide(tt.request)
		if ok != (tt.want >= 0) || ok && d != &s.Decisions[tt.want] {
			t.Errorf("%+v: decision is %+v, want number %d", tt.request, d, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	s := load(t, "testdata/valid/everything.yaml")
	have := scenario.Names{Tools: []string{"now", "search_logs"}, Agents: []string{"fixer"}}
	if err := s.Check(have); err != nil {
		t.Errorf("error is %v", err)
	}
	const text = `version: 1
name: a
agents:
- {name: clerk, instructions: x, model: m, tools: [noww]}
- {name: fixer, instructions: x, model: m}
`
	tests := []struct {
		team string
		have scenario.Names
		want string
	}{
		{"{agent: boss}", scenario.Names{}, `s.yaml:4:52: unknown tool "noww"; there are no tools
s.yaml:6:15: unknown agent "boss"; there are clerk, fixer`},
		{"{orchestration: incident}", scenario.Names{Tools: []string{"search", "now", "noww"}, Agents: []string{"fixer"}, Orchestrations: []string{"z", "b"}},
			`s.yaml:5:10: the program has an agent "fixer" too; rename this one, or remove it to use the program's
s.yaml:6:23: unknown orchestration "incident"; there are b, z`},
		{"{planner: {agent: a, specialists: [clerk, b]}}", scenario.Names{Tools: []string{"noww"}}, `s.yaml:6:25: unknown agent "a"; there are clerk, fixer
s.yaml:6:49: unknown agent "b"; there are clerk, fixer`},
		{"{specialists: {agents: [clerk, b]}}", scenario.Names{Tools: []string{"noww"}}, `s.yaml:6:38: unknown agent "b"; there are clerk, fixer`},
	}
	for _, tt := range tests {
		s, err := scenario.Parse("s.yaml", []byte(text+"team: "+tt.team+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Check(tt.have); err == nil || err.Error() != tt.want {
			t.Errorf("%s: error is %v\nwant %s", tt.team, err, tt.want)
		}
	}
}

// TestValues has numbers that must not become texts, and texts that must stay as they are.
func TestValues(t *testing.T) {
	s, err := scenario.Parse("s.yaml", []byte(small+`input: [1e3, -0, 0.5, 0x1F, 99999999999999999999999, "1e3", '7', <b>&, 1_000, 1.2.3, 2001-01-01, yes, true, null]`+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	const want = `[1e3,0,0.5,31,99999999999999999999999,"1e3","7","<b>&",1000,"1.2.3","2001-01-01","yes",true,null]`
	if got := string(s.Input); got != want {
		t.Errorf("input is %s\nwant     %s", got, want)
	}
}
