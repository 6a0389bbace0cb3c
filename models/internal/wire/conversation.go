package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/agentrun-dev/agentrun/models"
)

// What stands in for nothing: libraries leave out empty content, and servers refuse
// messages without any.
const (
	noOutput   = "(no output)" // an empty tool result
	noText     = "(empty)"     // an empty message of user or assistant
	seeImages  = "(the images follow)"
	noSchema   = `{"type":"object","properties":{}}`
	maxSchema  = 64 // letters of a schema's name
	imageIntro = "Images of the result of "
)

// Part is a piece of a message: text or an image.
type Part struct {
	Text  string
	Image *models.Image
}

// Message is a message as servers take it. Parts, if there are any, stand for its
// Content and its Images, which come first in it.
type Message struct {
	models.Message
	Parts []Part
}

// Conversation returns the messages as servers take them: nothing is empty that they
// refuse, arguments are JSON objects, and the images of tool results, for which the
// API has no place, come in a message of the user after the results of the turn.
func Conversation(messages []models.Message) ([]Message, error) {
	out := make([]Message, 0, len(messages))
	var waiting []Part // images of tool results
	for i, m := range messages {
		if m.Role != models.RoleTool && len(waiting) > 0 {
			out, waiting = append(out, imagesOfTools(waiting)), nil
		}
		images, err := parts(m, i)
		if err != nil {
			return nil, err
		}
		switch {
		case m.Role == models.RoleSystem && m.Content == "":
			continue
		case m.Role == models.RoleTool && len(images) > 0:
			waiting = append(append(waiting, Part{Text: imageIntro + m.Name + " (" + m.ToolCallID + "):"}), images...)
			if m.Content == "" {
				m.Content = seeImages
			}
			images = nil
		}
		out = append(out, Message{filled(m), withText(m.Content, images)})
	}
	if len(waiting) > 0 {
		out = append(out, imagesOfTools(waiting))
	}
	return out, nil
}

func imagesOfTools(parts []Part) Message {
	return Message{models.Message{Role: models.RoleUser}, parts}
}

// parts returns the images of a message, checked.
func parts(m models.Message, at int) ([]Part, error) {
	if len(m.Images) > 0 && m.Role != models.RoleUser && m.Role != models.RoleTool {
		return nil, fmt.Errorf("message %d has images and role %q; only users and tools may show images", at+1, m.Role)
	}
	var out []Part
	for n, image := range m.Images {
		if len(image.Data) > 0 && image.MediaType == "" {
			image.MediaType = http.DetectContentType(image.Data)
		}
		switch {
		case len(image.Data) > 0 && !strings.HasPrefix(image.MediaType, "image/"):
			return nil, fmt.Errorf("image %d of message %d has media type %q, which is none of an image", n+1, at+1, image.MediaType)
		case len(image.Data) == 0 && image.URL == "":
			return nil, fmt.Errorf("image %d of message %d has neither data nor a URL", n+1, at+1)
		}
		out = append(out, Part{Image: &image})
	}
	return out, nil
}

// withText puts a message's text before its images.
func withText(text string, images []Part) []Part {
	if len(images) == 0 || text == "" {
		return images
	}
	return append([]Part{{Text: text}}, images...)
}

// ImageURL returns where the provider finds the image: a data: URL if it is here.
func ImageURL(image *models.Image) string {
	if len(image.Data) == 0 {
		return image.URL
	}
	return "data:" + image.MediaType + ";base64," + base64.StdEncoding.EncodeToString(image.Data)
}

// filled returns the message without anything empty.
func filled(m models.Message) models.Message {
	switch {
	case m.Content != "":
	case m.Role == models.RoleTool:
		m.Content = noOutput
	case m.Role == models.RoleAssistant && len(m.ToolCalls) > 0, len(m.Images) > 0:
	default:
		m.Content = noText
	}
	calls := m.ToolCalls
	m.ToolCalls = nil
	for _, call := range calls {
		call.Arguments = arguments(call.Arguments)
		m.ToolCalls = append(m.ToolCalls, call)
	}
	return m
}

// arguments makes a call's arguments an object again. Many servers parse those of
// earlier turns and fail the whole request over what the model once wrote wrongly.
func arguments(text string) string {
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &object) == nil && object != nil {
		return text
	}
	// Cannot fail: a map of strings.
	wrapped, _ := json.Marshal(map[string]string{"invalid_arguments": text})
	return string(wrapped)
}

// ToolSchema returns the schema of a tool's arguments, which servers demand.
func ToolSchema(t models.ToolSpec) (json.RawMessage, error) {
	if len(t.Schema) == 0 {
		return json.RawMessage(noSchema), nil
	}
	if !json.Valid(t.Schema) {
		return nil, fmt.Errorf("the schema of tool %s is not JSON", t.Name)
	}
	return t.Schema, nil
}

// CheckOutput reports what makes an output schema impossible to send.
func CheckOutput(o *models.OutputSchema) error {
	if o != nil && !json.Valid(o.Schema) {
		return fmt.Errorf("the output schema %s is not JSON", o.Name)
	}
	return nil
}

// CheckParams reports settings that JSON cannot express.
func CheckParams(p models.Params) error {
	for name, v := range map[string]*float64{"temperature": p.Temperature, "top_p": p.TopP} {
		if v != nil && (math.IsNaN(*v) || math.IsInf(*v, 0)) {
			return fmt.Errorf("the %s is not a number", name)
		}
	}
	return nil
}

// SchemaName makes a name of what the API allows: letters, digits, _ and -, at most 64.
func SchemaName(name string) string {
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
	return name[:min(len(name), maxSchema)]
}
