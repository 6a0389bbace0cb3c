package evals

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Strict runs the orchestrations of a recording again, as defs have them today,
// through all that was recorded, and gives the first event at which they do something
// else; nil if they did all the same. Instances are taken in the order of the tree,
// each from its first execution to its last.
//
// A recorded step for which defs have no activity, or no orchestration, is a divergence
// too: the run could not be gone on with there. So is an agent of which the program has
// another manifest than was recorded. Nothing is called, stored, logged or
// traced. An error says that the recording could not be replayed at all.
func Strict(ctx context.Context, rec *Recording, defs ...durable.Definition) (*Divergence, error) {
	p := &player{rec: rec, defs: defs}
	var err error
	if p.activities, err = durable.Activities(defs...); err != nil {
		return nil, err
	}
	if p.orchestrations, err = durable.Orchestrations(defs...); err != nil {
		return nil, err
	}
	if p.notes, err = durable.Annotations(defs...); err != nil {
		return nil, err
	}
	for _, in := range rec.Instances {
		for _, x := range in.Executions {
			d, err := p.play(ctx, in, x)
			if err != nil {
				return nil, fmt.Errorf("execution %s of %s: %w", x.ID, in.ID, err)
			}
			if d != nil {
				d.locate(rec, in, x)
				return d, nil
			}
		}
	}
	return nil, nil
}

// player replays one recording.
type player struct {
	rec                        *Recording
	defs                       []durable.Definition
	activities, orchestrations []string
	notes                      map[string]any // agents, by the names of their orchestrations
}

// play replays one execution.
func (p *player) play(ctx context.Context, in *Instance, x *Execution) (*Divergence, error) {
	first := p.missing(in, x)
	if d, err := p.changed(in, x); err != nil {
		return nil, err
	} else if d != nil && (first == nil || d.Address.Number < first.Address.Number) {
		first = d
	}
	begun := slices.IndexFunc(x.Events, func(ev *Event) bool { return ev.Kind == history.ExecutionStarted })
	if begun < 0 || !slices.Contains(p.orchestrations, x.Events[begun].Name) {
		return first, nil // it has not begun, or nothing can run it
	}
	diff, err := durable.Replay(ctx, x.events(), p.rec.payload, p.defs...)
	if err != nil {
		return nil, err
	}
	// At the same event, what the code did instead says more than that it could not.
	if diff != nil && (first == nil || diff.Address.Number <= first.Address.Number) {
		first = &Divergence{Difference: *diff}
	}
	return first, nil
}

// changed finds the event that gives an agent's run its manifest, where the program's
// agent has another one.
func (p *player) changed(in *Instance, x *Execution) (*Divergence, error) {
	a, ok := p.notes[in.Name].(*agents.Agent)
	if !ok {
		return nil, nil
	}
	step := int32(-1)
	for n, ev := range x.Events {
		switch {
		case ev.Kind == history.TaskScheduled && strings.HasPrefix(ev.Name, manifestPrefix):
			step = ev.ID
		case ev.Kind == history.TaskCompleted && step >= 0 && ev.Answers == step:
			result, err := p.rec.data(ev)
			if err != nil {
				return nil, err
			}
			m, err := agents.ReadManifest(p.rec.Payload, result)
			if err != nil {
				return nil, err
			}
			changed := a.Changed(m)
			if len(changed) == 0 {
				return nil, nil
			}
			d := &Divergence{Changed: changed}
			d.Address = history.Address{Instance: in.ID, Execution: x.ID, Number: n}
			d.Event = ev.recorded()
			return d, nil
		}
	}
	return nil, nil
}

// missing finds the first event that needs a definition which there is not.
func (p *player) missing(in *Instance, x *Execution) *Divergence {
	for n, ev := range x.Events {
		var lacks string
		var have []string
		switch ev.Kind {
		case history.TaskScheduled:
			lacks, have = "activity", p.activities
		case history.ExecutionStarted, history.ChildCreated:
			lacks, have = "orchestration", p.orchestrations
		default:
			continue
		}
		if slices.Contains(have, ev.Name) {
			continue
		}
		d := &Divergence{Lacks: lacks, Have: nearest(ev.Name, have)}
		d.Address = history.Address{Instance: in.ID, Execution: x.ID, Number: n}
		d.Event = ev.recorded()
		return d
	}
	return nil
}
