package prompts

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"
)

// Params are what a prompt asks of the model that it is sent to: those of its author, which a caller may follow or
// replace one by one. What a prompt does not say is the zero value.
type Params struct {
	// Temperature is from 0 to 2.
	Temperature *float64 `json:"temperature,omitempty"`
	// TopP is from 0 to 1.
	TopP *float64 `json:"topP,omitempty"`
	// MaxTokens bounds the answer, reasoning included. It is at least 1, or 0 if the prompt does not say.
	MaxTokens int `json:"maxTokens,omitempty"`
	// Seed makes answers repeat themselves as far as the provider can.
	Seed *int `json:"seed,omitempty"`
	// Stop are texts at which the answer ends. None is empty.
	Stop []string `json:"stop,omitempty"`
	// ToolChoice is "auto", "none", "required" or the name of a tool.
	ToolChoice string `json:"toolChoice,omitempty"`
	// ParallelToolCalls allows or forbids several calls in one answer.
	ParallelToolCalls *bool `json:"parallelToolCalls,omitempty"`
	// ReasoningEffort is how much a reasoning model thinks, in its provider's words: "low", "high".
	ReasoningEffort string `json:"reasoningEffort,omitempty"`
}

// clone gives a copy that shares nothing.
func (p Params) clone() Params {
	p.Temperature, p.TopP, p.Seed, p.ParallelToolCalls = copied(p.Temperature), copied(p.TopP), copied(p.Seed), copied(p.ParallelToolCalls)
	p.Stop = slices.Clone(p.Stop)
	return p
}

func copied[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// parameter reads one parameter into p. A problem completes a sentence that begins with its name.
type parameter struct {
	name string
	read func(p *Params, value any) (problem string)
}

// parameters are all that front matter may have, in the order in which people are told of them.
var parameters = []parameter{
	{"temperature", func(p *Params, v any) string { return between(&p.Temperature, v, 2) }},
	{"topP", func(p *Params, v any) string { return between(&p.TopP, v, 1) }},
	{"maxTokens", func(p *Params, v any) (problem string) {
		if p.MaxTokens, problem = integer(v); problem == "" && p.MaxTokens < 1 {
			problem = "must be at least 1"
		}
		return problem
	}},
	{"seed", func(p *Params, v any) string {
		n, problem := integer(v)
		p.Seed = &n
		return problem
	}},
	{"stop", func(p *Params, v any) string {
		list, problem := convert(List, v)
		if problem != "" {
			return problem + "; write [a, b]"
		}
		for _, v := range list.([]any) {
			s, problem := filled(v)
			if problem != "" {
				return "has an element that " + problem
			}
			p.Stop = append(p.Stop, s)
		}
		return ""
	}},
	{"toolChoice", func(p *Params, v any) (problem string) { p.ToolChoice, problem = filled(v); return problem }},
	{"parallelToolCalls", func(p *Params, v any) string {
		b, problem := convert(Boolean, v)
		yes, _ := b.(bool)
		p.ParallelToolCalls = &yes
		return problem
	}},
	{"reasoningEffort", func(p *Params, v any) (problem string) { p.ReasoningEffort, problem = filled(v); return problem }},
}

// UnmarshalYAML implements yaml.NodeUnmarshaler. It walks the mapping itself, for the lines of its keys.
func (p *Params) UnmarshalYAML(node ast.Node) error {
	if _, ok := node.(*ast.NullNode); ok {
		return nil
	}
	m, ok := node.(ast.MapNode)
	if !ok {
		return errorAt(node.GetToken(), "parameters must be a mapping, such as {temperature: 0.2}")
	}
	for it := m.MapRange(); it.Next(); {
		if err := p.readOne(it.Key().GetToken(), it.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (p *Params) readOne(key *token.Token, node ast.Node) error {
	i := slices.IndexFunc(parameters, func(x parameter) bool { return x.name == key.Value })
	if i < 0 {
		var names []string
		for _, x := range parameters {
			names = append(names, x.name)
		}
		return errorAt(key, "unknown parameter %q: there are %s", key.Value, strings.Join(names, ", "))
	}
	var value any
	if err := yaml.NodeToValue(node, &value, yaml.Strict()); err != nil {
		return err
	}
	if problem := parameters[i].read(p, value); problem != "" {
		return errorAt(key, "parameter %s %s", key.Value, problem)
	}
	return nil
}

func between(p **float64, v any, most float64) string {
	n, problem := convert(Number, v)
	if problem != "" {
		return problem
	}
	f := n.(float64)
	if !(f >= 0 && f <= most) {
		return fmt.Sprintf("is %v; write a number from 0 to %v", f, most)
	}
	*p = &f
	return ""
}

func integer(v any) (int, string) {
	n, problem := convert(Integer, v)
	if problem != "" {
		return 0, problem
	}
	i := n.(int64)
	if int64(int(i)) != i {
		return 0, "is too large"
	}
	return int(i), ""
}

// filled reads a text that is not empty.
func filled(v any) (string, string) {
	s, problem := convert(String, v)
	if problem != "" {
		return "", problem
	}
	if s == "" {
		return "", "is empty"
	}
	return s.(string), ""
}
