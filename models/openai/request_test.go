package openai_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/openai"
)

// sent returns the body that the client sends for req.
func sent(t *testing.T, opts openai.Options, req *models.Request) map[string]any {
	t.Helper()
	var body []byte
	opts.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		body, _ = io.ReadAll(r.Body)
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}},
			Body: io.NopCloser(strings.NewReader(delta(`{"content":"hi"}`) + finish("stop"))), Request: r}, nil
	})
	if _, err := models.Collect(open(t, opts).Generate(t.Context(), req)); err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestRequest(t *testing.T) {
	zero, seed, no := 0.0, 0, false
	bad := models.ToolCall{ID: "b", Name: "f", Arguments: `{"x":`}
	empty := models.ToolCall{ID: "e", Name: "f"}
	req := &models.Request{
		Model: "gpt-4.1",
		Agent: "never-sent",
		Messages: []models.Message{
			models.SystemMessage(""),
			models.UserMessage(""),
			models.AssistantMessage("", bad, empty),
			models.ToolMessage(bad, ""),
			models.ToolMessage(empty, "done"),
			models.AssistantMessage(""),
			models.UserMessage("go on"),
		},
		Tools:  []models.ToolSpec{{Name: "f", Description: "F."}},
		Output: &models.OutputSchema{Name: "my output", Schema: json.RawMessage(`{"$defs":{"a":{"type":["string","null"]}},"type":"object"}`)},
		Params: models.Params{Temperature: &zero, MaxTokens: 50, Seed: &seed, Stop: []string{"END"}, ToolChoice: "f", ParallelToolCalls: &no},
	}
	call := func(id, args string) any {
		return map[string]any{"id": id, "type": "function", "function": map[string]any{"name": "f", "arguments": args}}
	}
	want := map[string]any{
		"model":  "gpt-4.1",
		"stream": true,
		"stream_options": map[string]any{
			"include_usage": true,
		},
		// What is empty is filled in where servers refuse it, and a system message without text left out.
		"messages": []any{
			map[string]any{"role": "user", "content": "(empty)"},
			map[string]any{"role": "assistant", "tool_calls": []any{call("b", `{"invalid_arguments":"{\"x\":"}`), call("e", "{}")}},
			map[string]any{"role": "tool", "tool_call_id": "b", "content": "(no output)"},
			map[string]any{"role": "tool", "tool_call_id": "e", "content": "done"},
			map[string]any{"role": "assistant", "content": "(empty)"},
			map[string]any{"role": "user", "content": "go on"},
		},
		"tools": []any{map[string]any{"type": "function", "function": map[string]any{
			"name": "f", "description": "F.", "parameters": map[string]any{"type": "object", "properties": map[string]any{}},
		}}},
		"tool_choice":           map[string]any{"type": "function", "function": map[string]any{"name": "f"}},
		"parallel_tool_calls":   false,
		"max_completion_tokens": 50.0,
		"seed":                  0.0,
		"stop":                  []any{"END"},
		"temperature":           0.0, // the library alone would leave it out
		"response_format": map[string]any{"type": "json_schema", "json_schema": map[string]any{
			"name": "my_output", "strict": true,
			"schema": map[string]any{"$defs": map[string]any{"a": map[string]any{"type": []any{"string", "null"}}}, "type": "object"},
		}},
	}
	if diff := cmp.Diff(want, sent(t, openai.Options{}, req)); diff != "" {
		t.Errorf("sent body (-want +got):\n%s", diff)
	}
}

func TestRequestLeavesOut(t *testing.T) {
	no := false
	got := sent(t, openai.Options{Model: "other", WithoutUsage: true}, &models.Request{
		Model:    "gpt-4.1",
		Messages: []models.Message{models.UserMessage("hi")},
		Params:   models.Params{ToolChoice: models.ToolChoiceRequired, ParallelToolCalls: &no}, // refused without tools
	})
	want := map[string]any{
		"model": "other", "stream": true,
		"messages": []any{map[string]any{"role": "user", "content": "hi"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sent body (-want +got):\n%s", diff)
	}
}

// TestRefusedBeforeSending is about requests that cannot succeed: they are not sent
// and not repeated.
func TestRefusedBeforeSending(t *testing.T) {
	half := 0.5
	tests := []struct {
		name, says string
		req        models.Request
	}{
		{"tool schema", "schema of tool f is not JSON", models.Request{Model: "m", Tools: []models.ToolSpec{{Name: "f", Schema: json.RawMessage(`{`)}}}},
		{"output schema", "output schema o is not JSON", models.Request{Model: "m", Output: &models.OutputSchema{Name: "o"}}},
		{"temperature of a reasoning model", "temperature", models.Request{Model: "gpt-5", Params: models.Params{Temperature: &half}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client := open(t, openai.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
				t.Error("the request was sent")
				return nil, io.EOF
			})})
			_, err := models.Collect(client.Generate(t.Context(), &tt.req))
			var e *models.Error
			if !errors.As(err, &e) || e.Kind != models.KindInvalidRequest || e.Retryable() || !strings.Contains(e.Message, tt.says) {
				t.Errorf("error is %v; want %s that says %q", err, models.KindInvalidRequest, tt.says)
			}
		})
	}
}

// TestMaxTokensOfReasoningModels shows that the limit passes the library's own check,
// which refuses the older field for these names.
func TestMaxTokensOfReasoningModels(t *testing.T) {
	for _, model := range []string{"o1", "o3-mini", "o4-mini", "gpt-5", "gpt-5-mini"} {
		req := hello()
		req.Model, req.Params.MaxTokens = model, 100
		if got := sent(t, openai.Options{}, req)["max_completion_tokens"]; got != 100.0 {
			t.Errorf("%s: max_completion_tokens is %v", model, got)
		}
	}
}
