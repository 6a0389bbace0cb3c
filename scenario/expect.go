package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/agentrun-dev/agentrun/models"
)

// How a run may have ended, or not.
const (
	Completed = "completed"
	Failed    = "failed"
	Waiting   = "waiting" // for a person
	Cancelled = "cancelled"
)

var statuses = []string{Completed, Failed, Waiting, Cancelled}

// expect reports what is wrong with the expectations.
func (c checker) expect() {
	e := c.Expect
	if e == nil {
		return
	}
	if c.places.has("expect", "status") && !slices.Contains(statuses, e.Status) {
		c.at("the status %s is not known; use %s", []any{quote(e.Status), strings.Join(statuses, ", ")}, "expect", "status")
	}
	if o := e.Output; o != nil {
		for i, text := range o.Contains {
			if text == "" {
				c.empty("expect", "output", "contains", i)
			}
		}
		if _, err := regexp.Compile(o.Matches); err != nil {
			c.at("%v; the syntax is that of RE2, and \\ is itself in single quotes only", []any{err}, "expect", "output", "matches")
		}
		c.schema(o.Schema, "expect", "output", "schema")
	}
	if t := e.Tools; t != nil {
		called := c.names(t.Called, "expect", "tools", "called")
		c.names(t.NotCalled, "expect", "tools", "notCalled")
		for i, name := range t.NotCalled {
			if name != "" && called[name] {
				c.at("%s is expected both to be called and not to be; keep one", []any{quote(name)}, "expect", "tools", "notCalled", i)
			}
		}
	}
	if t := e.Turns; t != nil && t.Max != nil && *t.Max < 0 {
		c.at("max must be at least 0", nil, "expect", "turns", "max")
	}
	if e.Approvals != nil && *e.Approvals < 0 {
		c.at("approvals must be at least 0", nil, "expect", "approvals")
	}
}

// Result is what is known of a run when it has ended, or waits for a person.
type Result struct {
	// Status is [Completed], [Failed], [Waiting] or [Cancelled].
	Status string
	// Output is the text that the team answered, or JSON.
	Output string
	// Tools says how often each tool was called.
	Tools map[string]int
	// Turns counts the turns of all models together.
	Turns int
	// Approvals counts the requests that were decided upon.
	Approvals int
}

// Failure is an expectation that does not hold.
type Failure struct {
	// Problem says where the expectation is, and what is instead.
	Problem
	// Expectation is its key, such as output.contains.
	Expectation string
}

// Verify returns the expectations that do not hold for a result, in the order of [Expect]'s fields.
func (s *Scenario) Verify(r Result) []Failure {
	if s.Expect == nil {
		return nil
	}
	v := &verifier{scenario: s}
	e := s.Expect
	if e.Status != "" && e.Status != r.Status {
		v.fail([]any{"status"}, "the status is %s, expected %s", r.Status, e.Status)
	}
	if e.Output != nil {
		v.output(e.Output, r.Output)
	}
	if e.Tools != nil {
		for i, name := range e.Tools.Called {
			if r.Tools[name] == 0 {
				v.fail([]any{"tools", "called", i}, "the tool %s was not called", name)
			}
		}
		for i, name := range e.Tools.NotCalled {
			if n := r.Tools[name]; n > 0 {
				v.fail([]any{"tools", "notCalled", i}, "the tool %s was called (number of calls: %d), expected none", name, n)
			}
		}
	}
	if e.Turns != nil && e.Turns.Max != nil && r.Turns > *e.Turns.Max {
		v.fail([]any{"turns", "max"}, "the number of turns is %d, expected at most %d", r.Turns, *e.Turns.Max)
	}
	if e.Approvals != nil && r.Approvals != *e.Approvals {
		v.fail([]any{"approvals"}, "the number of approvals is %d, expected %d", r.Approvals, *e.Approvals)
	}
	return v.failures
}

// verifier collects failures.
type verifier struct {
	scenario *Scenario
	failures []Failure
}

// fail reports that the expectation at a path below expect does not hold.
func (v *verifier) fail(path []any, format string, args ...any) {
	p := &problems{file: v.scenario.path}
	p.add(v.scenario.places.find(append([]any{"expect"}, path...)...).position, format, args...)
	var keys []string
	for _, key := range path {
		if name, ok := key.(string); ok {
			keys = append(keys, name)
		}
	}
	v.failures = append(v.failures, Failure{Problem: p.list[0], Expectation: strings.Join(keys, ".")})
}

func (v *verifier) output(e *ExpectOutput, output string) {
	shown := models.OneLine(output, 200)
	for i, text := range e.Contains {
		if !strings.Contains(output, text) {
			v.fail([]any{"output", "contains", i}, "the output does not contain %s: it is %q", quote(text), shown)
		}
	}
	if e.Matches != "" {
		pattern, err := regexp.Compile(e.Matches)
		switch {
		case err != nil: // a scenario that was not parsed
			v.fail([]any{"output", "matches"}, "%v", err)
		case !pattern.MatchString(output):
			v.fail([]any{"output", "matches"}, "the output does not match %s: it is %q", quote(e.Matches), shown)
		}
	}
	if e.Equals != nil && !equals(e.Equals, output) {
		v.fail([]any{"output", "equals"}, "the output is not %s: it is %q", models.OneLine(string(e.Equals), 200), shown)
	}
	if e.Schema != nil {
		if problem := fits(e.Schema, output); problem != "" {
			v.fail([]any{"output", "schema"}, "%s: it is %q", problem, shown)
		}
	}
}

// fits says how an output does not fit a schema, or "".
func fits(schema json.RawMessage, output string) string {
	compiled, err := compile(schema)
	if err != nil { // a scenario that was not parsed
		return fmt.Sprintf("the schema is invalid: %v", err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(output))
	if err != nil {
		return "the output is not JSON"
	}
	err = compiled.Validate(value)
	if err == nil {
		return ""
	}
	invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
	if !ok {
		return err.Error()
	}
	invalid = violation(invalid)
	where := "the output"
	if len(invalid.InstanceLocation) > 0 {
		where = strings.Join(invalid.InstanceLocation, ".") + " in the output"
	}
	return fmt.Sprintf("%s does not fit the schema: %s", where, invalid.ErrorKind.LocalizedString(english))
}

// equals reports whether an output is the wanted value: the text itself, or JSON of that value.
func equals(want json.RawMessage, output string) bool {
	var wanted, got any
	if decodeExact(want, &wanted) != nil {
		return false
	}
	if text, ok := wanted.(string); ok && strings.TrimSpace(text) == strings.TrimSpace(output) {
		return true
	}
	return decodeExact([]byte(output), &got) == nil && same(wanted, got)
}

// decodeExact decodes one JSON value, keeping its numbers as they are written.
func decodeExact(data []byte, v *any) error {
	if !json.Valid(data) {
		return errors.New("not JSON")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return d.Decode(v)
}

// same compares JSON values. Numbers are compared by value: 1.0 is 1, and long whole numbers count
// to the last digit.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, ok := b[key]; !ok || !same(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok || a == b {
			return ok
		}
		if isWhole(a) && isWhole(b) {
			return a == "-0" && b == "0" || a == "0" && b == "-0"
		}
		x, errX := strconv.ParseFloat(string(a), 64)
		y, errY := strconv.ParseFloat(string(b), 64)
		return errX == nil && errY == nil && x == y
	}
	return a == b
}

// isWhole reports whether a number is written as a whole one.
func isWhole(n json.Number) bool { return !strings.ContainsAny(string(n), ".eE") }
