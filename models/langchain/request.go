package langchain

import (
	"errors"
	"fmt"

	"github.com/tmc/langchaingo/llms"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/internal/wire"
)

// refuse is the error of a request that is not sent.
func refuse(provider string, err error) error {
	return &models.Error{Kind: models.KindInvalidRequest, Provider: provider, Message: err.Error()}
}

var roles = map[models.Role]llms.ChatMessageType{
	models.RoleSystem:    llms.ChatMessageTypeSystem,
	models.RoleUser:      llms.ChatMessageTypeHuman,
	models.RoleAssistant: llms.ChatMessageTypeAI,
	models.RoleTool:      llms.ChatMessageTypeTool,
}

// contents translates a conversation; image makes the part of an image.
func contents(conversation []wire.Message, image func(*models.Image) llms.ContentPart) ([]llms.MessageContent, error) {
	var out []llms.MessageContent
	for i, m := range conversation {
		role, ok := roles[m.Role]
		if !ok {
			return nil, fmt.Errorf("message %d has role %q, which langchaingo does not know", i+1, m.Role)
		}
		c := llms.MessageContent{Role: role}
		switch {
		case m.Role == models.RoleTool:
			c.Parts = []llms.ContentPart{llms.ToolCallResponse{ToolCallID: m.ToolCallID, Name: m.Name, Content: m.Content}}
		case len(m.Parts) > 0:
			for _, part := range m.Parts {
				if part.Image != nil {
					c.Parts = append(c.Parts, image(part.Image))
				} else {
					c.Parts = append(c.Parts, llms.TextPart(part.Text))
				}
			}
		case m.Content != "":
			c.Parts = append(c.Parts, llms.TextPart(m.Content))
		}
		for _, call := range m.ToolCalls {
			c.Parts = append(c.Parts, llms.ToolCall{
				ID: call.ID, Type: "function",
				FunctionCall: &llms.FunctionCall{Name: call.Name, Arguments: call.Arguments},
			})
		}
		out = append(out, c)
	}
	return out, nil
}

// toolOptions translates the tools and the choice among them. Servers refuse a choice
// without tools.
func toolOptions(req *models.Request) ([]llms.CallOption, error) {
	if len(req.Tools) == 0 {
		return nil, nil
	}
	var tools []llms.Tool
	for _, t := range req.Tools {
		schema, err := wire.ToolSchema(t)
		if err != nil {
			return nil, err
		}
		tools = append(tools, llms.Tool{
			Type:     "function",
			Function: &llms.FunctionDefinition{Name: t.Name, Description: t.Description, Parameters: schema},
		})
	}
	options := []llms.CallOption{llms.WithTools(tools)}
	switch choice := req.Params.ToolChoice; choice {
	case "":
	case models.ToolChoiceAuto, models.ToolChoiceNone, models.ToolChoiceRequired:
		options = append(options, llms.WithToolChoice(choice))
	default:
		options = append(options, llms.WithToolChoice(llms.ToolChoice{Type: "function", Function: &llms.FunctionReference{Name: choice}}))
	}
	return options, nil
}

// request translates what is asked of any model of the library, and refuses what the
// library cannot say.
func (m *Model) request(req *models.Request) ([]llms.MessageContent, []llms.CallOption, error) {
	p := req.Params
	options, err := toolOptions(req)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case p.ParallelToolCalls != nil && len(req.Tools) > 0:
		return nil, nil, errors.New("langchaingo cannot say whether tools may be called in parallel; leave it out, or use models/openai")
	case p.ReasoningEffort != "":
		return nil, nil, errors.New("langchaingo has no reasoning effort; leave it out, and give llms.WithThinkingMode as one of Options.CallOptions")
	case p.Seed != nil && *p.Seed == 0:
		return nil, nil, errors.New("langchaingo cannot tell a seed of 0 from none; use another one")
	case p.TopP != nil && *p.TopP == 0:
		return nil, nil, errors.New("langchaingo cannot tell a top_p of 0 from none; use a small number")
	case req.Output != nil && !m.opts.JSONMode:
		return nil, nil, errors.New("langchaingo cannot ask for an output schema; set Options.JSONMode to ask for it in words")
	}
	if err := wire.CheckParams(p); err != nil {
		return nil, nil, err
	}
	if err := wire.CheckOutput(req.Output); err != nil {
		return nil, nil, err
	}
	conversation, err := wire.Conversation(withSchema(req))
	if err != nil {
		return nil, nil, err
	}
	messages, err := contents(conversation, func(i *models.Image) llms.ContentPart {
		if len(i.Data) > 0 {
			return llms.BinaryPart(i.MediaType, i.Data)
		}
		return llms.ImageURLWithDetailPart(i.URL, i.Detail)
	})
	if err != nil {
		return nil, nil, err
	}
	if m.opts.OnePartPerMessage {
		messages = split(messages)
	}
	if m.opts.Model != "" {
		options = append(options, llms.WithModel(m.opts.Model))
	}
	if p.Temperature != nil {
		options = append(options, llms.WithTemperature(*p.Temperature))
	}
	if p.TopP != nil {
		options = append(options, llms.WithTopP(*p.TopP))
	}
	if p.Seed != nil {
		options = append(options, llms.WithSeed(*p.Seed))
	}
	if p.MaxTokens > 0 {
		options = append(options, llms.WithMaxTokens(p.MaxTokens))
	}
	if len(p.Stop) > 0 {
		options = append(options, llms.WithStopWords(p.Stop))
	}
	if req.Output != nil {
		options = append(options, llms.WithJSONMode())
	}
	return messages, append(options, m.opts.CallOptions...), nil
}

// withSchema returns the conversation with the output schema in it, after the
// instructions that it begins with.
func withSchema(req *models.Request) []models.Message {
	if req.Output == nil {
		return req.Messages
	}
	at := 0
	for at < len(req.Messages) && req.Messages[at].Role == models.RoleSystem {
		at++
	}
	out := append([]models.Message{}, req.Messages[:at]...)
	out = append(out, models.SystemMessage("Answer with one JSON value of this JSON Schema, and with nothing else:\n"+string(req.Output.Schema)))
	return append(out, req.Messages[at:]...)
}

// split gives each part of the assistant's messages a message of its own.
func split(messages []llms.MessageContent) []llms.MessageContent {
	var out []llms.MessageContent
	for _, m := range messages {
		if m.Role != llms.ChatMessageTypeAI {
			out = append(out, m)
			continue
		}
		for _, part := range m.Parts {
			out = append(out, llms.MessageContent{Role: m.Role, Parts: []llms.ContentPart{part}})
		}
	}
	return out
}
