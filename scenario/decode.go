package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// The YAML package's own decoder stops at the first error and says nothing of where valid values
// were. This one reports all errors and keeps the places, for the checks that come after it.

var (
	rawType      = reflect.TypeFor[json.RawMessage]()
	durationType = reflect.TypeFor[time.Duration]()
)

// decode sets v to the value of a node that inspect found nothing wrong with. It leaves null to the
// caller.
func (p *problems) decode(node ast.Node, v reflect.Value, at *place) {
	at.position = nodePosition(node)
	if isNull(node) {
		at.null = true
		return
	}
	switch {
	case v.Type() == rawType:
		v.SetBytes(appendJSON(nil, node, at))
		return
	case v.Type() == durationType:
		p.decodeDuration(node, v, at)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		p.decode(node, v.Elem(), at)
	case reflect.Interface: // a value of any kind, with numbers as json.Number, which are exact
		d := json.NewDecoder(bytes.NewReader(appendJSON(nil, node, at)))
		d.UseNumber()
		var value any
		if err := d.Decode(&value); err != nil {
			p.wrong(at, "cannot be JSON: %v; write it in another way", err)
			return
		}
		v.Set(reflect.ValueOf(value))
	case reflect.Struct:
		p.decodeStruct(node, v, at)
	case reflect.Map:
		p.decodeMap(node, v, at)
	case reflect.Slice:
		list, ok := node.(*ast.SequenceNode)
		if !ok {
			p.wrong(at, "must be a list; write [a, b], or a line that begins with - for each")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(list.Values), len(list.Values)))
		for i, element := range list.Values {
			c := at.element(i)
			if p.decode(element, v.Index(i), c); c.null {
				p.wrong(c, "is empty; fill it in or remove it")
			}
		}
	default:
		p.decodeScalar(node, v, at)
	}
}

func (p *problems) decodeScalar(node ast.Node, v reflect.Value, at *place) {
	switch v.Kind() {
	case reflect.String:
		s, ok := text(node)
		if !ok {
			p.wrong(at, "must be a text; put it in quotes if it looks like something else")
			return
		}
		v.SetString(s)
	case reflect.Int, reflect.Int64:
		n, ok := node.(*ast.IntegerNode)
		if !ok {
			p.wrong(at, "must be a whole number")
			return
		}
		i, err := strconv.ParseInt(fmt.Sprint(n.Value), 10, 64)
		if err != nil || v.OverflowInt(i) {
			p.wrong(at, "is %s, which is too large; write a smaller number", quote(n.Token.Value))
			return
		}
		v.SetInt(i)
	case reflect.Float64:
		n, ok := number(node)
		f, err := strconv.ParseFloat(n, 64)
		if !ok || err != nil {
			p.wrong(at, "must be a number")
			return
		}
		v.SetFloat(f)
	case reflect.Bool:
		n, ok := node.(*ast.BoolNode)
		if !ok {
			p.wrong(at, "must be true or false")
			return
		}
		v.SetBool(n.Value)
	default:
		panic("scenario: no YAML decodes into " + v.Type().String())
	}
}

func (p *problems) decodeDuration(node ast.Node, v reflect.Value, at *place) {
	s, ok := text(node)
	d, err := time.ParseDuration(s)
	switch {
	case !ok || err != nil:
		p.wrong(at, "is %s, which is no duration; write one like 800ms or 2s", quote(node.GetToken().Value))
	case strings.HasPrefix(s, "-"):
		p.wrong(at, "is %s, which is negative; write a duration like 800ms or 2s", quote(s))
	}
	v.SetInt(int64(max(d, 0)))
}

func (p *problems) decodeStruct(node ast.Node, v reflect.Value, at *place) {
	names, fields := keysOf(v.Type())
	if !isMapping(node) {
		p.wrong(at, "must be keys with values; the keys are %s", strings.Join(names, ", "))
		return
	}
	for _, pair := range pairs(node) {
		key, _ := keyText(pair.Key)
		i, ok := fields[key]
		if !ok {
			at.typo = true
			p.add(nodePosition(pair.Key), "unknown key %s; the keys here are %s", quote(key), strings.Join(names, ", "))
			continue
		}
		p.decodeValue(pair, v.Field(i), at.child(key))
	}
}

func (p *problems) decodeMap(node ast.Node, v reflect.Value, at *place) {
	if !isMapping(node) {
		p.wrong(at, "must be names with values, such as {name: value}")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, pair := range pairs(node) {
		key, _ := keyText(pair.Key)
		value := reflect.New(v.Type().Elem()).Elem()
		p.decodeValue(pair, value, at.child(key))
		v.SetMapIndex(reflect.ValueOf(key), value)
	}
}

// decodeValue decodes the value of a key, which must have one: a key with nothing below it is more
// often a mistake than meant.
func (p *problems) decodeValue(pair *ast.MappingValueNode, v reflect.Value, at *place) {
	p.decode(pair.Value, v, at)
	if at.null {
		at.position = nodePosition(pair.Key)
		p.wrong(at, "has no value; give it one or remove it")
	}
}

// keysOf returns the keys of a struct in order, and the fields that they are. Types of package models
// that are used here have the tag json only.
func keysOf(t reflect.Type) (names []string, fields map[string]int) {
	fields = map[string]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			continue
		}
		tag, ok := f.Tag.Lookup("yaml")
		if !ok {
			tag = f.Tag.Get("json")
		}
		name, _, _ := strings.Cut(tag, ",")
		names = append(names, name)
		fields[name] = i
	}
	return names, fields
}
