package scenario

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// output is what a run that completed came to. Of a run of one agent it is the
// agent's answer, text or structured: what else is in its result, a report has
// already. stop is why its model was not done.
func output(root *durable.State) (_ json.RawMessage, stop agents.StopReason, _ error) {
	switch {
	case len(root.Output) == 0:
		return json.RawMessage("null"), "", nil
	case AgentName(root.Name) == "":
		return json.RawMessage(root.Output), "", nil
	}
	var r agents.Result
	if err := json.Unmarshal(root.Output, &r); err != nil {
		return nil, "", fmt.Errorf("output of run %s: %w", root.ID, err)
	}
	if text := bytes.TrimSpace([]byte(r.Text)); len(text) > 0 && text[0] == '{' && json.Valid(text) {
		return text, r.Stop, nil
	}
	b, err := json.Marshal(r.Text)
	return b, r.Stop, err
}
