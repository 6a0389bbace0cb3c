package scenario_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/scenario"
)

// library is a directory of a scenario with prompts in it.
func library(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"writer@1.md":  "---\nmodel: old\n---\nWrite.",
		"writer@2.md":  "---\nmodel: new\nparameters: {temperature: 0.3, maxTokens: 9, seed: 4, stop: [END], reasoningEffort: low}\nvariables:\n  words: {type: integer}\n---\nWrite {{ .words }} words. {{ template \"style\" . }}",
		"sub/style.md": "---\nvariables:\n  tone: {type: string, default: dry}\n---\nBe {{ .tone }}.",
	} {
		file := filepath.Join(dir, "prompts", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, file, []byte(text))
	}
	write(t, filepath.Join(dir, "bare"), []byte("---\nmodel: m\n---\nA file without an extension."))
	return dir
}

func TestPromptByName(t *testing.T) {
	dir := library(t)
	parse := func(agent string) (*scenario.Scenario, error) {
		return scenario.Parse(filepath.Join(dir, "s.yaml"), []byte("version: 1\nname: s\nteam: {agent: a}\nagents:\n- {name: a, "+agent+"}\n"))
	}
	const written = "Write 5 words. Be wry."
	for agent, want := range map[string][]string{
		"prompt: writer, variables: {words: 5, tone: wry}": {"new", written, "writer@2"},
		"prompt: writer@1": {"old", "Write.", "writer@1"},
		"prompt: prompts/writer@2.md, variables: {words: 5, tone: wry}": {"new", written, "writer@2"},
		"prompt: ./bare":                    {"m", "A file without an extension.", "bare"},
		"prompt: sub/../bare":               {"m", "A file without an extension.", "bare"},
		"model: x, instructions: Say hello": {"x", "Say hello", ""},
	} {
		s, err := parse(agent)
		if err != nil {
			t.Errorf("%s: %v", agent, err)
			continue
		}
		got := []string{s.Agents[0].Model, s.Agents[0].Instructions, ""}
		if p := s.Prompt("a"); p != nil {
			got[2] = p.Ref()
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", agent, diff)
		}
	}
	for agent, want := range map[string]string{
		"prompt: writer":      `s.yaml:5:3: prompt writer: variable words is missing (an integer); correct variables:`,
		"prompt: writer@3":    `s.yaml:5:21: prompt "writer" has no version 3: it has 1, 2; that is in the directory prompts`,
		"prompt: reader":      `s.yaml:5:21: unknown prompt "reader": there are style, writer; that is in the directory prompts`,
		"prompt: reader.md":   `s.yaml:5:21: there is no prompt "reader.md"; its path is relative to the scenario's directory`,
		"prompt: prompts/wri": `s.yaml:5:21: there is no prompt "prompts/wri"`,
	} {
		if _, err := parse(agent); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", agent, err, want)
		}
	}
	s, err := parse("prompt: writer@1")
	if err != nil || s.Prompt("nobody") != nil {
		t.Errorf("the prompt of nobody: %v, %v", s.Prompt("nobody"), err)
	}
	outside := filepath.Join(t.TempDir(), "out.md")
	write(t, outside, []byte("---\n---\nx"))
	link := filepath.Join(dir, "prompts", "out.md")
	if err := os.Symlink(outside, link); err != nil {
		t.Fatal(err)
	}
	if _, err := parse("prompt: writer@1"); err == nil || !strings.Contains(err.Error(), "reached by no link that leads out of it") {
		t.Errorf("a link beside it that leads out: %v", err)
	}
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "prompts", "sub", "style.md"), []byte("---\n---\n{{ .x }}"))
	if _, err := parse("prompt: writer@1"); err == nil || !strings.Contains(err.Error(), "s.yaml:5:21: the prompt is wrong: prompts/sub/style.md:3: variable x") {
		t.Errorf("a broken one beside it: %v", err)
	}
}

// TestPromptParameters sees what a model is asked with.
func TestPromptParameters(t *testing.T) {
	dir := library(t)
	s, err := scenario.Parse(filepath.Join(dir, "s.yaml"), []byte(`version: 1
name: s
team: {specialists: {agents: [a, b]}}
agents:
- {name: a, prompt: writer, variables: {words: 5}}
- {name: b, prompt: writer, variables: {words: 5}, temperature: 0}
input: Go.
script: {answers: [{always: true, text: Done.}]}
`))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan *models.Request, 2)
	session, err := (&scenario.Program{}).Open(t.Context(), scenario.Options{Store: "memory:", Scenario: s,
		Latency: scripted.NoLatency, OnAnswer: func(q *models.Request, _ *models.Response) { asked <- q }})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	id, err := session.Start(ctx, "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.Client().Wait(ctx, id); err != nil {
		t.Fatal(err)
	}
	p := s.Prompt("a")
	if m := manifestOf(t, session.Client(), "manifest:a"); m.Prompt == nil || *m.Prompt != (agents.PromptRef{Name: "writer", Version: "2", Hash: p.Hash()}) || m.Instructions != "Write 5 words. Be dry." {
		t.Errorf("the manifest has the prompt %+v, and says %q", m.Prompt, m.Instructions)
	}
	got := map[string]bool{}
	for range 2 {
		q := <-asked
		b, err := json.Marshal(q.Params)
		if err != nil {
			t.Fatal(err)
		}
		got[string(b)] = true
	}
	want := map[string]bool{
		`{"temperature":0.3,"maxTokens":9,"seed":4,"stop":["END"],"reasoningEffort":"low"}`: true,
		`{"temperature":0,"maxTokens":9,"seed":4,"stop":["END"],"reasoningEffort":"low"}`:   true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
}

// manifestOf reads the manifest that a step of a run has made.
func manifestOf(t *testing.T, c *durable.Client, step string) agents.Manifest {
	t.Helper()
	for s, err := range c.Query(t.Context(), durable.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		tasks := map[int32]string{}
		for ev, err := range c.History(t.Context(), s.ID, s.Execution) {
			switch {
			case err != nil:
				t.Fatal(err)
			case ev.Kind == history.TaskScheduled:
				tasks[ev.ID] = ev.Name
			case ev.Kind == history.TaskCompleted && tasks[ev.Answers] == step:
				m, err := agents.ReadManifest(func(r durable.Ref) ([]byte, error) { return c.Load(t.Context(), r) }, json.RawMessage(ev.Data))
				if err != nil {
					t.Fatal(err)
				}
				return m
			}
		}
	}
	t.Fatalf("no run has done %s", step)
	return agents.Manifest{}
}
