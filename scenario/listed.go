package scenario

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
	"github.com/agentrun-dev/agentrun/memory"
	"github.com/agentrun-dev/agentrun/models"
)

// Suspended is the status of a run that somebody suspended, and Paused that of an agent's
// run which is held before its next turn.
const (
	Suspended = "suspended"
	Paused    = "paused"
)

// Listed is a run in a list, as `agentrun runs list -o json` and the HTTP API have it.
type Listed struct {
	ID      string     `json:"id"`
	Name    string     `json:"name"`
	Status  string     `json:"status"` // Running, Waiting, Paused, Suspended, Completed, Failed or Cancelled
	Started time.Time  `json:"started"`
	Ended   *time.Time `json:"ended,omitempty"`
	Waiting int        `json:"waiting"` // requests that nobody has decided
	// Cost is what the run of an agent that has ended cost, where somebody counts.
	Cost models.Money `json:"cost,omitzero"`
}

// ListedOf makes the entry of an instance for which so many requests wait. Its cost is
// known if s has its output.
func ListedOf(s *durable.State, waiting int) Listed {
	r := Listed{ID: s.ID, Name: s.Name, Status: StatusWord(s.Status, waiting), Started: s.Created, Waiting: waiting}
	if r.Status == Running && isPaused(s) {
		r.Status = Paused
	}
	if AgentName(s.Name) != "" && len(s.Output) > 0 {
		var result struct{ Cost models.Money }
		if json.Unmarshal(s.Output, &result) == nil { // else it is another version's
			r.Cost = result.Cost
		}
	}
	if s.Status.Ended() {
		at := s.Completed
		if at.IsZero() {
			at = s.Updated
		}
		r.Ended = &at
	}
	return r
}

// isPaused reads what a run of an agent says of itself.
func isPaused(s *durable.State) bool {
	var says struct{ State string }
	return AgentName(s.Name) != "" && json.Unmarshal(s.CustomStatus, &says) == nil && says.State == "paused"
}

// StatusWord is an instance's status in the words of runs, for which so many requests
// wait.
func StatusWord(s history.Status, waiting int) string {
	switch s {
	case history.Completed:
		return Completed
	case history.Failed:
		return Failed
	case history.Terminated, history.Canceled:
		return Cancelled
	case history.Suspended:
		return Suspended
	}
	if waiting > 0 {
		return Waiting
	}
	return Running
}

// Internal reports whether an orchestration of this name is no run of the user's: it
// wakes runs up once a request is decided.
func Internal(orchestration string) bool { return orchestration == "agentrun.notify" }

// AgentName is the agent whose run an orchestration of this name is; "" for any other.
func AgentName(orchestration string) string {
	name, ok := strings.CutPrefix(orchestration, "agent:")
	if !ok {
		return ""
	}
	return name
}

// Line is an event and where it is: a line of `agentrun runs show -o jsonl`, and an
// element of a history in the HTTP API.
type Line struct {
	history.Address
	Event *history.Event `json:"event"`
}

// Question is what a request asks, for people. The text is as the model wrote it.
func Question(a agents.Approval) string {
	switch {
	case a.Tool == "" || a.Kind == agents.KindOutcome:
		return a.Question
	case a.Question == "":
		return "may " + a.Agent + " call " + a.Tool + "?"
	}
	return a.Agent + " wants to call " + a.Tool + ": " + a.Question
}

// Message is a message of a conversation, and where it is stored.
type Message struct {
	models.Message
	Ref durable.Ref
}

// Messages reads the messages that an event's data refers to and that were not given
// before: seen has the payloads that were, and takes those that are now. What cannot be
// read as a message is a payload of another kind, and left out.
func Messages(ctx context.Context, c *durable.Client, ev *history.Event, seen map[history.Hash]bool) (list []Message) {
	var data any
	if json.Unmarshal(ev.Data, &data) != nil {
		return nil
	}
	load := func(r durable.Ref) ([]byte, error) { return c.Load(ctx, r) }
	for _, r := range references(data) {
		if seen[r.Hash] {
			continue
		}
		seen[r.Hash] = true
		if m, err := memory.Message(load, r); err == nil && m.Role != "" {
			list = append(list, Message{m, r})
		}
	}
	return list
}

// references finds the references in data, at any depth.
func references(data any) (refs []durable.Ref) {
	switch x := data.(type) {
	case []any:
		for _, e := range x {
			refs = append(refs, references(e)...)
		}
	case map[string]any:
		var h history.Hash
		text, isText := x["hash"].(string)
		size, isNumber := x["size"].(float64)
		if isText && isNumber && len(x) == 2 && h.UnmarshalText([]byte(text)) == nil {
			return []durable.Ref{{Hash: h, Size: int(size)}}
		}
		for _, k := range slices.Sorted(maps.Keys(x)) {
			refs = append(refs, references(x[k])...)
		}
	}
	return refs
}
