package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// maxProblems bounds how many problems an ArgumentError lists. A model corrects what it is told and tries again.
const maxProblems = 10

// schemaURL names a tool's schema inside its own compiler. It is never fetched.
const schemaURL = "agentrun://tool/schema.json"

// noLoader refuses references that leave the schema.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, errors.New("a tool's schema must not refer to other documents: put the definition into $defs")
}

// compileSchema compiles a schema and checks that it describes an object, which is what every model API asks for.
func compileSchema(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(schema)))
	if err != nil {
		return nil, fmt.Errorf("invalid schema: not valid JSON: %w", err)
	}
	if root, ok := doc.(map[string]any); !ok || root["type"] != "object" {
		return nil, errors.New(`invalid schema: it must be a JSON object with "type": "object"`)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat() // since draft 2019 a format is a mere remark otherwise
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, fmt.Errorf("invalid schema: %w", err)
	}
	compiled, err := c.Compile(schemaURL)
	if err != nil {
		return nil, fmt.Errorf("invalid schema: %s", oneLine(err.Error()))
	}
	return compiled, nil
}

// prepare checks arguments and decodes them. Its errors are *ArgumentError, and *PanicError where the input type
// has an UnmarshalJSON that panics.
func (d *definition) prepare(arguments string) (in any, err error) {
	defer func() {
		if v := recover(); v != nil {
			in, err = nil, &PanicError{Tool: d.name, Value: v, Stack: trimStack(string(debug.Stack()))}
		}
	}()
	bad := func(problems ...string) error { return &ArgumentError{Tool: d.name, Problems: problems} }
	if len(arguments) > d.maxArguments {
		return nil, bad(fmt.Sprintf("%d bytes of arguments are too long, the limit is %d", len(arguments), d.maxArguments))
	}
	v, err := parse(arguments)
	if err != nil {
		return nil, bad(oneLine(err.Error()))
	}
	if err := d.compiled.Validate(v); err != nil {
		invalid, ok := errors.AsType[*jsonschema.ValidationError](err)
		if !ok {
			return nil, bad(oneLine(err.Error()))
		}
		return nil, bad(d.problems(invalid)...)
	}
	if d.fillDefaults {
		fillDefaults(d.compiled, v)
	}
	in, err = d.decode(appendCanonical(nil, v))
	if err != nil {
		return nil, bad(decodeProblem(err))
	}
	return in, nil
}

// decodeProblem describes what the schema let through and Go's types do not, such as 300 for an int8.
func decodeProblem(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		var path []string
		if wrong.Field != "" {
			path = strings.Split(wrong.Field, ".")
		}
		return fmt.Sprintf("%s: %s does not fit into %s", pointer(path), wrong.Value, wrong.Type)
	}
	return oneLine(strings.TrimPrefix(err.Error(), "json: "))
}

// problems lists the leaves of a validation error, which name the fields.
func (d *definition) problems(err *jsonschema.ValidationError) []string {
	found := map[string]bool{}
	var walk func(e *jsonschema.ValidationError)
	walk = func(e *jsonschema.ValidationError) {
		if len(e.Causes) == 0 {
			for _, p := range d.describe(e) {
				found[p] = true
			}
		}
		for _, cause := range e.Causes {
			walk(cause)
		}
	}
	walk(err)
	list := slices.Sorted(maps.Keys(found)) // the validator walks maps, in any order
	if more := len(list) - maxProblems; more > 0 {
		list = append(list[:maxProblems], fmt.Sprintf("and %d more", more))
	}
	return list
}

// describe words one violation: where, and what was expected there.
func (d *definition) describe(e *jsonschema.ValidationError) []string {
	at := e.InstanceLocation
	field := func(name string) string { return pointer(append(slices.Clone(at), name)) }
	parent := find(d.compiled, at)
	switch k := e.ErrorKind.(type) {
	case *kind.Required:
		list := make([]string, 0, len(k.Missing))
		for _, name := range k.Missing {
			list = append(list, fmt.Sprintf("%s: missing, %s is required", field(name), expected(parent, name)))
		}
		return list
	case *kind.AdditionalProperties:
		list := make([]string, 0, len(k.Properties))
		for _, name := range k.Properties {
			list = append(list, fmt.Sprintf("%s: unknown field%s", field(name), known(parent)))
		}
		return list
	case *kind.Type:
		return []string{fmt.Sprintf("%s: expected %s, got %s", pointer(at), strings.Join(k.Want, " or "), k.Got)}
	case *kind.Minimum:
		return []string{fmt.Sprintf("%s: must be at least %s", pointer(at), k.Want.RatString())}
	case *kind.Maximum:
		return []string{fmt.Sprintf("%s: must be at most %s", pointer(at), k.Want.RatString())}
	default:
		return []string{pointer(at) + ": " + clip(oneLine(k.LocalizedString(english)))}
	}
}

var english = message.NewPrinter(language.English)

// clip keeps values that a problem quotes from filling the model's context.
func clip(s string) string {
	const limit = 300
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// expected names the type of a property, as far as the schema says it in one word.
func expected(parent *jsonschema.Schema, name string) string {
	if parent != nil {
		if p := parent.Properties[name]; p != nil && p.Types != nil && !p.Types.IsEmpty() {
			return strings.Join(p.Types.ToStrings(), " or ")
		}
	}
	return "a value"
}

// known lists the fields that there are, as long as that is short.
func known(parent *jsonschema.Schema) string {
	switch {
	case parent == nil || len(parent.Properties) > 30:
		return ""
	case len(parent.Properties) == 0:
		return ", there are no fields"
	}
	return ", the fields are " + strings.Join(slices.Sorted(maps.Keys(parent.Properties)), ", ")
}

// find returns the subschema for a place in the arguments, or nil where that takes more than properties, items
// and references.
func find(s *jsonschema.Schema, path []string) *jsonschema.Schema {
	for range 8 { // a chain of references may be a circle
		if s == nil || s.Ref == nil {
			break
		}
		s = s.Ref
	}
	if s == nil || len(path) == 0 {
		return s
	}
	if p, ok := s.Properties[path[0]]; ok {
		return find(p, path[1:])
	}
	if _, err := strconv.Atoi(path[0]); err == nil && s.Items2020 != nil {
		return find(s.Items2020, path[1:])
	}
	p, _ := s.AdditionalProperties.(*jsonschema.Schema)
	return find(p, path[1:])
}

// checkDefaults checks that the defaults of a derived schema are values that it accepts.
func checkDefaults(s *jsonschema.Schema, path string) error {
	if s == nil {
		return nil
	}
	for name, p := range s.Properties {
		at := path + "/" + name
		if p.Default != nil {
			if err := p.Validate(*p.Default); err != nil {
				return fmt.Errorf("the default of %s is not a value that the field accepts: check its jsonschema tag", at)
			}
		}
		if err := checkDefaults(p, at); err != nil {
			return err
		}
	}
	return checkDefaults(s.Items2020, path)
}

// fillDefaults adds the defaults of fields that were left out. v is valid under s.
func fillDefaults(s *jsonschema.Schema, v any) {
	if s == nil {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		for name, p := range s.Properties {
			if given, ok := v[name]; ok {
				fillDefaults(p, given)
			} else if p.Default != nil {
				v[name] = *p.Default
			}
		}
	case []any:
		for _, element := range v {
			fillDefaults(s.Items2020, element)
		}
	}
}
