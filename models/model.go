package models

import (
	"context"
	"encoding/json"
	"iter"
)

// Model answers requests.
//
// Implementations are safe for concurrent use and keep nothing between calls: the
// process may be killed and the request asked again by another one.
type Model interface {
	// Generate streams one answer. The sequence ends with an [Event] whose Response
	// is set, or with an error (an [*Error]); nothing follows either. It may be
	// ranged over once. Leaving the loop early, like cancelling ctx, gives up the
	// answer and releases what it holds. The request is not modified and not kept.
	Generate(ctx context.Context, req *Request) iter.Seq2[Event, error]
}

// Request is all that a model is told. The zero Params leave every choice to the
// model's server.
type Request struct {
	// Model is the name by which the agent asks, such as "gpt-4.1" or
	// "openai:gpt-4.1".
	Model string `json:"model"`
	// Agent is the label of the agent that asks. Scripts choose answers by it and
	// telemetry shows it; it is never sent to a provider.
	Agent    string        `json:"agent,omitempty"`
	Messages []Message     `json:"messages"`
	Tools    []ToolSpec    `json:"tools,omitempty"`
	Output   *OutputSchema `json:"output,omitempty"`
	Params   Params        `json:"params,omitzero"`
}

// ToolSpec describes a tool to the model.
type ToolSpec struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Schema is the JSON Schema of the arguments, an object. Empty means no arguments.
	Schema json.RawMessage `json:"schema,omitempty"`
}

// OutputSchema asks for an answer that is JSON of this schema. Providers that can
// enforce it do (OpenAI's strict json_schema); it is for the caller to validate all
// the same, since not every server does.
type OutputSchema struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
}

// Choices for [Params.ToolChoice]. Any other value is the name of the one tool that
// the model must call.
const (
	ToolChoiceAuto     = "auto"
	ToolChoiceNone     = "none"
	ToolChoiceRequired = "required"
)

// Params are the settings of a request. A nil or zero field is not sent.
type Params struct {
	Temperature       *float64 `json:"temperature,omitempty"`
	TopP              *float64 `json:"topP,omitempty"`
	MaxTokens         int      `json:"maxTokens,omitempty"` // of the answer, reasoning included
	Seed              *int     `json:"seed,omitempty"`
	Stop              []string `json:"stop,omitempty"`
	ToolChoice        string   `json:"toolChoice,omitempty"`
	ParallelToolCalls *bool    `json:"parallelToolCalls,omitempty"`
	// ReasoningEffort is how much a reasoning model thinks: "minimal", "low",
	// "medium", "high", or what else its provider knows.
	ReasoningEffort string `json:"reasoningEffort,omitempty"`
}

// FinishReason says why an answer ended.
type FinishReason string

// Reasons to end an answer.
const (
	FinishStop          FinishReason = "stop"           // the model was done
	FinishToolCalls     FinishReason = "tool_calls"     // the model waits for results of its calls
	FinishLength        FinishReason = "length"         // cut at the token limit: text and arguments may be partial
	FinishContentFilter FinishReason = "content_filter" // the provider or the model refused
)

// Usage counts the tokens of one or more answers.
type Usage struct {
	InputTokens     int64 `json:"inputTokens"`
	OutputTokens    int64 `json:"outputTokens"`
	CachedTokens    int64 `json:"cachedTokens,omitempty"`    // part of InputTokens
	ReasoningTokens int64 `json:"reasoningTokens,omitempty"` // part of OutputTokens
}

// Add returns the sum of u and v.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens:     u.InputTokens + v.InputTokens,
		OutputTokens:    u.OutputTokens + v.OutputTokens,
		CachedTokens:    u.CachedTokens + v.CachedTokens,
		ReasoningTokens: u.ReasoningTokens + v.ReasoningTokens,
	}
}

// Response is a whole answer.
type Response struct {
	Message Message      `json:"message"`
	Finish  FinishReason `json:"finish"`
	// Usage is zero when the provider did not report it.
	Usage Usage `json:"usage"`
	// Model and ID are what the provider reports: the model that really answered,
	// and the answer's id, for its support desk. Both may be empty.
	Model string `json:"model,omitempty"`
	ID    string `json:"id,omitempty"`
	// Answered is the name in the chain of the model that answered, see [Fallback];
	// "" without a chain.
	Answered string `json:"answered,omitempty"`
	// Tried are the attempts that failed before this answer came, in order: those of
	// [WithRetry] and of [Fallback].
	Tried []Tried `json:"tried,omitempty"`
	// Cached says that no model was asked: see [WithCache]. Usage is then what the
	// answer took when it was given.
	Cached bool `json:"cached,omitempty"`
}

// Event is one step of an answer. At most one of the fields is set.
type Event struct {
	// Delta is text to append. All deltas since the last Superseded, or since the
	// beginning, are Response.Message.Content.
	Delta string `json:"delta,omitempty"`
	// Reasoning is text that the model thinks aloud. It is shown, not kept.
	Reasoning string `json:"reasoning,omitempty"`
	// ToolCall is a piece of a tool call. The calls of different indexes may come
	// interleaved.
	ToolCall *ToolCallDelta `json:"toolCall,omitempty"`
	// Superseded says that what came so far is void, and why: that attempt failed, and
	// another one begins with its text at offset 0. Only a [Fallback] that was told so
	// sends it.
	Superseded *Tried `json:"superseded,omitempty"`
	// Response is set on the last event, and only there.
	Response *Response `json:"response,omitempty"`
}

// ToolCallDelta is a piece of the tool call at Index of the answer's ToolCalls.
// ID and Name come with the first piece; Arguments is text to append.
type ToolCallDelta struct {
	Index     int    `json:"index"`
	ID        string `json:"id,omitempty"`
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments,omitempty"`
}
