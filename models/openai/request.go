package openai

import (
	"encoding/json"
	"math"
	"strings"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
)

// The library leaves out empty content, and servers refuse messages without any.
const (
	noOutput = "(no output)" // an empty tool result
	noText   = "(empty)"     // an empty message of user or assistant
)

var noArguments = json.RawMessage(`{"type":"object","properties":{}}`)

// request translates what is asked into the library's words.
func (c *Client) request(req *models.Request) (*api.ChatCompletionRequest, error) {
	out := &api.ChatCompletionRequest{
		Model: c.model,
		// MaxTokens is refused for reasoning models; this is its successor.
		MaxCompletionTokens: req.Params.MaxTokens,
		Seed:                req.Params.Seed,
		Stop:                req.Params.Stop,
		Temperature:         number(req.Params.Temperature),
		TopP:                number(req.Params.TopP),
	}
	if out.Model == "" {
		out.Model = req.Model
	}
	if !c.withoutUsage {
		out.StreamOptions = &api.StreamOptions{IncludeUsage: true}
	}
	for _, m := range req.Messages {
		if m.Role == models.RoleSystem && m.Content == "" {
			continue
		}
		out.Messages = append(out.Messages, message(m))
	}
	for _, t := range req.Tools {
		schema := t.Schema
		if len(schema) == 0 {
			schema = noArguments
		}
		if !json.Valid(schema) {
			return nil, c.refused("the schema of tool " + t.Name + " is not JSON")
		}
		out.Tools = append(out.Tools, api.Tool{
			Type:     api.ToolTypeFunction,
			Function: &api.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: schema},
		})
	}
	if len(out.Tools) > 0 { // servers refuse both without tools
		out.ToolChoice = toolChoice(req.Params.ToolChoice)
		if p := req.Params.ParallelToolCalls; p != nil {
			out.ParallelToolCalls = *p
		}
	}
	if o := req.Output; o != nil {
		if !json.Valid(o.Schema) {
			return nil, c.refused("the output schema " + o.Name + " is not JSON")
		}
		out.ResponseFormat = &api.ChatCompletionResponseFormat{
			Type:       api.ChatCompletionResponseFormatTypeJSONSchema,
			JSONSchema: &api.ChatCompletionResponseFormatJSONSchema{Name: schemaName(o.Name), Schema: o.Schema, Strict: true},
		}
	}
	return out, nil
}

func (c *Client) refused(message string) *models.Error {
	return &models.Error{Kind: models.KindInvalidRequest, Provider: providerName, Message: message}
}

func message(m models.Message) api.ChatCompletionMessage {
	out := api.ChatCompletionMessage{Role: string(m.Role), Content: m.Content}
	switch m.Role {
	case models.RoleTool:
		out.ToolCallID = m.ToolCallID
		if out.Content == "" {
			out.Content = noOutput
		}
		return out
	case models.RoleAssistant:
		for _, call := range m.ToolCalls {
			out.ToolCalls = append(out.ToolCalls, api.ToolCall{
				ID:       call.ID,
				Type:     api.ToolTypeFunction,
				Function: api.FunctionCall{Name: call.Name, Arguments: arguments(call.Arguments)},
			})
		}
		if len(out.ToolCalls) > 0 {
			return out
		}
	}
	if out.Content == "" {
		out.Content = noText
	}
	return out
}

// arguments makes a call's arguments an object again. Many servers parse those of
// earlier turns and fail the whole request over what the model once wrote wrongly.
func arguments(text string) string {
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	if json.Valid([]byte(text)) {
		return text
	}
	// Cannot fail: a map of strings.
	wrapped, _ := json.Marshal(map[string]string{"invalid_arguments": text})
	return string(wrapped)
}

// number converts a setting. The library leaves 0 out, which would mean the server's
// default: 1 for a temperature.
func number(v *float64) float32 {
	switch {
	case v == nil:
		return 0
	case *v == 0:
		return math.SmallestNonzeroFloat32
	}
	return float32(*v)
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

// schemaName makes a name of what the API allows: letters, digits, _ and -, at most 64.
func schemaName(name string) string {
	name = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	if name == "" {
		return "output"
	}
	return name[:min(len(name), 64)]
}
