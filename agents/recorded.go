package agents

import (
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// ChatRequest makes what a model was told in a turn, from the recorded input of the
// turn's activity ("chat:" and the agent's name) and its result: the same request,
// with the same hash. load reads the payloads of the recording.
func ChatRequest(load memory.Loader, input, result json.RawMessage) (*models.Request, error) {
	var in chatInput
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, fmt.Errorf("the input of a model turn: %w", err)
	}
	var ans chatAnswer
	if err := json.Unmarshal(result, &ans); err != nil {
		return nil, fmt.Errorf("the result of a model turn: %w", err)
	}
	if !ans.Manifest.IsZero() { // it was adopted in this turn
		in.Manifest = ans.Manifest
	}
	m, err := loadManifest(load, in.Manifest)
	if err != nil {
		return nil, err
	}
	return request(load, m, in)
}

// ChatResponse makes what the model answered, from the activity's recorded result.
// The provider's id of the answer is not recorded.
func ChatResponse(load memory.Loader, result json.RawMessage) (*models.Response, error) {
	var ans chatAnswer
	if err := json.Unmarshal(result, &ans); err != nil {
		return nil, fmt.Errorf("the result of a model turn: %w", err)
	}
	msg, err := memory.Message(load, ans.Message)
	if err != nil {
		return nil, err
	}
	return &models.Response{
		Message: msg, Finish: ans.Finish, Usage: ans.Usage, Model: ans.Model,
		Answered: ans.Answered, Tried: ans.Tried, Cached: ans.Cached,
	}, nil
}
