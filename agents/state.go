package agents

import (
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/tools"
)

// RunState is how far a run has come: what functions that decide about its next
// turn are told.
type RunState struct {
	Run          string `json:"run"`      // the run at the root
	Instance     string `json:"instance"` // this agent's run
	Agent        string `json:"agent"`
	Conversation string `json:"conversation"`
	Input        string `json:"input"` // what the user said
	// Turns and ToolCalls count what was taken so far, Usage what it cost.
	Turns     int          `json:"turns"`
	ToolCalls int          `json:"toolCalls"`
	Usage     models.Usage `json:"usage"`
	// Values are what [WithState] gave and tools have set since.
	Values map[string]json.RawMessage `json:"values,omitempty"`
	// Last is the conversation's last message.
	Last models.Message `json:"-"`
}

// Value reads a value of the run's state into v, a pointer, and reports whether there
// is one.
func (s RunState) Value(key string, v any) (bool, error) {
	raw, ok := s.Values[key]
	if !ok {
		return false, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return true, fmt.Errorf("value %q of the run's state: %w", key, err)
	}
	return true, nil
}

// stateInput is what an activity needs to make the RunState: the run's values are a
// payload, stored once for each change.
type stateInput struct {
	Run          string       `json:"run"`
	Conversation string       `json:"conversation,omitempty"`
	Input        durable.Ref  `json:"input,omitzero"`
	Turns        int          `json:"turns,omitempty"`
	ToolCalls    int          `json:"toolCalls,omitempty"`
	Usage        models.Usage `json:"usage,omitzero"`
	Values       durable.Ref  `json:"values,omitzero"`
}

func (r *run) stateInput() stateInput {
	s := &r.state
	return stateInput{
		Run: r.runID(), Conversation: r.conversation, Input: s.Input, Values: s.Values,
		Turns: s.Result.Turns, ToolCalls: s.Result.ToolCalls, Usage: s.Result.Usage,
	}
}

// read makes the state.
func (in stateInput) read(load memory.Loader, agent, instance string) (RunState, error) {
	s := RunState{
		Run: in.Run, Instance: instance, Agent: agent, Conversation: in.Conversation,
		Turns: in.Turns, ToolCalls: in.ToolCalls, Usage: in.Usage,
	}
	if !in.Input.IsZero() {
		m, err := memory.Message(load, in.Input)
		if err != nil {
			return s, err
		}
		s.Input = m.Content
	}
	values, err := loadValues(load, in.Values)
	s.Values = values
	return s, err
}

func loadValues(load memory.Loader, r durable.Ref) (map[string]json.RawMessage, error) {
	if r.IsZero() {
		return nil, nil
	}
	b, err := load(r)
	if err != nil {
		return nil, fmt.Errorf("the run's state: %w", err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(b, &values); err != nil {
		return nil, fmt.Errorf("the run's state: %w", err)
	}
	return values, nil
}

func encodeValues(values map[string]json.RawMessage) ([]byte, error) {
	b, err := json.Marshal(values)
	if err != nil {
		return nil, fmt.Errorf("the run's state: %w", err)
	}
	if len(b) > tools.MaxState {
		return nil, fmt.Errorf("the run's state has %d bytes, more than %d: keep large things elsewhere, and their names here", len(b), tools.MaxState)
	}
	return b, nil
}
