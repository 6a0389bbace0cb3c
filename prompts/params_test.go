package prompts_test

import (
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/google/go-cmp/cmp"
)

func TestParams(t *testing.T) {
	parse := func(parameters string) (*prompts.Prompt, error) {
		return prompts.Parse("p.md", []byte("---\nmodel: m\nparameters:"+parameters+"\n---\nx"))
	}
	p := prompts.Must(parse(`
  temperature: 0.2
  topP: 1
  maxTokens: 800
  seed: -7
  stop: [END, "3"]
  toolChoice: required
  parallelToolCalls: false
  reasoningEffort: high`))
	temperature, topP, seed, parallel := 0.2, 1.0, -7, false
	want := prompts.Params{Temperature: &temperature, TopP: &topP, MaxTokens: 800, Seed: &seed, Stop: []string{"END", "3"},
		ToolChoice: "required", ParallelToolCalls: &parallel, ReasoningEffort: "high"}
	if diff := cmp.Diff(want, p.Params()); diff != "" {
		t.Errorf("parameters (-want +got):\n%s", diff)
	}
	own := p.Params()
	*own.Temperature, own.Stop[0] = 2, "other"
	if diff := cmp.Diff(want, p.Params()); diff != "" {
		t.Errorf("a caller changes the prompt (-want +got):\n%s", diff)
	}
	for _, none := range []string{"", " {}", " null"} {
		if p, err := parse(none); err != nil || !cmp.Equal(p.Params(), prompts.Params{}) {
			t.Errorf("%q: %+v, %v", none, p, err)
		}
	}
	for parameters, want := range map[string]string{
		" [a]":                             "p.md:3: parameters must be a mapping",
		"\n  temperature: 1\n  top_p: 0.5": `p.md:5: unknown parameter "top_p": there are temperature, topP, maxTokens, seed, stop, toolChoice, parallelToolCalls, reasoningEffort`,
		"\n  seed: 1\n  seed: 2":           "p.md:5: mapping key",
		" {temperature: 2.1}":              "p.md:3: parameter temperature is 2.1; write a number from 0 to 2",
		" {temperature: .nan}":             "p.md:3: parameter temperature has no JSON form",
		" {temperature: hot}":              "p.md:3: parameter temperature must be a number, not a string",
		" {temperature: null}":             "p.md:3: parameter temperature must be a number, not null",
		" {topP: -0.1}":                    "p.md:3: parameter topP is -0.1; write a number from 0 to 1",
		" {maxTokens: 0}":                  "p.md:3: parameter maxTokens must be at least 1",
		" {maxTokens: 1.5}":                "p.md:3: parameter maxTokens must be a whole number",
		" {seed: many}":                    "p.md:3: parameter seed must be an integer",
		" {stop: END}":                     "p.md:3: parameter stop must be a list, not a string; write [a, b]",
		" {stop: [a, 1]}":                  "p.md:3: parameter stop has an element that must be a string, not a number",
		` {stop: [""]}`:                    "p.md:3: parameter stop has an element that is empty",
		` {toolChoice: ""}`:                "p.md:3: parameter toolChoice is empty",
		" {parallelToolCalls: 1}":          "p.md:3: parameter parallelToolCalls must be a boolean",
		" {reasoningEffort: 3}":            "p.md:3: parameter reasoningEffort must be a string",
	} {
		if _, err := parse(parameters); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", parameters, err, want)
		}
	}
}
