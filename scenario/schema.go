package scenario

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
)

//go:embed schema.json
var schemaJSON []byte

// Schema returns the JSON Schema (2020-12) of the format, for editors and other tools. [Parse] checks
// more than a schema can say.
func Schema() []byte { return slices.Clone(schemaJSON) }

// schemaURL names a schema inside its own compiler. It is never fetched.
const schemaURL = "agentrun://scenario/schema.json"

// noLoader refuses references that leave the schema.
type noLoader struct{}

func (noLoader) Load(string) (any, error) {
	return nil, errors.New("it refers to another document; put the definition into $defs")
}

// compile compiles a schema of a scenario.
func compile(schema json.RawMessage) (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat() // since draft 2019 a format is a mere remark otherwise
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// violation returns the violation that says most: the deepest in the value. The validator walks maps,
// in any order, so that ties are broken by what they say.
func violation(err *jsonschema.ValidationError) *jsonschema.ValidationError {
	best := err
	for _, cause := range err.Causes {
		v := violation(cause)
		if len(best.Causes) > 0 || moreTelling(v, best) {
			best = v
		}
	}
	return best
}

func moreTelling(a, b *jsonschema.ValidationError) bool {
	_, typeA := a.ErrorKind.(*kind.Type)
	_, typeB := b.ErrorKind.(*kind.Type)
	switch {
	case len(a.InstanceLocation) != len(b.InstanceLocation):
		return len(a.InstanceLocation) > len(b.InstanceLocation)
	case typeA != typeB: // of "string or list" and "one of these words", the words help more
		return typeB
	}
	say := func(e *jsonschema.ValidationError) string {
		return strings.Join(e.InstanceLocation, "/") + e.ErrorKind.LocalizedString(english)
	}
	return say(a) < say(b)
}
