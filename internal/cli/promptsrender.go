package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/agentrun-dev/agentrun/prompts"
)

func (a *app) showPrompt(dir, arg string) error {
	p, _, err := a.prompt(dir, arg)
	if err != nil {
		return err
	}
	shown := struct {
		promptListed
		Partials []partialShown `json:"partials,omitempty"`
		Body     string         `json:"body"`
	}{listedPrompt(p), partialsOf(p), p.Body()}
	if a.format != formatTable {
		return a.printJSON(shown)
	}
	var b strings.Builder
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-11s  %s\n", name, oneLine(value, 1000))
		}
	}
	field("prompt", p.Ref())
	field("description", p.Description())
	field("model", p.Model())
	if params := compact(p.Params()); params != "{}" {
		field("parameters", params)
	}
	for _, part := range shown.Partials {
		field("partial", part.Prompt+" "+shortHash(part.Hash))
	}
	field("hash", p.Hash())
	field("file", p.File())
	if len(shown.Variables) > 0 {
		b.WriteString("\n")
		rows := [][]string{{"VARIABLE", "TYPE", "DEFAULT", "DESCRIPTION"}}
		for _, v := range shown.Variables {
			standard := "-"
			if !v.Required {
				standard = compact(v.Default)
			}
			rows = append(rows, []string{v.Name, string(v.Type), standard, dash(v.Description)})
		}
		if err := printTable(&b, rows); err != nil {
			return err
		}
	}
	b.WriteString("\n" + p.Body())
	return a.printText(b.String())
}

// compact is a value of a prompt as JSON for people.
func compact(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (a *app) diffPrompts(dir, from, to string) error {
	p, fromName, err := a.prompt(dir, from)
	if err != nil {
		return err
	}
	q, toName, err := a.prompt(dir, to)
	if err != nil {
		return err
	}
	changed := func(part, x, y string) string {
		out := diff.Diff(fromName+" "+part, []byte(x), toName+" "+part, []byte(y))
		_, out2, _ := strings.Cut(string(out), "\n") // the first line only says that this is a diff
		return out2
	}
	d := struct {
		From        string `json:"from"`
		To          string `json:"to"`
		FrontMatter string `json:"frontMatter,omitempty"`
		Body        string `json:"body,omitempty"`
		Partials    string `json:"partials,omitempty"`
	}{
		fromName, toName, changed("front matter", lines(p.FrontMatter()), lines(q.FrontMatter())),
		changed("body", lines(p.Body()), lines(q.Body())), changed("partials", partialLines(p), partialLines(q)),
	}
	if a.format != formatTable {
		return a.printJSON(d)
	}
	text := d.FrontMatter + d.Body + d.Partials
	if text == "" {
		a.term.printf("%s and %s do not differ\n", fromName, toName)
		return nil
	}
	return a.printText(text)
}

// lines ends a text as a file does.
func lines(s string) string {
	if s == "" {
		return ""
	}
	return s + "\n"
}

// partialLines has a line for each partial, so that one that has changed itself is seen.
func partialLines(p *prompts.Prompt) string {
	var b strings.Builder
	for _, part := range partialsOf(p) {
		fmt.Fprintf(&b, "%s %s\n", part.Prompt, shortHash(part.Hash))
	}
	return b.String()
}

func (a *app) renderPrompt(dir, arg, file string, vars []string) error {
	p, _, err := a.prompt(dir, arg)
	if err != nil {
		return err
	}
	values, err := a.promptVars(p, file, vars)
	if err != nil {
		return err
	}
	text, err := p.Render(values)
	if err != nil {
		return usage(err)
	}
	if a.format == formatTable {
		return a.printText(text)
	}
	return a.printJSON(struct {
		Name       string         `json:"name"`
		Version    string         `json:"version,omitempty"`
		Hash       string         `json:"hash"`
		Model      string         `json:"model,omitempty"`
		Parameters prompts.Params `json:"parameters,omitzero"`
		Text       string         `json:"text"`
	}{p.Name(), p.Version(), p.Hash(), p.Model(), p.Params(), text})
}

// promptVars are the variables that the user gives, by a file and one by one.
func (a *app) promptVars(p *prompts.Prompt, file string, vars []string) (map[string]any, error) {
	values := map[string]any{}
	if file != "" {
		if err := a.readVars(file, values); err != nil {
			return nil, err
		}
	}
	given := map[string]bool{}
	for _, x := range vars {
		name, text, ok := strings.Cut(x, "=")
		if !ok || name == "" {
			return nil, usagef("--var %q is no variable; write NAME=VALUE", x)
		}
		if given[name] {
			return nil, usagef("--var has %s twice", name)
		}
		given[name] = true
		values[name] = text
		i := slices.IndexFunc(p.Variables(), func(v prompts.Variable) bool { return v.Name == name })
		if i >= 0 && p.Variables()[i].Type != prompts.String && json.Valid([]byte(text)) {
			values[name] = json.RawMessage(text) // what is no JSON is a text of the wrong type
		}
	}
	return values, nil
}

func (a *app) readVars(file string, values map[string]any) error {
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(a.in)
	} else {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return usagef("read variables: %w", err)
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil || object == nil {
		return usagef("the variables in %s must be a JSON object, such as {\"service\": \"checkout\"}%s", file, prefixed(": ", errorText(err)))
	}
	for name, v := range object {
		values[name] = v
	}
	return nil
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
