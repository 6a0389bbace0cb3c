package openai

import (
	"math"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/internal/wire"
)

// request translates what is asked into the library's words.
func (c *Client) request(req *models.Request) (*api.ChatCompletionRequest, error) {
	p := req.Params
	out := &api.ChatCompletionRequest{
		Model: c.model,
		// MaxTokens is refused for reasoning models; this is its successor.
		MaxCompletionTokens: p.MaxTokens,
		Seed:                p.Seed,
		Stop:                p.Stop,
		Temperature:         number(p.Temperature),
		TopP:                number(p.TopP),
		ReasoningEffort:     p.ReasoningEffort,
	}
	if out.Model == "" {
		out.Model = req.Model
	}
	if !c.withoutUsage {
		out.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	}
	if err := wire.CheckParams(p); err != nil {
		return nil, err
	}
	conversation, err := wire.Conversation(req.Messages)
	if err != nil {
		return nil, err
	}
	for _, m := range conversation {
		out.Messages = append(out.Messages, message(m))
	}
	for _, t := range req.Tools {
		schema, err := wire.ToolSchema(t)
		if err != nil {
			return nil, err
		}
		out.Tools = append(out.Tools, api.Tool{
			Type:     api.ToolTypeFunction,
			Function: &api.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: schema},
		})
	}
	if len(out.Tools) > 0 { // servers refuse both without tools
		out.ToolChoice = toolChoice(p.ToolChoice)
		if p.ParallelToolCalls != nil {
			out.ParallelToolCalls = *p.ParallelToolCalls
		}
	}
	if o := req.Output; o != nil {
		if err := wire.CheckOutput(o); err != nil {
			return nil, err
		}
		out.ResponseFormat = &api.ChatCompletionResponseFormat{
			Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: wire.SchemaName(o.Name), Schema: o.Schema, Strict: true},
		}
	}
	return out, nil
}

func message(m wire.Message) api.ChatCompletionMessage {
	out := api.ChatCompletionMessage{Role: string(m.Role), Content: m.Content, ToolCallID: m.ToolCallID}
	for _, call := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, api.ToolCall{
			ID:       call.ID,
			Type:     api.ToolTypeFunction,
			Function: api.FunctionCall{Name: call.Name, Arguments: call.Arguments},
		})
	}
	if len(m.Parts) == 0 {
		return out
	}
	out.Content = "" // the library takes one or the other
	for _, part := range m.Parts {
		if part.Image == nil {
			out.MultiContent = append(out.MultiContent, api.ChatMessagePart{Type: api.ChatMessagePartTypeText, Text: part.Text})
			continue
		}
		out.MultiContent = append(out.MultiContent, api.ChatMessagePart{
			Type:     api.ChatMessagePartTypeImageURL,
			ImageURL: &api.ChatMessageImageURL{URL: wire.ImageURL(part.Image), Detail: api.ImageURLDetail(part.Image.Detail)},
		})
	}
	return out
}

// number converts a setting. The library leaves 0 out, which would mean the server's
// default: 1 for a temperature. The least number above it keeps the library's own
// checks at work, and zeros puts the 0 in its place.
func number(v *float64) float32 {
	switch {
	case v == nil:
		return 0
	case *v == 0:
		return math.SmallestNonzeroFloat32
	}
	return float32(*v)
}

// zeros returns what makes settings of 0 exact, or nil. Servers warn about numbers
// that are almost 0, and raise them.
func zeros(p models.Params) func(wire.Body) {
	isZero := func(v *float64) bool { return v != nil && *v == 0 }
	if !isZero(p.Temperature) && !isZero(p.TopP) {
		return nil
	}
	return func(b wire.Body) {
		if isZero(p.Temperature) {
			b.Set("temperature", 0)
		}
		if isZero(p.TopP) {
			b.Set("top_p", 0)
		}
	}
}

func toolChoice(choice string) any {
	switch choice {
	case "":
		return nil
	case models.ToolChoiceAuto, models.ToolChoiceNone, models.ToolChoiceRequired:
		return choice
	}
	return api.ToolChoice{Type: api.ToolTypeFunction, Function: api.ToolFunction{Name: choice}}
}
