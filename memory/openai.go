package memory

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

// The messages of the OpenAI chat API, as requests, recordings and training files have
// them.
type openaiMessage struct {
	Role         string          `json:"role"`
	Content      json.RawMessage `json:"content"` // a string, parts, or null
	Name         string          `json:"name,omitempty"`
	ToolCalls    []openaiCall    `json:"tool_calls,omitempty"`
	ToolCallID   string          `json:"tool_call_id,omitempty"`
	Refusal      string          `json:"refusal,omitempty"`
	FunctionCall *openaiFunction `json:"function_call,omitempty"` // before there were tool calls
}

type openaiCall struct {
	ID       string         `json:"id"`
	Type     string         `json:"type"`
	Function openaiFunction `json:"function"`
}

type openaiFunction struct {
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type openaiPart struct {
	Type     string       `json:"type"`
	Text     string       `json:"text,omitempty"`
	Refusal  string       `json:"refusal,omitempty"`
	ImageURL *openaiImage `json:"image_url,omitempty"`
}

type openaiImage struct {
	URL    string `json:"url"`
	Detail string `json:"detail,omitempty"`
}

// DecodeOpenAI reads messages in the format of the OpenAI chat API: an array of them, or
// an object that has them as "messages". Fields that it does not know are passed over;
// content that a [models.Message] cannot hold, such as audio, is an error.
//
// A tool's result belongs to the nearest calls before it: to the one with its id that has
// no result yet, or else to the first one without. Recordings repeat ids, over answers and
// within one; where an answer does, the later calls get ids of their own.
func DecodeOpenAI(data []byte) ([]models.Message, error) {
	var list []openaiMessage
	if b := bytes.TrimLeft(data, " \t\r\n"); len(b) > 0 && b[0] == '{' {
		var object struct {
			Messages *[]openaiMessage `json:"messages"`
		}
		if err := json.Unmarshal(data, &object); err != nil {
			return nil, fmt.Errorf("OpenAI messages: %w", err)
		}
		if object.Messages == nil {
			return nil, errors.New(`OpenAI messages: the object has no "messages"`)
		}
		list = *object.Messages
	} else if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("OpenAI messages: %w", err)
	}
	out := make([]models.Message, 0, len(list))
	var open []openCall
	for i := range list {
		m, err := list[i].message(&open)
		if err != nil {
			return nil, fmt.Errorf("OpenAI messages: message %d: %w", i, err)
		}
		out = append(out, m)
	}
	return out, nil
}

// openCall is a call that waits for its result, with the id that the recording gives it.
type openCall struct {
	recorded string
	models.ToolCall
}

func (o *openaiMessage) message(open *[]openCall) (m models.Message, err error) {
	if err := o.read(&m); err != nil {
		return m, err
	}
	switch o.Role {
	case "system", "developer":
		m.Role = models.RoleSystem
	case "user":
		m.Role = models.RoleUser
	case "assistant":
		m.Role = models.RoleAssistant
		if m.Content == "" {
			m.Content = o.Refusal
		}
		*open, err = o.calls()
		for _, c := range *open {
			m.ToolCalls = append(m.ToolCalls, c.ToolCall)
		}
		return m, err
	case "tool", "function":
		m.Role = models.RoleTool
		call, err := o.pair(open)
		m.ToolCallID, m.Name = call.ID, call.Name
		return m, err
	default:
		return m, fmt.Errorf("there is no role %q", o.Role)
	}
	*open = nil
	return m, nil
}

// calls gives a message's calls, each with an id that no other one of it has.
func (o *openaiMessage) calls() ([]openCall, error) {
	list := o.ToolCalls
	if len(list) == 0 && o.FunctionCall != nil {
		list = []openaiCall{{Function: *o.FunctionCall}}
	}
	if len(list) > models.MaxToolCalls {
		return nil, fmt.Errorf("it has %d tool calls, and may have %d", len(list), models.MaxToolCalls)
	}
	taken := map[string]bool{"": true}
	for _, c := range list {
		taken[c.ID] = true
	}
	var out []openCall
	used := map[string]bool{"": true}
	for i, c := range list {
		if c.Type != "" && c.Type != "function" {
			return nil, fmt.Errorf("its tool call %d is of type %q, not a function", i, c.Type)
		}
		id := c.ID
		for n := i + 1; used[id]; n++ {
			if next := fmt.Sprintf("%s-%d", firstOf(c.ID, "call"), n); !taken[next] {
				id = next
			}
		}
		used[id], taken[id] = true, true
		out = append(out, openCall{c.ID, models.ToolCall{ID: id, Name: c.Function.Name, Arguments: c.Function.Arguments}})
	}
	return out, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// pair finds the call of a result, and takes it from those that have none.
func (o *openaiMessage) pair(open *[]openCall) (models.ToolCall, error) {
	if len(*open) == 0 {
		return models.ToolCall{}, errors.New("it is the result of a tool call, but no call before it waits for one")
	}
	found := 0
	for i, c := range *open {
		if c.recorded == o.ToolCallID {
			found = i
			break
		}
	}
	call := (*open)[found].ToolCall
	*open = append((*open)[:found:found], (*open)[found+1:]...)
	return call, nil
}

// read takes the content of a message.
func (o *openaiMessage) read(m *models.Message) error {
	if len(o.Content) == 0 || string(o.Content) == "null" {
		return nil
	}
	if o.Content[0] == '"' {
		return json.Unmarshal(o.Content, &m.Content)
	}
	var parts []openaiPart
	if err := json.Unmarshal(o.Content, &parts); err != nil {
		return fmt.Errorf("its content is neither text nor parts: %w", err)
	}
	var texts []string
	for i, p := range parts {
		switch {
		case p.Type == "text":
			texts = append(texts, p.Text)
		case p.Type == "refusal":
			texts = append(texts, p.Refusal)
		case p.Type == "image_url" && p.ImageURL != nil:
			m.Images = append(m.Images, p.ImageURL.image())
		default:
			return fmt.Errorf("its part %d is of type %q, which cannot be kept", i, p.Type)
		}
	}
	m.Content = strings.Join(texts, "\n")
	return nil
}

func (o *openaiImage) image() models.Image {
	if head, data, ok := strings.Cut(o.URL, ";base64,"); ok && strings.HasPrefix(head, "data:") {
		if b, err := base64.StdEncoding.DecodeString(data); err == nil {
			return models.Image{MediaType: strings.TrimPrefix(head, "data:"), Data: b, Detail: o.Detail}
		}
	}
	return models.Image{URL: o.URL, Detail: o.Detail}
}

// EncodeOpenAI writes messages in the format of the OpenAI chat API, as one array.
func EncodeOpenAI(messages []models.Message) ([]byte, error) {
	list := make([]openaiMessage, len(messages))
	for i, m := range messages {
		o := openaiMessage{Role: string(m.Role), ToolCallID: m.ToolCallID, Name: m.Name}
		for _, c := range m.ToolCalls {
			o.ToolCalls = append(o.ToolCalls, openaiCall{c.ID, "function", openaiFunction{c.Name, c.Arguments}})
		}
		var err error
		switch {
		case len(m.Images) > 0:
			o.Content, err = json.Marshal(openaiParts(m))
		case m.Content == "" && len(m.ToolCalls) > 0:
			o.Content = json.RawMessage("null")
		default:
			o.Content, err = json.Marshal(m.Content)
		}
		if err != nil {
			return nil, fmt.Errorf("OpenAI messages: message %d: %w", i, err)
		}
		list[i] = o
	}
	b, err := json.Marshal(list)
	if err != nil {
		return nil, fmt.Errorf("OpenAI messages: %w", err)
	}
	return b, nil
}

func openaiParts(m models.Message) (parts []openaiPart) {
	if m.Content != "" {
		parts = append(parts, openaiPart{Type: "text", Text: m.Content})
	}
	for _, im := range m.Images {
		url := im.URL
		if len(im.Data) > 0 {
			url = "data:" + im.MediaType + ";base64," + base64.StdEncoding.EncodeToString(im.Data)
		}
		parts = append(parts, openaiPart{Type: "image_url", ImageURL: &openaiImage{url, im.Detail}})
	}
	return parts
}
