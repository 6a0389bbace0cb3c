package agents

import (
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable"
)

func decodeApproval(e *durable.EntityState) (a Approval, ok bool, err error) {
	if len(e.State) == 0 {
		return a, false, nil
	}
	if err := json.Unmarshal(e.State, &a); err != nil {
		return a, false, fmt.Errorf("request %s: %w", e.ID, err)
	}
	return a, a.ID != "", nil
}

func nonce() string { return rand.Text() }
