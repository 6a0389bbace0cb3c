package history

import "encoding/json"

// Failure is what travels instead of an error: the protocol's
// TaskFailureDetails. It goes unchanged through every depth of a run.
type Failure struct {
	Type         string                     `json:"type"` // the error's type name, as its language writes it
	Message      string                     `json:"message"`
	Stack        string                     `json:"stack,omitempty"`
	Cause        *Failure                   `json:"cause,omitempty"`
	NonRetriable bool                       `json:"nonRetriable,omitempty"`
	Properties   map[string]json.RawMessage `json:"properties,omitempty"`
}

// Error makes a failure usable as an error: its message, with its type in front.
func (f *Failure) Error() string {
	if f.Type == "" {
		return f.Message
	}
	return f.Type + ": " + f.Message
}
