package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Limits that apply unless [MaxArguments], [MaxResult] or [MaxImages] say otherwise.
const (
	DefaultMaxArguments = 1 << 20   // bytes of arguments, 1 MiB
	DefaultMaxResult    = 256 << 10 // bytes of a result's content, 256 KiB
	DefaultMaxImages    = 5 << 20   // bytes of a result's images together, 5 MiB
)

// MaxWhole is how many bytes of a result are kept to be read on, 16 MiB. What comes after is dropped, and the last
// line says so.
const MaxWhole = 16 << 20

// namePattern is what the OpenAI API accepts as a function name; other providers accept at least this.
var namePattern = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

// Tool is a function that a model can call. Make one with [New] or [Raw].
//
// A Tool is an immutable value: copy it freely and use it from many goroutines at once. The zero Tool has no
// name and every call of it fails.
type Tool struct {
	def *definition
}

// definition is what a Tool points to. The type parameters of New end here: it deals in bytes only.
type definition struct {
	name, description string
	schema            json.RawMessage
	compiled          *jsonschema.Schema
	effect            Effect
	effectSet         bool
	undo              *Tool
	approval          *Approval
	timeout           time.Duration
	maxArguments      int
	maxResult         int
	maxImages         int
	maxConcurrent     int
	rate              rate
	reconcile         *reconciler
	bound             any
	fillDefaults      bool

	in, out reflect.Type
	// decode turns canonical arguments into a value of type in.
	decode func(args []byte) (any, error)
	// run calls the function with such a value.
	run func(ctx context.Context, in any) (any, error)
}

// New makes a tool from a function. Its schema is derived from In, which must be a struct type (use struct{} for
// a tool without arguments).
//
// What the function returns is shown to the model: a string as it is, a [Result] as it is, any other type as
// JSON, and nothing ("", null, struct{}) as "(no output)".
//
// fn may be called from many goroutines at once. New panics on a wrong registration: a name that does not match
// ^[a-zA-Z0-9_-]{1,64}$, an In that is no struct or has no JSON Schema, or options that contradict each other.
func New[In, Out any](name, description string, fn func(ctx context.Context, in In) (Out, error), opts ...Option) Tool {
	d := &definition{
		name: name, description: description,
		in: reflect.TypeFor[In](), out: reflect.TypeFor[Out](),
		fillDefaults: true,
		decode:       decode[In],
		run:          func(ctx context.Context, in any) (any, error) { return fn(ctx, in.(In)) },
	}
	schema, err := reflectSchema(d.in)
	if err == nil && fn == nil {
		err = errors.New("the function is nil")
	}
	if err == nil {
		err = d.finish(schema, opts)
	}
	if err != nil {
		panic(fmt.Sprintf("tools.New(%q): %v", name, err))
	}
	return Tool{d}
}

// Raw makes a tool from a JSON Schema that is known only at run time. fn gets the arguments in canonical form,
// after they were checked against the schema. References in the schema must stay inside it: nothing is read from
// files or the network.
//
// Unlike [New] it returns an error for a wrong name, schema or option, since these come from outside the program.
// Its Reconcile function is one for [json.RawMessage] and [Result].
func Raw(name, description string, schema json.RawMessage, fn func(ctx context.Context, arguments json.RawMessage) (Result, error), opts ...Option) (Tool, error) {
	d := &definition{
		name: name, description: description,
		in: reflect.TypeFor[json.RawMessage](), out: reflect.TypeFor[Result](),
		decode: func(args []byte) (any, error) { return json.RawMessage(args), nil },
		run:    func(ctx context.Context, in any) (any, error) { return fn(ctx, in.(json.RawMessage)) },
	}
	if fn == nil {
		return Tool{}, fmt.Errorf("tool %q: the function is nil", name)
	}
	if err := d.finish(schema, opts); err != nil {
		return Tool{}, fmt.Errorf("tool %q: %w", name, err)
	}
	return Tool{d}, nil
}

// finish checks the registration, applies the options and compiles the schema.
func (d *definition) finish(schema json.RawMessage, opts []Option) error {
	if !namePattern.MatchString(d.name) {
		return fmt.Errorf("invalid name: it must match %s", namePattern)
	}
	d.maxArguments, d.maxResult, d.maxImages = DefaultMaxArguments, DefaultMaxResult, DefaultMaxImages
	for _, opt := range opts {
		if err := opt(d); err != nil {
			return err
		}
	}
	compiled, err := compileSchema(schema)
	if err != nil {
		return err
	}
	if d.fillDefaults {
		if err := checkDefaults(compiled, ""); err != nil {
			return err
		}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, schema); err != nil {
		return fmt.Errorf("invalid schema: %w", err)
	}
	d.compiled, d.schema = compiled, compact.Bytes()
	return d.fits()
}

// fits checks that what the options declare goes together.
func (d *definition) fits() error {
	if d.reconcile != nil {
		if err := d.reconcile.fits(d); err != nil {
			return err
		}
	}
	if d.undo != nil && !bytes.Equal(d.undo.def.schema, d.schema) {
		return fmt.Errorf("its undo %q takes other arguments: an undo is called with the arguments of the call that it takes back", d.undo.Name())
	}
	return nil
}

// decode decodes into a tool's own type. Unknown fields cannot get here through a derived schema, but they can
// through a type that brings its own.
func decode[In any](args []byte) (any, error) {
	var in In
	dec := json.NewDecoder(bytes.NewReader(args))
	dec.DisallowUnknownFields()
	err := dec.Decode(&in)
	return in, err
}

// empty stands in for the definition of a zero Tool.
var empty = &definition{}

func (t Tool) d() *definition {
	if t.def == nil {
		return empty
	}
	return t.def
}

// Name returns the name by which the model calls the tool.
func (t Tool) Name() string { return t.d().name }

// Description returns what the model is told about the tool.
func (t Tool) Description() string { return t.d().description }

// Schema returns the JSON Schema of the arguments as compact JSON. The bytes are the same in every process that
// is built from the same code. The caller may keep and change them.
func (t Tool) Schema() json.RawMessage { return bytes.Clone(t.d().schema) }

// Effect returns what repeating a call does. It is [EffectUnsafe] for a tool that declares nothing.
func (t Tool) Effect() Effect { return t.d().effect }

// Timeout returns how long a call may take, or 0 if there is no limit.
func (t Tool) Timeout() time.Duration { return t.d().timeout }

// MaxConcurrent returns how many calls may run at once, or 0 if there is no limit (see [MaxConcurrent]).
func (t Tool) MaxConcurrent() int { return t.d().maxConcurrent }

// RateLimit returns how many calls may start in which time, or zeros if there is no limit (see [RateLimit]).
func (t Tool) RateLimit() (calls int, per time.Duration) { return t.d().rate.calls, t.d().rate.per }

// Approval returns what a person must decide before a call, or nil if nobody has to. The caller owns the value.
func (t Tool) Approval() *Approval {
	if t.d().approval == nil {
		return nil
	}
	return t.d().approval.clone()
}

// Undo returns the tool that takes a call of this one back, and whether there is one (see [Compensable]).
func (t Tool) Undo() (Tool, bool) {
	if t.d().undo == nil {
		return Tool{}, false
	}
	return *t.d().undo, true
}

// Binding returns what the tool is bound to, or nil (see [Bound]).
func (t Tool) Binding() any { return t.d().bound }

// HasReconcile reports whether the tool can be asked about a call whose outcome is unknown.
func (t Tool) HasReconcile() bool { return t.d().reconcile != nil }

// Index maps tools by name. It returns an error if two have the same name or if one is the zero Tool.
func Index(ts []Tool) (map[string]Tool, error) {
	byName := make(map[string]Tool, len(ts))
	for i, t := range ts {
		if t.def == nil {
			return nil, fmt.Errorf("tool %d is the zero Tool: make tools with tools.New or tools.Raw", i)
		}
		if _, ok := byName[t.Name()]; ok {
			return nil, fmt.Errorf("duplicate tool name %q: give each tool a name of its own", t.Name())
		}
		byName[t.Name()] = t
	}
	return byName, nil
}
