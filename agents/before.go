package agents

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
)

// beforeInput is the input of the step that asks an agent's functions before a turn.
type beforeInput struct {
	Manifest durable.Ref `json:"manifest"`
	State    stateInput  `json:"state"`
	Head     memory.Head `json:"head"`
	// Successor, where set, is all that is asked for: is it still there to hand over to?
	Successor string `json:"successor,omitempty"`
}

// beforeAnswer is what they said.
type beforeAnswer struct {
	Instructions durable.Ref `json:"instructions,omitzero"` // text; zero: the manifest's
	Tools        *[]string   `json:"tools,omitempty"`       // that are offered; nil: all
	Stop         bool        `json:"stop,omitempty"`
}

// beforeActivity asks InstructionsFunc, Enabled and StopWhen. It is a step of its own,
// so that what a model was told can be made again from the history.
func (a *Agent) beforeActivity() durable.Definition {
	return step(a, beforePrefix+a.config.Name, func(ctx context.Context, in beforeInput) (beforeAnswer, error) {
		if in.Successor != "" {
			return beforeAnswer{}, a.hasSuccessor(in.Successor)
		}
		load := func(r durable.Ref) ([]byte, error) { return durable.Load(ctx, r) }
		m, err := loadManifest(load, in.Manifest)
		if err != nil {
			return beforeAnswer{}, err
		}
		info, _ := durable.Info(ctx)
		s, err := in.State.read(load, a.config.Name, info.Instance)
		if err != nil {
			return beforeAnswer{}, err
		}
		for msg, err := range memory.Read(load, in.Head, in.Head.Length-1) {
			if err != nil {
				return beforeAnswer{}, err
			}
			s.Last = msg
		}
		return a.before(ctx, m, s)
	}, durable.Pure())
}

// before asks the functions that the manifest and the program both have: a run keeps
// to what it began with, and a function that is gone is not asked.
func (a *Agent) before(ctx context.Context, m Manifest, s RunState) (ans beforeAnswer, err error) {
	c := &a.config
	if m.Before.Stop && c.StopWhen != nil && s.Turns > 0 {
		if ans.Stop, err = c.StopWhen(ctx, s); err != nil || ans.Stop {
			return ans, wrap("StopWhen", err)
		}
	}
	if m.Before.Instructions && c.InstructionsFunc != nil {
		text, err := c.InstructionsFunc(ctx, s)
		if err != nil {
			return ans, wrap("InstructionsFunc", err)
		}
		if ans.Instructions, err = durable.Store(ctx, []byte(text)); err != nil {
			return ans, err
		}
	}
	if m.Before.Tools && c.Enabled != nil {
		names := []string{}
		for _, t := range m.Tools {
			ok, err := c.Enabled(ctx, s, t.Name)
			if err != nil {
				return ans, wrap("Enabled of tool "+t.Name, err)
			}
			if ok {
				names = append(names, t.Name)
			}
		}
		ans.Tools = &names
	}
	return ans, nil
}

func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// before asks the agent's functions, where it has some.
func (r *run) before() (ans beforeAnswer, err error) {
	if r.manifest.Before == (BeforeTurn{}) {
		return ans, nil
	}
	return durable.CallActivity[beforeAnswer](r.ctx, beforePrefix+r.agent.config.Name,
		beforeInput{Manifest: r.state.Manifest, State: r.stateInput(), Head: r.state.Head}, r.retry())
}
