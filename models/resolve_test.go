package models

import (
	"errors"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	local, _ := flaky()
	opened := ""
	provider := func(name string, configured bool) Provider {
		return Provider{Name: name, Configured: configured, Setup: "set " + strings.ToUpper(name) + "_KEY",
			Open: func(model string) (Model, error) {
				if model == "broken" {
					return nil, errors.New("bad base URL")
				}
				opened = name + "/" + model
				return local, nil
			}}
	}
	none := []Provider{provider("openai", false)}
	one := []Provider{provider("openai", true), provider("other", false)}
	two := []Provider{provider("openai", true), provider("other", true)}
	own := map[string]Model{"fake": local, "openai:mine": local, "nothing": nil}
	tests := []struct {
		name      string
		local     map[string]Model
		providers []Provider
		want      string   // what is opened, "local", or ""
		says      []string // of the error
	}{
		{"fake", own, two, "local", nil},
		{"openai:mine", own, two, "local", nil},
		{"openai:gpt-4.1", own, two, "openai/gpt-4.1", nil},
		{"openai:qwen3:8b", own, one, "openai/qwen3:8b", nil},
		{"gpt-4.1", own, one, "openai/gpt-4.1", nil},
		{"qwen3:8b", own, one, "openai/qwen3:8b", nil},
		{"gpt-4.1", own, two, "", []string{`"gpt-4.1" may belong to several providers`, "PROVIDER:gpt-4.1", "provider other is configured"}},
		{"gpt-4.1", own, none, "", []string{`"gpt-4.1" is not known`, "fake, nothing, openai:mine", "openai is not configured (set OPENAI_KEY)"}},
		{"gpt-4.1", nil, nil, "", []string{"the program defines no models"}},
		{"other:x", own, one, "", []string{`needs provider other, which is not configured`, "set OTHER_KEY"}},
		{"openai:", own, one, "", []string{"no name after its provider"}},
		{"", own, one, "", []string{"no model is named"}},
		{"nothing", own, none, "", []string{"not known"}},
		{"openai:broken", own, one, "", []string{"open model openai:broken: bad base URL"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			opened = "local"
			m, err := Resolver{Local: tt.local, Providers: tt.providers}.Resolve(tt.name)
			if tt.want != "" {
				if err != nil || m == nil || opened != tt.want {
					t.Errorf("model %v, opened %s, error %v; want %s", m != nil, opened, err, tt.want)
				}
				return
			}
			if err == nil {
				t.Fatalf("resolved to %s", opened)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("error %q does not say %q", err, says)
				}
			}
			var e *Error
			if errors.As(err, &e) && e.Kind != KindNotFound {
				t.Errorf("kind is %s", e.Kind)
			}
		})
	}
}
