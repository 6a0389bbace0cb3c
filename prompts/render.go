package prompts

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Render fills in the variables. Values may be of any Go type with the JSON form of the declared type; nil is an
// empty list where a list is declared and wrong everywhere else. If one is missing, of another type or not
// declared, the error is a [*VariableError] that names all of those.
func (p *Prompt) Render(vars map[string]any) (string, error) {
	values := make(map[string]any, len(p.variables))
	var problems []string
	for _, v := range p.variables {
		given, ok := vars[v.Name]
		if !ok {
			if v.Required {
				problems = append(problems, missing(v))
			}
			values[v.Name] = v.Default
			continue
		}
		value, problem := convert(v.Type, given)
		if problem != "" {
			problems = append(problems, fmt.Sprintf("variable %s %s", v.Name, problem))
		}
		values[v.Name] = value
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if _, ok := values[name]; !ok {
			problems = append(problems, fmt.Sprintf("variable %s is not declared (%s)", name, p.declared()))
		}
	}
	if problems != nil {
		slices.Sort(problems)
		return "", &VariableError{Prompt: p.name, Problems: problems}
	}
	if p.body == nil {
		return p.text, nil
	}
	var b strings.Builder
	if err := p.body.Execute(&b, values); err != nil {
		from, line, err := p.templateError(err)
		return "", fmt.Errorf("prompt %s: %s:%d: %w", p.name, from.file, line, err)
	}
	return b.String(), nil
}

// Render fills in the variables of p from a struct with json tags, or a map. The fields are the variables: one
// that the prompt does not declare is an error, and one that is left out by omitempty counts as not given.
func Render[V any](p *Prompt, v V) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("prompt %s: the variables have no JSON form: %w", p.name, err)
	}
	decoded, err := decode(data)
	if err != nil {
		return "", fmt.Errorf("prompt %s: the variables have no JSON form: %w", p.name, err)
	}
	vars, ok := decoded.(map[string]any)
	if !ok {
		return "", fmt.Errorf("prompt %s: variables come from a struct or a map, and %T is %s in JSON", p.name, v, describe(decoded))
	}
	return p.Render(vars)
}

func missing(v Variable) string {
	problem := fmt.Sprintf("variable %s is missing (%s", v.Name, article(v.Type))
	if v.Description != "" {
		problem += ": " + v.Description
	}
	return problem + ")"
}

func (p *Prompt) declared() string {
	if len(p.variables) == 0 {
		return "the prompt has no variables"
	}
	names := make([]string, len(p.variables))
	for i, v := range p.variables {
		names[i] = v.Name
	}
	return "there are " + strings.Join(names, ", ")
}
