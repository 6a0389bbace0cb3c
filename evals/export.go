package evals

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/scenario"
)

// largeData is the size in bytes from which data is a payload of its own: what is
// passed from step to step is then in the file once.
const largeData = 16 << 10

// Export writes a recording of the run with this id, as far as it is on disk: of the
// instance and of all below it. Nothing is written if it cannot be made.
func Export(ctx context.Context, c *durable.Client, id string, w io.Writer) error {
	e := exporter{client: c, entities: map[string]bool{}, payloads: map[history.Hash][]byte{}, seen: map[string]bool{}}
	rec, err := e.export(ctx, id)
	if err != nil {
		return fmt.Errorf("export %s: %w", id, err)
	}
	return rec.Write(w)
}

// exporter makes one recording.
type exporter struct {
	client   *durable.Client
	rec      Recording
	entities map[string]bool
	payloads map[history.Hash][]byte
	seen     map[string]bool // instances
}

func (e *exporter) export(ctx context.Context, id string) (*Recording, error) {
	root, err := e.client.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	e.rec = Recording{Version: Version, Root: id, Program: root.Tags[scenario.TagProgram], Scenario: root.Tags[scenario.TagScenario]}
	if err := e.instance(ctx, root); err != nil {
		return nil, err
	}
	for _, id := range slices.Sorted(maps.Keys(e.entities)) {
		if err := e.entity(ctx, id); err != nil {
			return nil, err
		}
	}
	for _, h := range slices.SortedFunc(maps.Keys(e.payloads), func(a, b history.Hash) int { return bytes.Compare(a[:], b[:]) }) {
		p := &Payload{Hash: h}
		if b := e.payloads[h]; utf8.Valid(b) {
			text := string(b)
			p.Text = &text
		} else {
			p.Base64 = b
		}
		e.rec.Payloads = append(e.rec.Payloads, p)
	}
	return &e.rec, nil
}

// instance adds an instance and, below it, those that it started.
func (e *exporter) instance(ctx context.Context, s *durable.State) error {
	e.seen[s.ID] = true
	in := &Instance{ID: s.ID, Name: s.Name, Version: s.Version, Parent: s.Parent, Tags: s.Tags, Status: s.Status}
	e.rec.Instances = append(e.rec.Instances, in)
	executions, err := e.client.Executions(ctx, s.ID)
	if err != nil {
		return err
	}
	var children []string
	for _, id := range executions {
		x := &Execution{ID: id, Events: []*Event{}}
		in.Executions = append(in.Executions, x)
		for ev, err := range e.client.History(ctx, s.ID, id) {
			if err != nil {
				return err
			}
			if err := e.event(ctx, x, ev); err != nil {
				return fmt.Errorf("event %d of %s: %w", len(x.Events), s.ID, err)
			}
			if ev.Kind == history.ChildCreated {
				children = append(children, ev.Target)
			}
		}
	}
	for _, id := range children {
		child, err := e.client.Get(ctx, id)
		switch {
		case durable.IsNotFound(err): // on its way, when the run has not ended
			continue
		case err != nil:
			return err
		case child.Parent != s.ID || e.seen[id]: // the id was taken: no child of this one
			continue
		}
		if err := e.instance(ctx, child); err != nil {
			return err
		}
	}
	return nil
}

// event adds an event and notes what it is about.
func (e *exporter) event(ctx context.Context, x *Execution, ev *history.Event) error {
	r := &Event{Event: *ev, DataHash: ev.DataRef}
	if ev.DataRef.IsZero() {
		r.Data, r.DataHash = e.apart(ev.Data)
		if err := e.follow(ctx, ev.Data); err != nil {
			return err
		}
	} else if err := e.load(ctx, durable.Ref{Hash: ev.DataRef}, true); err != nil {
		return err
	}
	x.Events = append(x.Events, r)
	switch ev.Kind {
	case history.EntityOperationCalled, history.EntityOperationSignaled:
		e.entities[ev.Target] = true
	case history.EntityLockRequested:
		for _, id := range ev.LockSet {
			e.entities[id] = true
		}
	}
	return nil
}

// entity adds an entity's state, if it has one.
func (e *exporter) entity(ctx context.Context, id string) error {
	s, err := e.client.Entity(ctx, id)
	if durable.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	n := &Entity{ID: id}
	n.State, n.StateHash = e.apart(s.State)
	e.rec.Entities = append(e.rec.Entities, n)
	return e.follow(ctx, s.State)
}

// apart makes a payload of data that should not, or cannot, be written in place.
func (e *exporter) apart(data history.Payload) (history.Payload, history.Hash) {
	if len(data) < largeData && utf8.Valid(data) {
		return data, history.Hash{}
	}
	h := history.HashOf(data)
	e.payloads[h] = data
	return nil, h
}

// follow adds the payloads that data refers to, those that they refer to, and so on.
func (e *exporter) follow(ctx context.Context, data []byte) error {
	for _, ref := range refsIn(data) {
		if err := e.load(ctx, ref, false); err != nil {
			return err
		}
	}
	return nil
}

// load adds a payload and what it refers to. What only looks like a reference, in a
// user's own data, has no payload.
func (e *exporter) load(ctx context.Context, ref durable.Ref, must bool) error {
	todo := []durable.Ref{ref}
	for len(todo) > 0 {
		ref, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if _, ok := e.payloads[ref.Hash]; ok {
			continue
		}
		b, err := e.client.Load(ctx, ref)
		if !must && durable.IsNotFound(err) {
			continue
		}
		if err != nil {
			return err
		}
		e.payloads[ref.Hash], must = b, false
		todo = append(todo, refsIn(b)...)
	}
	return nil
}

// refsIn finds the references in data: the objects of its JSON that are a durable.Ref
// and nothing else.
func refsIn(data []byte) []durable.Ref {
	if !bytes.Contains(data, []byte(`"hash"`)) {
		return nil
	}
	var v any
	if json.Unmarshal(data, &v) != nil {
		return nil
	}
	var refs []durable.Ref
	collect(v, &refs)
	return refs
}

func collect(v any, refs *[]durable.Ref) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			collect(item, refs)
		}
	case map[string]any:
		text, isText := v["hash"].(string)
		_, isSize := v["size"].(float64)
		if len(v) == 2 && isText && isSize {
			var h history.Hash
			if h.UnmarshalText([]byte(text)) == nil && !h.IsZero() {
				*refs = append(*refs, durable.Ref{Hash: h})
			}
			return
		}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			collect(v[key], refs)
		}
	}
}
