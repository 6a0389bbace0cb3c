package mcp

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxWork bounds how often the parts of a schema may be applied on the way from the top of some arguments to any
// place in them. maxSteps bounds how long that is counted.
const (
	maxWork  = 5000
	maxSteps = 1 << 20
	maxDepth = 100 // of arguments; package tools takes no deeper ones
)

// usable checks that arguments can be validated by a schema in reasonable time, and makes it one of an object.
// Whether it is a schema at all, its compiler finds out.
func usable(doc any, schema json.RawMessage) (json.RawMessage, error) {
	root, ok := doc.(map[string]any)
	if !ok {
		return nil, errors.New("its schema is not a JSON object")
	}
	if len(schema) > maxSchema {
		return nil, fmt.Errorf("its schema has %d bytes, more than %d", len(schema), maxSchema)
	}
	w := &weigher{root: root, places: map[string]*place{}, entries: map[string]map[string]any{}}
	if err := w.weigh(); err != nil {
		return nil, fmt.Errorf("its schema cannot be used: %w", err)
	}
	if _, ok := root["type"]; ok {
		return schema, nil
	}
	root = maps.Clone(root) // some servers leave out what the protocol demands
	root["type"] = "object"
	return json.Marshal(root)
}

// weigher finds out how much work a schema makes. Schemas can be written in which each level of the arguments, or
// each reference, doubles it.
type weigher struct {
	root    map[string]any
	places  map[string]*place // by JSON Pointer
	entries map[string]map[string]any
	steps   int
}

// place is a subschema with all that applies to the same value as it does: allOf, references and so on.
type place struct {
	work         int // how many subschemas that are
	busy         bool
	fields       branch // what applies to the fields of an object
	items        branch // what applies to the elements of a list
	before, then int    // work to a depth, and to one more
}

// branch says how often subschemas apply to each of a value's members: those with a name and the others.
type branch struct {
	named map[string]load
	other load
}

// load counts subschemas, by JSON Pointer.
type load map[string]int

var (
	errWork   = errors.New("checking arguments against it could take for ever")
	errCircle = errors.New("it refers to itself in a circle")
)

func (w *weigher) step(n int) error {
	if w.steps += n; w.steps > maxSteps {
		return errWork
	}
	return nil
}

// weigh counts what is applied on the way to a member, one level of arguments more each time.
func (w *weigher) weigh() error {
	if _, err := w.place("", w.root); err != nil {
		return err
	}
	for todo := []string{""}; len(todo) > 0; { // all places that members lead to
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for next := range w.places[at].members() {
			if w.places[next] == nil {
				if _, err := w.place(next, w.entries[next]); err != nil {
					return err
				}
				todo = append(todo, next)
			}
		}
	}
	for range maxDepth {
		changed := false
		for _, p := range w.places {
			p.then = p.work + max(p.fields.most(w), p.items.most(w))
			changed = changed || p.then != p.before
			if err := w.step(1 + len(p.fields.named) + len(p.items.named)); err != nil {
				return err
			}
		}
		for _, p := range w.places {
			p.before = min(p.then, maxWork+1)
		}
		if w.places[""].before > maxWork {
			return errWork
		}
		if !changed {
			break
		}
	}
	return nil
}

// members gives the subschemas that apply to any member.
func (p *place) members() load {
	all := load{}
	for _, b := range []branch{p.fields, p.items} {
		for at := range b.other {
			all[at] = 1
		}
		for _, l := range b.named {
			for at := range l {
				all[at] = 1
			}
		}
	}
	return all
}

// most is the work at the member that makes the most.
func (b *branch) most(w *weigher) int {
	most := b.other.work(w)
	for _, l := range b.named {
		most = max(most, l.work(w))
	}
	return most
}

func (l load) work(w *weigher) int {
	sum := 0
	for at, n := range l {
		sum = min(sum+n*w.places[at].before, maxWork+1)
	}
	return sum
}

// keywords by what their schemas apply to.
var (
	sameOne   = []string{"not", "if", "then", "else"}
	sameList  = []string{"allOf", "anyOf", "oneOf"}
	sameMap   = []string{"dependentSchemas", "dependencies"}
	foreign   = []string{"$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$anchor"}
	eachField = []string{"propertyNames"}
	restField = []string{"additionalProperties", "unevaluatedProperties"}
	restItem  = []string{"additionalItems", "unevaluatedItems"}
)

// place counts what applies together with the subschema at a pointer.
func (w *weigher) place(at string, schema any) (*place, error) {
	if p := w.places[at]; p != nil {
		if p.busy {
			return nil, errCircle
		}
		return p, nil
	}
	p := &place{work: 1, busy: true}
	w.places[at] = p
	defer func() { p.busy = false }()
	if err := w.step(1); err != nil {
		return nil, err
	}
	s, ok := schema.(map[string]any)
	if !ok {
		return p, nil // true, false, or what the compiler refuses
	}
	for _, word := range foreign {
		if _, ok := s[word]; ok {
			return nil, fmt.Errorf("it has %s, which is not supported", word)
		}
	}
	if _, ok := s["$id"]; ok && at != "" {
		return nil, errors.New("it has an $id inside, which is not supported")
	}
	w.own(p, at, s)
	return p, w.together(p, at, s)
}

// together adds what applies to the same value.
func (w *weigher) together(p *place, at string, s map[string]any) error {
	add := func(at string, schema any) error {
		other, err := w.place(at, schema)
		if err != nil {
			return err
		}
		p.work = min(p.work+other.work, maxWork+1)
		if err := p.fields.add(w, other.fields); err != nil {
			return err
		}
		return p.items.add(w, other.items)
	}
	for _, word := range sameOne {
		if sub, ok := s[word]; ok {
			if err := add(at+"/"+word, sub); err != nil {
				return err
			}
		}
	}
	for _, word := range sameList {
		list, _ := s[word].([]any)
		for i, sub := range list {
			if err := add(at+"/"+word+"/"+strconv.Itoa(i), sub); err != nil {
				return err
			}
		}
	}
	for _, word := range sameMap {
		subs, _ := s[word].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(subs)) {
			if err := add(at+"/"+word+"/"+escape(name), subs[name]); err != nil {
				return err
			}
		}
	}
	ref, ok := s["$ref"].(string)
	if !ok {
		return nil
	}
	to, target, err := w.find(ref)
	if err != nil {
		return err
	}
	return add(to, target)
}

// own notes what the subschema itself applies to members.
func (w *weigher) own(p *place, at string, s map[string]any) {
	note := func(l load, at string, schema any) {
		m, _ := schema.(map[string]any)
		w.entries[at] = m
		l[at]++
	}
	one := func(l load, words ...string) {
		for _, word := range words {
			if sub, ok := s[word]; ok {
				note(l, at+"/"+word, sub)
			}
		}
	}
	many := func(word string) map[string]load {
		named := map[string]load{}
		subs, _ := s[word].(map[string]any)
		for name, sub := range subs {
			named[name] = load{}
			note(named[name], at+"/"+word+"/"+escape(name), sub)
		}
		return named
	}
	each := load{}
	for _, l := range many("patternProperties") {
		each.add(l) // a name may match all of them
	}
	one(each, eachField...)
	p.fields = branch{named: many("properties"), other: load{}}
	one(p.fields.other, restField...)
	p.fields.each(each)

	each = load{}
	one(each, "contains")
	p.items = branch{named: map[string]load{}, other: load{}}
	for _, word := range []string{"prefixItems", "items"} { // items is such a list in older drafts
		list, _ := s[word].([]any)
		for i, sub := range list {
			l := load{}
			note(l, at+"/"+word+"/"+strconv.Itoa(i), sub)
			p.items.named[strconv.Itoa(i)] = l
		}
	}
	if _, list := s["items"].([]any); !list {
		one(p.items.other, "items")
	}
	one(p.items.other, restItem...)
	p.items.each(each)
}

func (l load) add(other load) {
	for at, n := range other {
		l[at] = min(l[at]+n, maxWork+1)
	}
}

// each adds what applies to every member.
func (b *branch) each(l load) {
	b.other.add(l)
	for _, named := range b.named {
		named.add(l)
	}
}

// add makes one branch of two that apply to the same value.
func (b *branch) add(w *weigher, other branch) error {
	rest := maps.Clone(b.other)
	for name, l := range other.named {
		if b.named[name] == nil {
			b.named[name] = maps.Clone(rest)
		}
		b.named[name].add(l)
		if err := w.step(1 + len(rest) + len(l)); err != nil {
			return err
		}
	}
	for name, l := range b.named {
		if _, ok := other.named[name]; !ok {
			l.add(other.other)
		}
		if err := w.step(1 + len(other.other)); err != nil {
			return err
		}
	}
	b.other.add(other.other)
	return w.step(len(other.other))
}

// find resolves a reference within the schema.
func (w *weigher) find(ref string) (at string, schema any, err error) {
	at, ok := strings.CutPrefix(ref, "#")
	if !ok || at != "" && at[0] != '/' || strings.Contains(at, "%") {
		return "", nil, fmt.Errorf("it refers to %q: only places inside it can be referred to, as #/…", clip(ref, 100))
	}
	schema = w.root
	if at == "" {
		return "", schema, nil
	}
	for _, name := range strings.Split(at[1:], "/") {
		name = strings.ReplaceAll(strings.ReplaceAll(name, "~1", "/"), "~0", "~")
		switch v := schema.(type) {
		case map[string]any:
			schema, ok = v[name]
		case []any:
			var i int
			i, err = strconv.Atoi(name)
			if ok = err == nil && i >= 0 && i < len(v); ok {
				schema = v[i]
			}
		default:
			ok = false
		}
		if !ok {
			return "", nil, fmt.Errorf("it refers to %q, where there is nothing", clip(ref, 100))
		}
	}
	return at, schema, nil
}

func escape(name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
}
