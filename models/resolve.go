package models

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Provider opens the models of one service.
type Provider struct {
	// Name is the prefix by which its models are named: "openai" in "openai:gpt-4.1".
	Name string
	// Configured says whether the environment has what the provider needs, and Setup
	// what a person does where it has not: "set OPENAI_API_KEY".
	Configured bool
	Setup      string
	// Open returns the model that the service calls name. It need not ask the
	// service whether there is one.
	Open func(name string) (Model, error)
}

// Resolver finds models by name.
type Resolver struct {
	// Local are the program's own models. They come first.
	Local     map[string]Model
	Providers []Provider
}

// Resolve returns the model that name means:
//
//   - a name in Local is that model;
//   - "PROVIDER:NAME" is what that provider calls NAME (everything after the first
//     colon, which may have colons itself);
//   - any other name goes to the one provider that is configured, if exactly one is.
//
// Every other case is an [*Error] of KindNotFound that lists what there is.
func (r Resolver) Resolve(name string) (Model, error) {
	if m := r.Local[name]; m != nil {
		return m, nil
	}
	if name == "" {
		return nil, r.unknown("no model is named")
	}
	if prefix, rest, ok := strings.Cut(name, ":"); ok {
		for _, p := range r.Providers {
			if p.Name != prefix {
				continue
			}
			if !p.Configured {
				return nil, r.unknown("model %q needs provider %s, which is not configured", name, p.Name)
			}
			if rest == "" {
				return nil, r.unknown("model %q has no name after its provider", name)
			}
			return open(p, rest)
		}
	}
	var ready []Provider
	for _, p := range r.Providers {
		if p.Configured {
			ready = append(ready, p)
		}
	}
	switch len(ready) {
	case 1:
		return open(ready[0], name)
	case 0:
		return nil, r.unknown("model %q is not known", name)
	default:
		return nil, r.unknown("model %q may belong to several providers; write PROVIDER:%s", name, name)
	}
}

func open(p Provider, name string) (Model, error) {
	m, err := p.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open model %s:%s: %w", p.Name, name, err)
	}
	return m, nil
}

// unknown returns the error that lists what there is.
func (r Resolver) unknown(format string, args ...any) error {
	var have []string
	if names := slices.Sorted(maps.Keys(r.Local)); len(names) > 0 {
		have = append(have, "the program's models are "+strings.Join(names, ", "))
	} else {
		have = append(have, "the program defines no models")
	}
	for _, p := range r.Providers {
		if p.Configured {
			have = append(have, fmt.Sprintf("provider %s is configured (%s:NAME)", p.Name, p.Name))
		} else {
			have = append(have, fmt.Sprintf("provider %s is not configured (%s)", p.Name, p.Setup))
		}
	}
	return &Error{Kind: KindNotFound, Message: fmt.Sprintf(format, args...) + "; " + strings.Join(have, "; ")}
}
