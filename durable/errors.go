package durable

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// ErrorType makes errors of the type E survive storage: where one is in the chain
// of an error that an activity, orchestration or entity operation fails with,
// errors.As finds it again in what Call, Await and Wait give, at any depth and in
// any process that has the same definition.
//
//	durable.ErrorType[*CardDeclined]("card_declined")
//
// The value travels as JSON, so only what encoding/json writes of it comes back:
// its exported fields, or what its MarshalJSON gives. The name is the failure's
// type from then on ([TaskFailedError.Type]), which histories and other languages
// see: keep it when the Go type is renamed. A value that has no JSON form, or does
// not decode, is not found by errors.As; the failure's text says so and keeps its
// own message.
//
// It panics if the name is empty or the engine's own, or E is an interface.
func ErrorType[E error](name string) Definition {
	t := reflect.TypeFor[E]()
	checkErrorName(name)
	if t.Kind() == reflect.Interface {
		panic(fmt.Sprintf("durable: error type %q: %s is an interface; name the type of its values", name, t))
	}
	return &errorDef{name: name, typ: t, decode: func(text []byte) (error, error) {
		var e E
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, err
		}
		if v := reflect.ValueOf(e); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, errors.New("it is null")
		}
		return e, nil
	}}
}

// ErrorValue makes a sentinel survive storage as [ErrorType] makes a type: what
// errors.Is(err, value) is true of before, it is true of afterwards.
//
//	durable.ErrorValue("sold_out", ErrSoldOut)
//
// It panics if the name is empty or the engine's own, or value cannot be compared.
func ErrorValue(name string, value error) Definition {
	checkErrorName(name)
	if value == nil || !reflect.TypeOf(value).Comparable() {
		panic(fmt.Sprintf("durable: error value %q: %#v cannot be found by errors.Is", name, value))
	}
	return &errorDef{name: name, value: value}
}

// checkErrorName keeps a registered error from looking like one of the engine's.
func checkErrorName(name string) {
	switch name {
	case "", NonDeterminism, engine.UnknownOutcome:
		panic(fmt.Sprintf("durable: %q is no name for an error: choose one that is yours", name))
	}
}

// errorDef is a registered error: of a type, or one value.
type errorDef struct {
	name   string
	typ    reflect.Type
	decode func(text []byte) (e, problem error)
	value  error
}

func (d *errorDef) define(r *registry) error { return r.errors.add(d) }

// Properties of a failure that is of a registered type. The value is a string that
// holds JSON: as a value of the protocol its numbers would lose digits.
const (
	valueProperty   = "value"
	problemProperty = "valueProblem" // why there is none
)

// errorTable is the registered errors of a runtime or client. A nil one has none.
type errorTable struct {
	byName map[string]*errorDef
	byType map[reflect.Type]*errorDef
	values []*errorDef
}

func (t *errorTable) add(d *errorDef) error {
	if t.byName == nil {
		t.byName, t.byType = map[string]*errorDef{}, map[reflect.Type]*errorDef{}
	}
	if first, err := add(t.byName, "error", d.name, d); !first {
		return err
	}
	if d.typ == nil {
		t.values = append(t.values, d)
		return nil
	}
	if old := t.byType[d.typ]; old != nil {
		return fmt.Errorf("error type %s has two names, %q and %q", d.typ, old.name, d.name)
	}
	t.byType[d.typ] = d
	return nil
}

// find gives the definition that one error of a chain is of, or nil.
func (t *errorTable) find(err error) *errorDef {
	if t == nil || len(t.byName) == 0 {
		return nil
	}
	typ := reflect.TypeOf(err)
	for _, d := range t.values {
		if typ == reflect.TypeOf(d.value) && err == d.value {
			return d
		}
	}
	if d := t.byType[typ]; d != nil {
		return d // whose own Is, if it has one, is asked afterwards too
	}
	if is, ok := err.(interface{ Is(error) bool }); ok {
		for _, d := range t.values {
			if is.Is(d.value) {
				return d
			}
		}
	}
	return nil
}

// describe puts a registered error into its failure.
func (d *errorDef) describe(f *history.Failure, err error) {
	f.Type = d.name
	if d.typ == nil {
		return
	}
	property, text := valueProperty, ""
	if b, problem := json.Marshal(err); problem == nil {
		text = string(b)
	} else {
		property, text = problemProperty, fmt.Sprintf("the error's value is lost: %T has no JSON form: %v", err, problem)
	}
	quoted, _ := json.Marshal(text) // a string always has a JSON form
	f.Properties = map[string]json.RawMessage{property: quoted}
}

// restore gives a failure's registered error, or why it cannot be had.
func (t *errorTable) restore(f *history.Failure) (problem string, value error) {
	if t == nil || t.byName[f.Type] == nil {
		return "", nil
	}
	d := t.byName[f.Type]
	if d.typ == nil {
		return "", d.value
	}
	var text string
	if p, ok := f.Properties[problemProperty]; ok && json.Unmarshal(p, &text) == nil {
		return text, nil
	}
	p, ok := f.Properties[valueProperty]
	if !ok {
		return fmt.Sprintf("the error's value is lost: the failure of type %s came without one", f.Type), nil
	}
	err := json.Unmarshal(p, &text)
	if err == nil {
		value, err = d.decode([]byte(text))
	}
	if err != nil {
		return fmt.Sprintf("the error's value is lost: it does not decode into %s: %v", d.typ, err), nil
	}
	return "", value
}

// failure makes what travels from an error. A tree of errors (errors.Join, several
// %w) becomes a chain of causes, in the order in which errors.As visits the tree.
func (t *errorTable) failure(err error) *history.Failure {
	return t.chain(err, maxCauses)
}

// maxCauses bounds a chain of causes; that of package history is the same.
const maxCauses = 64

func (t *errorTable) chain(err error, room int) *history.Failure {
	if err == nil || room == 0 {
		return nil
	}
	f := &history.Failure{}
	var n *nonRetriable
	f.NonRetriable = errors.As(err, &n)
	if n, ok := err.(*nonRetriable); ok {
		err = n.error
	}
	if e, ok := err.(*history.Failure); ok {
		c := *e
		if e.Cause != nil {
			c.Cause = t.chain(e.Cause, room-1)
		}
		return &c
	}
	f.Message = strings.ToValidUTF8(err.Error(), "�")
	switch e := err.(type) {
	case *TaskFailedError:
		f.Message = strings.ToValidUTF8(e.text(), "�")
		f.Type, f.Stack, f.NonRetriable, f.Properties = e.Type, e.Stack, f.NonRetriable || e.NonRetriable, e.properties
		f.Cause = t.chain(e.Cause, room-1)
		return f
	case *unknownOutcome:
		f.Type, f.NonRetriable = engine.UnknownOutcome, true
		f.Cause = t.registered(e.error, room-1)
		return f
	case *panicked:
		f.Type, f.Stack = "panic", e.stack
		f.Cause = t.registered(e.err, room-1)
		return f
	}
	switch err {
	case context.Canceled:
		f.Type = failureCanceled
	case context.DeadlineExceeded:
		f.Type = failureDeadline
	default:
		f.Type = strings.TrimPrefix(fmt.Sprintf("%T", err), "*")
	}
	if d := t.find(err); d != nil {
		d.describe(f, err)
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		f.Cause = t.chain(e.Unwrap(), room-1)
	case interface{ Unwrap() []error }:
		f.Cause = t.all(e.Unwrap(), room-1)
	}
	return f
}

// all makes one chain of several.
func (t *errorTable) all(errs []error, room int) (first *history.Failure) {
	end := &first
	for _, err := range errs {
		for *end = t.chain(err, room); *end != nil; end = &(*end).Cause {
			room--
		}
	}
	return first
}

// registered gives the chain of an error whose outer failure says the same already:
// nothing, unless a registered error is in it.
func (t *errorTable) registered(err error, room int) *history.Failure {
	chain := t.chain(err, room)
	for f := chain; f != nil; f = f.Cause {
		if t != nil && t.byName[f.Type] != nil {
			return chain
		}
	}
	return nil
}
