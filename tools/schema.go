package tools

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// reflectSchema derives the JSON Schema of a tool's struct type.
func reflectSchema(t reflect.Type) (json.RawMessage, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("its input type %s is not a struct (use struct{} for a tool without arguments)", t)
	}
	if err := checkType(t, t.String(), nil); err != nil {
		return nil, err
	}
	r := &jsonschema.Reflector{Anonymous: true, DoNotReference: true, Mapper: mapType}
	schema := r.ReflectFromType(t)
	schema.Version = "" // models need not read it; compileSchema fixes the draft
	relaxPointers(schema, t)
	return json.Marshal(schema)
}

// A type that writes its own schema is taken at its word.
type (
	hasSchema interface{ JSONSchema() *jsonschema.Schema }
	hasAlias  interface{ JSONSchemaAlias() any }
)

func hasOwnSchema(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[hasSchema]()) || t.Implements(reflect.TypeFor[hasAlias]())
}

// mapType corrects what the reflector says of types whose JSON is not that of their kind.
func mapType(t reflect.Type) *jsonschema.Schema {
	if hasOwnSchema(t) {
		return nil
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return nil // the reflector knows its format
	case reflect.TypeFor[json.Number]():
		return &jsonschema.Schema{Type: "number"}
	case reflect.TypeFor[net.IP]():
		return &jsonschema.Schema{Type: "string", AnyOf: []*jsonschema.Schema{{Format: "ipv4"}, {Format: "ipv6"}}}
	}
	switch {
	case reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()):
		return &jsonschema.Schema{} // any value: only the type knows
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return &jsonschema.Schema{Type: "string"}
	}
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &jsonschema.Schema{Type: "integer", Minimum: "0"}
	}
	return nil
}

// opaque reports whether a type's fields and elements are none of our business.
func opaque(t reflect.Type) bool {
	return t == reflect.TypeFor[time.Time]() || hasOwnSchema(t) || mapType(t) != nil
}

// checkType refuses types that no JSON decodes into, and recursive ones, whose inlined schema would be infinite.
func checkType(t reflect.Type, path string, above []reflect.Type) error {
	if t == reflect.TypeFor[url.URL]() {
		return fmt.Errorf("%s is a url.URL, which JSON does not decode into: use a string with jsonschema:\"format=uri\"", path)
	}
	if opaque(t) {
		return nil
	}
	if slices.Contains(above, t) {
		return fmt.Errorf("%s contains its own type %s: use tools.Raw with a schema written by hand", path, t)
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return checkType(t.Elem(), path, append(above, t))
	case reflect.Map:
		if key := t.Key().Kind(); key != reflect.String && !(reflect.Int <= key && key <= reflect.Int64) {
			return fmt.Errorf("%s is a map with keys of type %s: use string keys", path, t.Key())
		}
		return checkType(t.Elem(), path, append(above, t))
	case reflect.Struct:
		for f := range t.Fields() {
			if f.Tag.Get("json") == "-" || f.PkgPath != "" && !f.Anonymous {
				continue
			}
			if err := checkType(f.Type, path+"."+f.Name, append(above, t)); err != nil {
				return err
			}
		}
	case reflect.Interface:
		if t.NumMethod() > 0 {
			return fmt.Errorf("%s is the interface %s: JSON decodes only into concrete types or any", path, t)
		}
	case reflect.Chan, reflect.Func, reflect.Complex64, reflect.Complex128, reflect.Uintptr, reflect.UnsafePointer:
		return fmt.Errorf("%s has type %s, which JSON cannot carry", path, t)
	}
	return nil
}

// relaxPointers makes fields of pointer type optional, since they have a way to say that nothing was given. A
// jsonschema tag with "required" overrules it.
func relaxPointers(s *jsonschema.Schema, t reflect.Type) {
	if s == nil {
		return
	}
	if t.Kind() != reflect.Pointer && opaque(t) {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		relaxPointers(s, t.Elem())
	case reflect.Slice, reflect.Array:
		relaxPointers(s.Items, t.Elem())
	case reflect.Map:
		relaxPointers(s.AdditionalProperties, t.Elem())
		for _, p := range s.PatternProperties {
			relaxPointers(p, t.Elem())
		}
	case reflect.Struct:
		for f := range t.Fields() {
			relaxField(s, f)
		}
	}
}

func relaxField(s *jsonschema.Schema, f reflect.StructField) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" && f.Anonymous {
		relaxPointers(s, f.Type) // its fields are the outer struct's
		return
	}
	if name == "" {
		name = f.Name
	}
	if s.Properties == nil {
		return
	}
	property, ok := s.Properties.Get(name)
	if !ok {
		return
	}
	if f.Type.Kind() == reflect.Pointer && !slices.Contains(strings.Split(f.Tag.Get("jsonschema"), ","), "required") {
		s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == name })
	}
	if len(property.OneOf) == 2 && property.Type == "" && property.OneOf[1].Type == "null" {
		property = property.OneOf[0] // what the reflector makes of jsonschema:"nullable"
	}
	relaxPointers(property, f.Type)
}
