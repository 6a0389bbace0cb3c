package scenario

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

var (
	namePattern  = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)
	agentPattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

	english = message.NewPrinter(language.English)
)

// checker has what the checks of a scenario need: its places, and where to report.
type checker struct {
	*problems
	*Scenario
}

// check reports what is wrong with a scenario that was decoded, and fills in what depends on it:
// prompts, latencies, defaults.
func (p *problems) check(s *Scenario) {
	c := checker{p, s}
	switch {
	case !s.places.has("name"):
		c.at("the scenario has no name; add name: with small letters, digits and -", nil, "name")
	case !namePattern.MatchString(s.Name):
		c.at("the name %s must match %s; use small letters, digits and -", []any{quote(s.Name), namePattern}, "name")
	}
	lines := map[string]int{}
	for i := range s.Agents {
		c.agent(i, lines)
	}
	for name := range s.Toolsets {
		c.toolset(name)
	}
	c.team()
	c.script()
	for name, model := range s.Models {
		if strings.TrimSpace(model) == "" {
			c.empty("models", name)
		}
	}
	for i := range s.Decisions {
		c.decision(i)
	}
	c.expect()
}

// at reports a problem with the value at a path, or with the nearest one above it, unless that is of
// the wrong type: then the check saw a zero value that the file does not have.
func (c checker) at(format string, args []any, path ...any) {
	if at := c.places.find(path...); !at.bad {
		c.add(at.position, format, args...)
	}
}

// empty reports a text that is there and has nothing in it.
func (c checker) empty(path ...any) {
	c.at("%s is empty; fill it in", []any{c.places.find(path...).name}, path...)
}

func (c checker) agent(i int, lines map[string]int) {
	a := &c.Agents[i]
	who := fmt.Sprintf("agent %s", quote(a.Name))
	if !c.places.has("agents", i, "name") {
		who = fmt.Sprintf("agent %d", i+1)
	}
	if line, seen := lines[a.Name]; seen && a.Name != "" {
		here := c.places.find("agents", i, "name").line
		c.at("duplicate agent name %s in lines %d and %d; rename one of them", []any{quote(a.Name), line, here}, "agents", i, "name")
	}
	switch {
	case !c.places.has("agents", i, "name"):
		c.at("%s has no name; add name:", []any{who}, "agents", i, "name")
	case !agentPattern.MatchString(a.Name):
		c.at("the agent name %s must match %s; use letters, digits, _ and -", []any{quote(a.Name), agentPattern}, "agents", i, "name")
	default:
		lines[a.Name] = c.places.find("agents", i, "name").line
	}
	c.instructions(i, who)
	if a.Model == "" && !c.places.has("agents", i, "model") {
		if a.Prompt == "" || a.Instructions != "" { // a prompt that cannot be read may name one
			c.at("%s has no model; add model:, such as openai:gpt-4.1-mini or a name of models", []any{who}, "agents", i, "model")
		}
	} else if a.Model == "" {
		c.empty("agents", i, "model")
	}
	c.names(a.Tools, "agents", i, "tools")
	c.toolsetNames(i)
	c.settings(i)
	c.schema(a.Output, "agents", i, "output")
}

// instructions reads an agent's prompt, if it has one.
func (c checker) instructions(i int, who string) {
	a := &c.Agents[i]
	has := func(key string) bool { return c.places.has("agents", i, key) }
	if has("variables") && !has("prompt") {
		c.at("variables are those of a prompt, and %s has none; add prompt: or remove them", []any{who}, "agents", i, "variables")
	}
	switch {
	case has("instructions") && has("prompt"):
		c.at("%s has both instructions and a prompt; keep one", []any{who}, "agents", i, "prompt")
		return
	case has("prompt"):
	case !has("instructions"):
		c.at("%s has no instructions; add instructions: with a text, or prompt: with a file", []any{who}, "agents", i, "instructions")
		return
	case strings.TrimSpace(a.Instructions) == "":
		c.empty("agents", i, "instructions")
		return
	default:
		return
	}
	if a.Prompt == "" {
		c.empty("agents", i, "prompt")
		return
	}
	prompt, problem := c.readPrompt(a.Prompt)
	if problem != "" {
		c.at("%s", []any{problem}, "agents", i, "prompt")
		return
	}
	variables := make(map[string]any, len(a.Variables))
	for name, v := range a.Variables {
		variables[name] = v
	}
	rendered, err := prompt.Render(variables)
	if err != nil {
		c.at("%v; correct variables:", []any{err}, "agents", i, "variables")
		return
	}
	a.Instructions = rendered
	c.read[i] = prompt
	if !has("model") {
		a.Model = prompt.Model()
	}
}

// names reports names in a list that are empty or there twice, and returns those that are there.
func (c checker) names(names []string, path ...any) map[string]bool {
	seen := make(map[string]bool, len(names))
	for i, name := range names {
		at := append(slices.Clone(path), i)
		switch {
		case name == "":
			c.empty(at...)
		case seen[name]:
			c.at("duplicate name %s; remove one", []any{quote(name)}, at...)
		}
		seen[name] = true
	}
	return seen
}

func (c checker) team() {
	var set []string
	for _, key := range teamKeys {
		if c.places.has("team", key) {
			set = append(set, key)
		}
	}
	switch len(set) {
	case 0:
		if c.places.find("team").typo && c.places.has("team") {
			return // an unknown key is most likely meant to be one of these
		}
		c.at("the scenario does not say who does the work; add team: with one of %s", []any{strings.Join(teamKeys, ", ")}, "team")
		return
	case 1:
	default:
		slices.SortFunc(set, func(a, b string) int {
			x, y := c.places.find("team", a), c.places.find("team", b)
			return (x.line-y.line)*maxSize + x.column - y.column
		})
		c.at("the team has %s; keep one", []any{strings.Join(set, " and ")}, "team", set[1])
		return
	}
	switch t := &c.Team; {
	case set[0] == "agent" && t.Agent == "":
		c.empty("team", "agent")
	case set[0] == "orchestration" && t.Orchestration == "":
		c.empty("team", "orchestration")
	case t.Planner != nil:
		if t.Planner.Agent == "" {
			c.at("the planner has no agent; add agent: with its name", nil, "team", "planner", "agent")
		}
		c.members(t.Planner.Specialists, "team", "planner", "specialists")
		if n := t.Planner.MaxRevisions; n != nil && *n < 0 {
			c.at("maxRevisions must be at least 0", nil, "team", "planner", "maxRevisions")
		}
	case t.Specialists != nil:
		c.members(t.Specialists.Agents, "team", "specialists", "agents")
		if t.Specialists.Join == "" {
			t.Specialists.Join = JoinAll
		}
		if t.Specialists.Join != JoinAll {
			c.at("the join %s is not known; use %s", []any{quote(t.Specialists.Join), JoinAll}, "team", "specialists", "join")
		}
	}
}

var teamKeys, _ = keysOf(reflect.TypeFor[Team]())

// members checks the agents of a team.
func (c checker) members(names []string, path ...any) {
	if len(names) == 0 {
		key := path[len(path)-1]
		c.at("the team has no %s; add %s: with the names of agents", []any{key, key}, path...)
	}
	c.names(names, path...)
}

func (c checker) script() {
	if c.Script == nil {
		return
	}
	if len(c.Script.Answers) == 0 {
		c.at("the script has no answers; add answers:, or remove script:", nil, "script", "answers")
	}
	for i := range c.Script.Answers {
		e := &c.Script.Answers[i]
		at := c.places.find("script", "answers", i)
		if err := e.Validate(); err != nil && !at.spoiled() {
			c.add(at.position, "%v", err)
		}
		if !c.places.has("script", "answers", i, "latency") {
			e.Latency = c.Script.Latency
		}
	}
}

func (c checker) decision(i int) {
	d := &c.Decisions[i]
	if d.Tool == "" && d.Agent == "" && d.Question == "" {
		c.at("the decision does not say for which request; add tool:, agent: or question:", nil, "decisions", i)
	}
	switch d.Decide {
	case Approve:
	case Reject, Wait:
		if d.Arguments != nil {
			c.at("arguments are for approve only, and this is %s; remove them", []any{d.Decide}, "decisions", i, "arguments")
		}
	case "":
		c.at("the decision decides nothing; add decide: with approve, reject or wait", nil, "decisions", i, "decide")
	default:
		c.at("the decision %s is not known; use approve, reject or wait", []any{quote(d.Decide)}, "decisions", i, "decide")
	}
	if d.Arguments != nil && d.Arguments[0] != '{' {
		c.at("arguments must be keys with values, as the tool takes them", nil, "decisions", i, "arguments")
	}
	if d.As == "" {
		d.As = DefaultDecider
	}
}

// schema reports what is wrong with a JSON Schema, at the place inside of it if that is known.
func (c checker) schema(schema json.RawMessage, path ...any) {
	if schema == nil {
		return
	}
	if schema[0] != '{' {
		c.at("a JSON Schema must be keys with values, such as type: object", nil, path...)
		return
	}
	_, err := compile(schema)
	if err == nil {
		return
	}
	if meta, ok := errors.AsType[*jsonschema.SchemaValidationError](err); ok {
		if invalid, ok := errors.AsType[*jsonschema.ValidationError](meta.Err); ok {
			invalid = violation(invalid)
			for _, key := range invalid.InstanceLocation {
				path = append(path, key)
			}
			c.at("invalid JSON Schema: %s; correct it", []any{invalid.ErrorKind.LocalizedString(english)}, path...)
			return
		}
	}
	c.at("invalid JSON Schema: %s; correct it", []any{strings.ReplaceAll(err.Error(), schemaURL, "")}, path...)
}
