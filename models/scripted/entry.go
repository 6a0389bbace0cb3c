package scripted

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// Entry is one answer and when it is given. It has exactly one of Text (to which
// Calls may be added), Calls, Output and Error.
type Entry struct {
	// Agent is the label of the agent that asks; empty fits every agent.
	Agent string `yaml:"agent,omitempty" json:"agent,omitempty"`
	// Turn is the assistant's turn in the conversation, from 1; 0 means any, or the
	// entry's place in the script (see the package's documentation).
	Turn int  `yaml:"turn,omitempty" json:"turn,omitempty"`
	When When `yaml:"when,omitempty" json:"when,omitzero"`
	// Always makes an entry without Turn and When fit every turn of its agent.
	Always bool `yaml:"always,omitempty" json:"always,omitempty"`

	Text  string `yaml:"text,omitempty" json:"text,omitempty"`
	Calls []Call `yaml:"calls,omitempty" json:"calls,omitempty"`
	// Output is structured output: its JSON is the text of the answer.
	Output any      `yaml:"output,omitempty" json:"output,omitempty"`
	Error  *Failure `yaml:"error,omitempty" json:"error,omitempty"`

	// Usage is what the answer reports. Without it, a token is counted for every four
	// bytes, begun ones included, of what was asked and answered.
	Usage *models.Usage `yaml:"usage,omitempty" json:"usage,omitempty"`
	// Finish overrides the reason to end, to show an answer that was cut.
	Finish models.FinishReason `yaml:"finish,omitempty" json:"finish,omitempty"`
	// Latency is how long the answer takes, spread over its words.
	Latency time.Duration `yaml:"latency,omitempty" json:"latency,omitempty"`
}

// When are conditions on a request. All that are set must hold; each is a text that
// must occur, upper and lower case told apart.
type When struct {
	// User is looked for in the last message of the user.
	User string `yaml:"user,omitempty" json:"user,omitempty"`
	// Tool is looked for in the last tool result.
	Tool string `yaml:"tool,omitempty" json:"tool,omitempty"`
	// System is looked for in the instructions: all system messages.
	System string `yaml:"system,omitempty" json:"system,omitempty"`
}

// Call is a tool call of an answer.
type Call struct {
	Tool string `yaml:"tool" json:"tool"`
	// Arguments become JSON, except for a string, which is sent as it is: that is how
	// a script shows a model that writes broken JSON. None means {}.
	Arguments any `yaml:"arguments,omitempty" json:"arguments,omitempty"`
	// ID overrides the id, which is call_TURN_NUMBER.
	ID string `yaml:"id,omitempty" json:"id,omitempty"`
}

// Failure is an answer that is an error. It fails each time that it is asked: nothing
// is counted, so it cannot pass at the second attempt. For that, use [Func].
type Failure struct {
	Kind       models.ErrorKind `yaml:"kind" json:"kind"`
	Message    string           `yaml:"message,omitempty" json:"message,omitempty"`
	Status     int              `yaml:"status,omitempty" json:"status,omitempty"`
	Code       string           `yaml:"code,omitempty" json:"code,omitempty"`
	RetryAfter time.Duration    `yaml:"retryAfter,omitempty" json:"retryAfter,omitempty"`
}

// Validate reports what is wrong with the entry.
func (e *Entry) Validate() error {
	kinds := 0
	for _, has := range []bool{e.Text != "" || len(e.Calls) > 0, e.Output != nil, e.Error != nil} {
		if has {
			kinds++
		}
	}
	switch {
	case kinds == 0:
		return errors.New("the entry has no answer; give it text, calls, output or error")
	case kinds > 1:
		return errors.New("the entry has more than one answer; text and calls go together, output and error stand alone")
	case e.Turn < 0:
		return fmt.Errorf("turn is %d; turns count from 1", e.Turn)
	case e.Latency < 0:
		return fmt.Errorf("latency is %s; it cannot be negative", e.Latency)
	case e.Always && (e.Turn != 0 || e.When != When{}):
		return errors.New("always is only for an entry without turn and when")
	case e.Error != nil && !knownKinds[e.Error.Kind]:
		return fmt.Errorf("error kind %q is not known", e.Error.Kind)
	}
	switch e.Finish {
	case "", models.FinishStop, models.FinishToolCalls, models.FinishLength, models.FinishContentFilter:
	default:
		return fmt.Errorf("finish %q is not known; use stop, tool_calls, length or content_filter", e.Finish)
	}
	for i, c := range e.Calls {
		if c.Tool == "" {
			return fmt.Errorf("call %d names no tool", i+1)
		}
		if _, err := c.arguments(); err != nil {
			return fmt.Errorf("the arguments of call %d (%s) cannot be JSON: %w", i+1, c.Tool, err)
		}
	}
	if _, err := json.Marshal(e.Output); err != nil {
		return fmt.Errorf("the output cannot be JSON: %w", err)
	}
	return nil
}

var knownKinds = map[models.ErrorKind]bool{
	models.KindUnknown: true, models.KindRateLimit: true, models.KindQuota: true, models.KindAuth: true,
	models.KindNotFound: true, models.KindInvalidRequest: true, models.KindContextLength: true,
	models.KindContentFilter: true, models.KindTimeout: true, models.KindUnavailable: true,
	models.KindIncomplete: true, models.KindMalformed: true, models.KindTooLarge: true,
	models.KindUnreachable: true, models.KindNoAnswer: true, models.KindCanceled: true,
}

// plain reports whether the entry's place in the script is its turn.
func (e *Entry) plain() bool { return e.Turn == 0 && e.When == When{} && !e.Always }

// fits reports whether the entry answers a request; place is its number if plain.
func (e *Entry) fits(a *asked, place int) bool {
	if e.Agent != "" && e.Agent != a.agent {
		return false
	}
	if e.plain() {
		return place == a.turn
	}
	return (e.Turn == 0 || e.Turn == a.turn) &&
		strings.Contains(a.user, e.When.User) &&
		strings.Contains(a.tool, e.When.Tool) &&
		strings.Contains(a.system, e.When.System)
}

// describe names the conditions of an entry.
func (e *Entry) describe(place int) string {
	agent, rest := e.Agent, ""
	if agent == "" {
		agent = "any agent"
	}
	switch {
	case e.Turn > 0:
		rest = fmt.Sprintf(" turn %d", e.Turn)
	case e.plain():
		rest = fmt.Sprintf(" turn %d", place)
	case e.Always:
		rest = " always"
	}
	for _, c := range []struct{ where, text string }{
		{"user", e.When.User}, {"tool", e.When.Tool}, {"system", e.When.System},
	} {
		if c.text != "" {
			rest += fmt.Sprintf(" when %s has %q", c.where, models.OneLine(c.text, 40))
		}
	}
	return agent + rest
}

// arguments returns the text that the model would have written.
func (c *Call) arguments() (string, error) {
	switch v := c.Arguments.(type) {
	case nil:
		return "{}", nil
	case string:
		return v, nil
	}
	return marshal(c.Arguments)
}

func marshal(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
