package modeltest

import (
	"encoding/json"
	"io"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/models"
)

// Sent returns the body that a provider sends for req.
func Sent(t *testing.T, open OpenChat, s Server, req *models.Request) map[string]any {
	t.Helper()
	var body []byte
	s.BaseURL = "http://sent.test/v1"
	s.Transport = RoundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ = io.ReadAll(r.Body)
		if r.ContentLength != int64(len(body)) {
			t.Errorf("the request has %d bytes and says %d", len(body), r.ContentLength)
		}
		return streamed(r, io.NopCloser(strings.NewReader(Delta(`{"content":"hi"}`)+Finish("stop")))), nil
	})
	if _, err := models.Collect(open(t, s).Generate(t.Context(), req)); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	// Whether a message of calls alone has an empty text or none is all the same.
	messages, _ := m["messages"].([]any)
	for _, message := range messages {
		if message := message.(map[string]any); message["tool_calls"] != nil && message["content"] == "" {
			delete(message, "content")
		}
	}
	return m
}

type object = map[string]any

func sentCall(id, args string) any {
	return object{"id": id, "type": "function", "function": object{"name": "f", "arguments": args}}
}

func text(s string) any { return object{"type": "text", "text": s} }

func picture(url string) any {
	return object{"type": "image_url", "image_url": object{"url": url}}
}

// sent demands that servers get what was asked for, and nothing that they refuse.
func sent(t *testing.T, open OpenChat) {
	t.Run("everything", func(t *testing.T) { sentEverything(t, open) })
	t.Run("images", func(t *testing.T) { sentImages(t, open) })
	t.Run("nothing that was not asked for", func(t *testing.T) {
		no := false
		got := Sent(t, open, Server{Model: "other"}, &models.Request{
			Model:    "gpt-4.1",
			Messages: []models.Message{models.UserMessage("hi")},
			Params:   models.Params{ToolChoice: models.ToolChoiceRequired, ParallelToolCalls: &no}, // refused without tools
		})
		want := object{
			"model": "other", "stream": true, "stream_options": object{"include_usage": true},
			"messages": []any{object{"role": "user", "content": "hi"}},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sent body (-want +got):\n%s", diff)
		}
	})
	// Libraries know some names, and treat the models behind them differently.
	for _, model := range []string{"o1", "o3", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini", "my-deployment"} {
		t.Run("limit and instructions of "+model, func(t *testing.T) {
			got := Sent(t, open, Server{}, &models.Request{
				Model:    model,
				Messages: []models.Message{models.SystemMessage("Be brief."), models.UserMessage("hi")},
				Params:   models.Params{MaxTokens: 100, ReasoningEffort: "low"},
			})
			want := object{
				"model": model, "stream": true, "stream_options": object{"include_usage": true},
				"messages":              []any{object{"role": "system", "content": "Be brief."}, object{"role": "user", "content": "hi"}},
				"max_completion_tokens": 100.0,
				"reasoning_effort":      "low",
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("sent body (-want +got):\n%s", diff)
			}
		})
	}
}

func sentEverything(t *testing.T, open OpenChat) {
	zero, half, seed, no := 0.0, 0.5, 0, false
	bad := models.ToolCall{ID: "b", Name: "f", Arguments: `{"x":`}
	list := models.ToolCall{ID: "l", Name: "f", Arguments: `[1]`}
	empty := models.ToolCall{ID: "e", Name: "f"}
	req := &models.Request{
		Model: "gpt-4.1",
		Agent: "never-sent",
		Messages: []models.Message{
			models.SystemMessage(""),
			models.UserMessage(""),
			models.AssistantMessage("", bad, list, empty),
			models.ToolMessage(bad, ""),
			models.ToolMessage(list, "<b>"),
			models.ToolMessage(empty, "done"),
			models.AssistantMessage(""),
			models.UserMessage("go on"),
		},
		Tools:  []models.ToolSpec{{Name: "f", Description: "F."}, {Name: "g", Schema: json.RawMessage(`{"type":"object","$defs":{"n":{"maximum":9007199254740993}}}`)}},
		Output: &models.OutputSchema{Name: "my output", Schema: json.RawMessage(`{"$defs":{"a":{"type":["string","null"]}},"type":"object"}`)},
		Params: models.Params{Temperature: &zero, TopP: &half, MaxTokens: 50, Seed: &seed, Stop: []string{"END"}, ToolChoice: "f", ParallelToolCalls: &no},
	}
	want := object{
		"model":          "gpt-4.1",
		"stream":         true,
		"stream_options": object{"include_usage": true},
		// What is empty is filled in where servers refuse it, and a system message without text left out.
		"messages": []any{
			object{"role": "user", "content": "(empty)"},
			object{"role": "assistant", "tool_calls": []any{
				sentCall("b", `{"invalid_arguments":"{\"x\":"}`), sentCall("l", `{"invalid_arguments":"[1]"}`), sentCall("e", "{}")}},
			object{"role": "tool", "tool_call_id": "b", "content": "(no output)"},
			object{"role": "tool", "tool_call_id": "l", "content": "<b>"},
			object{"role": "tool", "tool_call_id": "e", "content": "done"},
			object{"role": "assistant", "content": "(empty)"},
			object{"role": "user", "content": "go on"},
		},
		"tools": []any{
			object{"type": "function", "function": object{"name": "f", "description": "F.", "parameters": object{"type": "object", "properties": object{}}}},
			object{"type": "function", "function": object{"name": "g", "parameters": object{"type": "object", "$defs": object{"n": object{"maximum": 9007199254740993.0}}}}},
		},
		"tool_choice":           object{"type": "function", "function": object{"name": "f"}},
		"parallel_tool_calls":   false,
		"max_completion_tokens": 50.0,
		"seed":                  0.0,
		"stop":                  []any{"END"},
		"temperature":           0.0, // the libraries would leave 0 out, or send it unasked
		"top_p":                 0.5,
		"response_format": object{"type": "json_schema", "json_schema": object{
			"name": "my_output", "strict": true,
			"schema": object{"$defs": object{"a": object{"type": []any{"string", "null"}}}, "type": "object"},
		}},
	}
	got := Sent(t, open, Server{}, req)
	for _, tool := range got["tools"].([]any) { // an empty description says as little as none
		if f := tool.(object)["function"].(object); f["description"] == "" {
			delete(f, "description")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent body (-want +got):\n%s", diff)
	}
}

// sentImages is about pictures: those of tools have no place in a tool's message.
func sentImages(t *testing.T, open OpenChat) {
	png := models.Image{MediaType: "image/png", Data: []byte("\x89PNG\r\n\x1a\n")}
	const data = "data:image/png;base64,iVBORw0KGgo="
	shot := models.ToolCall{ID: "s", Name: "screenshot"}
	look := models.ToolCall{ID: "l", Name: "look"}
	shown := models.ToolMessage(shot, "")
	shown.Images = []models.Image{png}
	seen := models.ToolMessage(look, "two trees")
	seen.Images = []models.Image{{URL: "https://example.com/1.jpg"}, {Data: png.Data}}
	got := Sent(t, open, Server{}, &models.Request{Model: "gpt-4.1", Messages: []models.Message{
		{Role: models.RoleUser, Content: "What is this?", Images: []models.Image{{URL: "https://example.com/a.png", Detail: "low"}, png}},
		{Role: models.RoleUser, Images: []models.Image{png}},
		models.AssistantMessage("", shot, look),
		shown,
		seen,
		models.AssistantMessage("Trees."),
		models.UserMessage("Thanks."),
	}})["messages"]
	want := []any{
		object{"role": "user", "content": []any{
			text("What is this?"),
			object{"type": "image_url", "image_url": object{"url": "https://example.com/a.png", "detail": "low"}},
			picture(data),
		}},
		object{"role": "user", "content": []any{picture(data)}},
		object{"role": "assistant", "tool_calls": []any{
			object{"id": "s", "type": "function", "function": object{"name": "screenshot", "arguments": "{}"}},
			object{"id": "l", "type": "function", "function": object{"name": "look", "arguments": "{}"}},
		}},
		object{"role": "tool", "tool_call_id": "s", "content": "(the images follow)"},
		object{"role": "tool", "tool_call_id": "l", "content": "two trees"},
		object{"role": "user", "content": []any{
			text("Images of the result of screenshot (s):"), picture(data),
			text("Images of the result of look (l):"), picture("https://example.com/1.jpg"), picture(data),
		}},
		object{"role": "assistant", "content": "Trees."},
		object{"role": "user", "content": "Thanks."},
	}
	if diff := cmp.Diff(any(want), got); diff != "" {
		t.Errorf("sent messages (-want +got):\n%s", diff)
	}
	t.Run("of the last result", func(t *testing.T) {
		messages := Sent(t, open, Server{}, &models.Request{Model: "gpt-4.1", Messages: []models.Message{
			models.UserMessage("look"), models.AssistantMessage("", shot), shown,
		}})["messages"].([]any)
		if len(messages) != 4 || messages[3].(object)["role"] != "user" {
			t.Errorf("messages are %v; want the images of the last result at their end", messages)
		}
	})
}

// refused is about requests that cannot succeed: they are not sent and not repeated.
func refused(t *testing.T, open OpenChat) {
	nan := math.NaN()
	image := func(role models.Role, i models.Image) models.Request {
		return models.Request{Model: "m", Messages: []models.Message{{Role: role, Content: "x", Images: []models.Image{i}}}}
	}
	tests := []struct {
		name, says string
		req        models.Request
	}{
		{"tool schema", "schema of tool f is not JSON", models.Request{Model: "m", Tools: []models.ToolSpec{{Name: "f", Schema: json.RawMessage(`{`)}}}},
		{"output schema", "output schema o is not JSON", models.Request{Model: "m", Output: &models.OutputSchema{Name: "o"}}},
		{"temperature", "temperature is not a number", models.Request{Model: "m", Params: models.Params{Temperature: &nan}}},
		{"an image without anything", "neither data nor a URL", image(models.RoleUser, models.Image{})},
		{"an image that is none", `media type "text/plain; charset=utf-8"`, image(models.RoleUser, models.Image{Data: []byte("hello")})},
		{"an image of the assistant", `role "assistant"`, image(models.RoleAssistant, models.Image{URL: "https://example.com/a.png"})},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := open(t, Server{BaseURL: "http://sent.test/v1", Transport: RoundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("the request was sent")
				return nil, io.EOF
			})})
			_, err := models.Collect(m.Generate(t.Context(), &tt.req))
			typed(t, err, models.KindInvalidRequest, false, tt.says)
		})
	}
}
