package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/agentrun-dev/agentrun/models"
)

// chunk is one event of the stream, as far as it matters here. It is parsed here and
// not by the library, which knows only one of the names for reasoning.
type chunk struct {
	ID      string       `json:"id"`
	Model   string       `json:"model"`
	Choices some[choice] `json:"choices"`
	Usage   *struct {
		PromptTokens     int64 `json:"prompt_tokens"`
		CompletionTokens int64 `json:"completion_tokens"`
		PromptDetails    struct {
			CachedTokens int64 `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
		CacheHit          int64 `json:"prompt_cache_hit_tokens"` // DeepSeek
		CompletionDetails struct {
			ReasoningTokens int64 `json:"reasoning_tokens"`
		} `json:"completion_tokens_details"`
	} `json:"usage"`
	Error json.RawMessage `json:"error"`
}

type choice struct {
	Index int `json:"index"`
	Delta struct {
		Content          string          `json:"content"`
		Refusal          string          `json:"refusal"`
		ReasoningContent string          `json:"reasoning_content"` // DeepSeek, older vLLM, llama.cpp
		Reasoning        string          `json:"reasoning"`         // OpenRouter, vLLM, Ollama
		ToolCalls        some[toolDelta] `json:"tool_calls"`
	} `json:"delta"`
	FinishReason string `json:"finish_reason"`
}

// some is the beginning of a list: as much of it as an answer may have, and one more. An
// element takes many times the memory of the three bytes that it may be written with.
type some[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *some[T]) UnmarshalJSON(text []byte) error {
	if *l = nil; string(text) == "null" {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	begin, err := dec.Token()
	if err != nil || begin != json.Delim('[') {
		return fmt.Errorf("%v where a list was expected", begin)
	}
	for len(*l) <= models.MaxToolCalls && dec.More() {
		var v T
		if err := dec.Decode(&v); err != nil {
			return err
		}
		*l = append(*l, v)
	}
	return nil
}

type toolDelta struct {
	Index    *int   `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// answer puts chunks together. Its memory is bounded by models.Checked, which stops
// the exchange when the events become too many bytes.
type answer struct {
	turn    int // number of this answer in its conversation, for made-up ids
	chunks  int
	text    strings.Builder
	refused bool
	calls   []*call
	byIndex map[int]*call // where the server's index leads
	finish  models.FinishReason
	usage   models.Usage
	model   string
	id      string
}

type call struct {
	index    int // among the answer's calls
	id, name string
	args     strings.Builder
}

// errFinishedInError is for servers that give "error" as reason to finish.
var errFinishedInError = errors.New("the server ended the answer with an error that it did not describe")

// add takes one chunk and returns what it adds to the answer.
func (a *answer) add(raw []byte) ([]models.Event, error) {
	if !utf8.Valid(raw) {
		// The JSON decoder would put U+FFFD in its place without a word.
		return nil, errors.New("the stream has bytes that are not valid UTF-8")
	}
	var c chunk
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, fmt.Errorf("chunk %d of the stream cannot be read (%w): %s", a.chunks+1, err, models.OneLine(string(raw), 120))
	}
	if len(c.Error) > 0 && string(c.Error) != "null" {
		return nil, &eventError{raw}
	}
	a.chunks++
	if c.ID != "" {
		a.id = c.ID
	}
	if c.Model != "" {
		a.model = c.Model
	}
	if u := c.Usage; u != nil {
		a.usage = models.Usage{
			InputTokens:     u.PromptTokens,
			OutputTokens:    u.CompletionTokens,
			CachedTokens:    max(u.PromptDetails.CachedTokens, u.CacheHit),
			ReasoningTokens: u.CompletionDetails.ReasoningTokens,
		}
	}
	var events []models.Event
	for _, choice := range c.Choices {
		if choice.Index != 0 { // only one was asked for
			continue
		}
		d := choice.Delta
		reasoning := d.Reasoning
		if reasoning == "" { // some servers send both, with the same text
			reasoning = d.ReasoningContent
		}
		if reasoning != "" {
			events = append(events, models.Event{Reasoning: reasoning})
		}
		if text := d.Content + d.Refusal; text != "" {
			a.text.WriteString(text)
			events = append(events, models.Event{Delta: text})
		}
		a.refused = a.refused || d.Refusal != ""
		for _, t := range d.ToolCalls {
			if delta := a.tool(t); delta != nil {
				events = append(events, models.Event{ToolCall: delta})
			}
			if len(a.calls) > models.MaxToolCalls {
				return events, nil // models.Checked ends the answer; one line could hold millions
			}
		}
		if choice.FinishReason == "error" {
			return nil, errFinishedInError
		}
		if choice.FinishReason != "" {
			a.finish = finishReason(choice.FinishReason)
			events = append(events, a.nameCalls()...)
		}
	}
	return events, nil
}

// tool adds a piece to the call that it belongs to, and returns what is new in it.
//
// The index decides. Where there is none, or a server counts wrongly and gives several
// whole calls one index, another id means another call. Servers that repeat id and
// name in each piece add nothing by it.
func (a *answer) tool(t toolDelta) *models.ToolCallDelta {
	var c *call
	if t.Index != nil {
		c = a.byIndex[*t.Index]
	} else if len(a.calls) > 0 {
		c = a.calls[len(a.calls)-1]
	}
	if c != nil && t.ID != "" && c.id != "" && t.ID != c.id {
		c = nil
	}
	if c == nil {
		if t.ID == "" && t.Function.Name == "" && t.Function.Arguments == "" {
			return nil // an empty piece begins nothing
		}
		c = &call{index: len(a.calls)}
		a.calls = append(a.calls, c)
	}
	if t.Index != nil {
		if a.byIndex == nil {
			a.byIndex = make(map[int]*call)
		}
		a.byIndex[*t.Index] = c
	}
	delta := &models.ToolCallDelta{Index: c.index, Arguments: t.Function.Arguments}
	if c.id == "" && t.ID != "" {
		c.id, delta.ID = t.ID, t.ID
	}
	if c.name == "" && t.Function.Name != "" {
		c.name, delta.Name = t.Function.Name, t.Function.Name
	}
	c.args.WriteString(t.Function.Arguments)
	if delta.ID == "" && delta.Name == "" && delta.Arguments == "" {
		return nil
	}
	return delta
}

// nameCalls gives the calls without an id one, as some servers give none. It only has
// to be the same when the answer is.
func (a *answer) nameCalls() []models.Event {
	var events []models.Event
	for _, c := range a.calls {
		if c.id == "" {
			c.id = fmt.Sprintf("call_%d_%d", a.turn, c.index+1)
			events = append(events, models.Event{ToolCall: &models.ToolCallDelta{Index: c.index, ID: c.id}})
		}
	}
	return events
}

// response returns the whole answer; finish is known.
func (a *answer) response() (*models.Response, error) {
	m := models.AssistantMessage(a.text.String())
	a.nameCalls() // that came after the finish_reason
	for _, c := range a.calls {
		m.ToolCalls = append(m.ToolCalls, models.ToolCall{ID: c.id, Name: c.name, Arguments: c.args.String()})
	}
	finish := a.finish
	switch {
	case a.refused && finish == models.FinishStop:
		finish = models.FinishContentFilter
	case len(m.ToolCalls) > 0 && finish == models.FinishStop: // Ollama, older vLLM
		finish = models.FinishToolCalls
	case len(m.ToolCalls) == 0 && finish == models.FinishToolCalls:
		finish = models.FinishStop
	}
	resp := &models.Response{Message: m, Finish: finish, Usage: a.usage, Model: a.model, ID: a.id}
	return resp, resp.Validate()
}

// finishReason translates a server's word. Unknown words mean a normal end, since the
// server did say that it is one.
func finishReason(word string) models.FinishReason {
	switch word {
	case "tool_calls", "function_call":
		return models.FinishToolCalls
	case "length", "max_tokens", "model_length":
		return models.FinishLength
	case "content_filter":
		return models.FinishContentFilter
	}
	return models.FinishStop
}
