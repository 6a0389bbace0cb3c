package evals

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"strings"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/durable/history"
)

// Version is the version of recordings and suites that this package reads and writes.
const Version = 1

// Recording is a run: everything that its orchestrations did, and what their events
// refer to. It is read by many goroutines at once and must not be changed.
type Recording struct {
	// Version is the version of the format.
	Version int `json:"version"`
	// Root is the id of the run: of the first of Instances.
	Root string `json:"root"`
	// Program is the directory of the program's main package, Scenario the path of the
	// scenario, as the run was tagged with them. Either may be empty.
	Program  string `json:"program,omitempty"`
	Scenario string `json:"scenario,omitempty"`
	// Instances are the root, and below each instance those that it started, in the
	// order in which it did.
	Instances []*Instance `json:"instances"`
	// Entities are those that the instances called, signalled or locked, by id, as they
	// were at the time of the export: conversations and approvals among them.
	Entities []*Entity `json:"entities,omitempty"`
	// Payloads are what the others refer to by hash, in the order of the hashes.
	Payloads []*Payload `json:"payloads,omitempty"`

	index map[history.Hash][]byte // of Payloads
}

// Instance is one orchestration of a run.
type Instance struct {
	ID      string            `json:"id"`
	Name    string            `json:"name"`
	Version string            `json:"version,omitempty"`
	Parent  string            `json:"parent,omitempty"` // id of the instance that started it
	Tags    map[string]string `json:"tags,omitempty"`
	Status  history.Status    `json:"status"`
	// Executions are the oldest first; an instance has more than one when it continued
	// as new.
	Executions []*Execution `json:"executions"`
}

// Execution is one history of an instance.
type Execution struct {
	ID     string   `json:"id"`
	Events []*Event `json:"events"`
}

// Event is an event of a history. Its data is in DataHash's payload if it is large, or
// no text.
type Event struct {
	history.Event
	DataHash history.Hash `json:"dataHash,omitzero"`
}

// Entity is the state of an entity, in StateHash's payload if it is large, or no text.
type Entity struct {
	ID        string          `json:"id"` // such as @conversation@run-1
	State     history.Payload `json:"state,omitzero"`
	StateHash history.Hash    `json:"stateHash,omitzero"`
}

// Payload is data that is named by its hash.
type Payload struct {
	Hash history.Hash `json:"hash"`
	// Text is the data if it is valid UTF-8, as messages and manifests are.
	Text *string `json:"text,omitempty"`
	// Base64 is the data otherwise; as JSON it is in standard base64.
	Base64 []byte `json:"base64,omitempty"`
}

// data gives what the payload holds.
func (p *Payload) data() []byte {
	if p.Text != nil {
		return []byte(*p.Text)
	}
	return p.Base64
}

// Write writes the recording as indented JSON. A recording that was read gives the
// bytes that it was exported as.
func (r *Recording) Write(w io.Writer) error {
	buf := bufio.NewWriter(w)
	e := json.NewEncoder(buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(r); err != nil {
		return fmt.Errorf("write recording of %s: %w", r.Root, err)
	}
	if err := buf.Flush(); err != nil {
		return fmt.Errorf("write recording of %s: %w", r.Root, err)
	}
	return nil
}

// Payload gives a payload of the recording, which the caller must not change. It is a
// memory.Loader.
func (r *Recording) Payload(ref durable.Ref) ([]byte, error) { return r.payload(ref.Hash) }

func (r *Recording) payload(h history.Hash) ([]byte, error) {
	b, ok := r.index[h]
	if !ok {
		return nil, fmt.Errorf("payload %s is not part of the recording of %s", h, r.Root)
	}
	return b, nil
}

// events gives an execution's events as a replay reads them.
func (x *Execution) events() iter.Seq2[*history.Event, error] {
	return func(yield func(*history.Event, error) bool) {
		for _, ev := range x.Events {
			if !yield(ev.recorded(), nil) {
				return
			}
		}
	}
}

// recorded gives the event with the reference to its data in place.
func (e *Event) recorded() *history.Event {
	ev := e.Event
	ev.DataRef = e.DataHash
	return &ev
}

// data gives an event's data, wherever it is.
func (r *Recording) data(e *Event) ([]byte, error) {
	if e.DataHash.IsZero() {
		return e.Data, nil
	}
	return r.payload(e.DataHash)
}

// Agents are orchestrations, and their model turns and tools activities, with names
// that tell which.
const (
	agentPrefix    = "agent:"
	manifestPrefix = "manifest:"
	chatPrefix     = "chat:"
	toolPrefix     = "tool:" // then AGENT/TOOL
)

// agent is the name of the agent whose run the instance is; "" if it is something else.
func (in *Instance) agent() string {
	name, ok := strings.CutPrefix(in.Name, agentPrefix)
	if !ok {
		return ""
	}
	return name
}
