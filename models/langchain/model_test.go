package langchain_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/anthropic"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
	"github.com/agentrun-dev/agentrun/models/modeltest"
)

// llm is a model of the library that does as a test says.
type llm func(ctx context.Context, messages []llms.MessageContent, opts llms.CallOptions) (*llms.ContentResponse, error)

func (f llm) GenerateContent(ctx context.Context, messages []llms.MessageContent, options ...llms.CallOption) (*llms.ContentResponse, error) {
	var opts llms.CallOptions
	for _, o := range options {
		o(&opts)
	}
	return f(ctx, messages, opts)
}

func (llm) Call(context.Context, string, ...llms.CallOption) (string, error) {
	return "", errors.New("not used")
}

func answered(choices ...*llms.ContentChoice) llm {
	return func(context.Context, []llms.MessageContent, llms.CallOptions) (*llms.ContentResponse, error) {
		return &llms.ContentResponse{Choices: choices}, nil
	}
}

func TestAnswers(t *testing.T) {
	call := func(id string) llms.ToolCall {
		return llms.ToolCall{ID: id, FunctionCall: &llms.FunctionCall{Name: "f", Arguments: "{}"}}
	}
	tests := []struct {
		name    string
		choices []*llms.ContentChoice
		want    models.Response
		kind    models.ErrorKind
	}{
		{"blocks of Anthropic", []*llms.ContentChoice{
			{Content: "Let me look.", StopReason: "tool_use", GenerationInfo: map[string]any{"InputTokens": 7, "OutputTokens": 5, "CacheCreationInputTokens": 1, "CacheReadInputTokens": 2}},
			{ToolCalls: []llms.ToolCall{call("a")}, StopReason: "tool_use", GenerationInfo: map[string]any{"InputTokens": 7, "OutputTokens": 5}},
			nil,
		}, models.Response{Message: models.AssistantMessage("Let me look.", models.ToolCall{ID: "a", Name: "f", Arguments: "{}"}),
			Finish: models.FinishToolCalls, Usage: models.Usage{InputTokens: 10, OutputTokens: 5, CachedTokens: 2}}, ""},
		{"calls of Gemini have no ids", []*llms.ContentChoice{
			{StopReason: "FinishReasonStop", ToolCalls: []llms.ToolCall{call(""), call("")}, GenerationInfo: map[string]any{"PromptTokens": int32(3), "CompletionTokens": int32(4)}},
		}, models.Response{Message: models.AssistantMessage("", models.ToolCall{ID: "call_1_1", Name: "f", Arguments: "{}"}, models.ToolCall{ID: "call_1_2", Name: "f", Arguments: "{}"}),
			Finish: models.FinishToolCalls, Usage: models.Usage{InputTokens: 3, OutputTokens: 4}}, ""},
		{"usage of Mistral", []*llms.ContentChoice{
			{Content: "hi", StopReason: "stop", GenerationInfo: map[string]any{"usage": struct {
				P int `json:"prompt_tokens"`
				C int `json:"completion_tokens"`
			}{3, 4}}},
		}, models.Response{Message: models.AssistantMessage("hi"), Finish: models.FinishStop, Usage: models.Usage{InputTokens: 3, OutputTokens: 4}}, ""},
		{"one call of an older model", []*llms.ContentChoice{{StopReason: "function_call", FuncCall: &llms.FunctionCall{Name: "f", Arguments: "{}"}}},
			models.Response{Message: models.AssistantMessage("", models.ToolCall{ID: "call_1_1", Name: "f", Arguments: "{}"}), Finish: models.FinishToolCalls}, ""},
		{"cut", []*llms.ContentChoice{{Content: "hi", StopReason: "max_tokens"}}, models.Response{Message: models.AssistantMessage("hi"), Finish: models.FinishLength}, ""},
		{"filtered", []*llms.ContentChoice{{StopReason: "FinishReasonSafety"}}, models.Response{Message: models.AssistantMessage(""), Finish: models.FinishContentFilter}, ""},
		{"no reason", []*llms.ContentChoice{{Content: "hi"}}, models.Response{}, models.KindIncomplete},
		{"a reason that is none", []*llms.ContentChoice{{Content: "hi", StopReason: "FinishReasonUnspecified"}}, models.Response{}, models.KindIncomplete},
		{"an error as reason", []*llms.ContentChoice{{Content: "hi", StopReason: "error"}}, models.Response{}, models.KindUnavailable},
		{"nothing", nil, models.Response{}, models.KindIncomplete},
		{"no text", []*llms.ContentChoice{{StopReason: "stop"}}, models.Response{}, models.KindMalformed},
		{"duplicate ids", []*llms.ContentChoice{{StopReason: "stop", ToolCalls: []llms.ToolCall{call("a"), call("a")}}}, models.Response{}, models.KindMalformed},
		{"a call of nothing", []*llms.ContentChoice{{StopReason: "stop", ToolCalls: []llms.ToolCall{{ID: "a"}}}}, models.Response{}, models.KindMalformed},
		{"too large", []*llms.ContentChoice{{StopReason: "stop", Content: strings.Repeat("x", models.MaxAnswerBytes+1)}}, models.Response{}, models.KindTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := collect(t, langchain.New(answered(tt.choices...), langchain.Options{}), hello())
			if tt.kind != "" {
				fails(t, err, tt.kind, tt.kind != models.KindTooLarge)
				return
			}
			if err != nil || !reflect.DeepEqual(*resp, tt.want) {
				t.Errorf("answer is %+v, error %v; want %+v", resp, err, tt.want)
			}
		})
	}
}

// streaming returns a model that calls back with chunks and then returns text.
func streaming(text string, chunks ...string) llm {
	return func(ctx context.Context, _ []llms.MessageContent, opts llms.CallOptions) (*llms.ContentResponse, error) {
		for _, chunk := range chunks {
			if err := opts.StreamingFunc(ctx, []byte(chunk)); err != nil {
				return nil, err
			}
		}
		return &llms.ContentResponse{Choices: []*llms.ContentChoice{{Content: text, StopReason: "stop", ReasoningContent: "hm"}}}, nil
	}
}

func TestStreaming(t *testing.T) {
	tests := []struct {
		name   string
		model  llm
		pieces []string // "" where it must fail
	}{
		{"empty callbacks", streaming("hi there", "", "hi ", "", "there", ""), []string{"hi ", "there"}},
		{"the rest", streaming("hi there you", "hi "), []string{"hi ", "there", " you"}},
		{"not streamed", streaming("hi there"), []string{"hi", " there"}},
		{"another text", streaming("hello", "hi"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var pieces []string
			reasoning := ""
			var failure error
			for ev, err := range langchain.New(tt.model, langchain.Options{}).Generate(t.Context(), hello()) {
				if ev == (models.Event{}) && err == nil {
					t.Error("an event without anything")
				}
				if ev.Delta != "" {
					pieces = append(pieces, ev.Delta)
				}
				reasoning, failure = reasoning+ev.Reasoning, err
			}
			if tt.pieces == nil {
				fails(t, failure, models.KindMalformed, true)
			} else if failure != nil || !reflect.DeepEqual(pieces, tt.pieces) || reasoning != "hm" {
				t.Errorf("pieces are %q, reasoning %q, error %v; want %q", pieces, reasoning, failure, tt.pieces)
			}
		})
	}
	t.Run("without end", func(t *testing.T) {
		ended := make(chan error, 1)
		endless := llm(func(ctx context.Context, _ []llms.MessageContent, opts llms.CallOptions) (*llms.ContentResponse, error) {
			for {
				if err := opts.StreamingFunc(ctx, make([]byte, 1<<20)); err != nil {
					ended <- err
					return nil, err
				}
			}
		})
		_, err := collect(t, langchain.New(endless, langchain.Options{}), hello())
		fails(t, err, models.KindTooLarge, false)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the library was told %v", err)
		}
	})
}

func TestErrorsOfAModel(t *testing.T) {
	failing := func(err error) llm {
		return func(context.Context, []llms.MessageContent, llms.CallOptions) (*llms.ContentResponse, error) {
			return nil, err
		}
	}
	tests := []struct {
		name  string
		model llm
		kind  models.ErrorKind
		retry bool
	}{
		{"a text", failing(errors.New("status code: 429")), models.KindUnknown, false},
		{"a code of the library is a guess", failing(llms.NewError(llms.ErrCodeAuthentication, "x", "port 4010")), models.KindUnknown, false},
		{"an error of ours", failing(&models.Error{Kind: models.KindRateLimit, Provider: "mine"}), models.KindRateLimit, true},
		{"its own deadline", failing(context.DeadlineExceeded), models.KindTimeout, true},
		{"a panic", func(context.Context, []llms.MessageContent, llms.CallOptions) (*llms.ContentResponse, error) {
			panic("oops")
		}, models.KindUnknown, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, langchain.New(tt.model, langchain.Options{}), hello())
			fails(t, err, tt.kind, tt.retry)
		})
	}
}

// TestAsked shows what a model of the library is asked.
func TestAsked(t *testing.T) {
	var got llms.CallOptions
	var messages []llms.MessageContent
	m := llm(func(_ context.Context, msgs []llms.MessageContent, opts llms.CallOptions) (*llms.ContentResponse, error) {
		got, messages = opts, msgs
		return answered(&llms.ContentChoice{Content: "{}", StopReason: "stop"})(nil, nil, opts)
	})
	half, seed := 0.5, 7
	req := &models.Request{
		Model: "assistant",
		Messages: []models.Message{models.SystemMessage("Be brief."),
			{Role: models.RoleUser, Content: "hi", Images: []models.Image{{MediaType: "image/png", Data: []byte("x")}, {URL: "https://example.com/a.png", Detail: "low"}}}},
		Tools:  []models.ToolSpec{{Name: "f"}},
		Output: &models.OutputSchema{Name: "o", Schema: json.RawMessage(`{"type":"object"}`)},
		Params: models.Params{Temperature: &half, TopP: &half, Seed: &seed, MaxTokens: 9, Stop: []string{"END"}, ToolChoice: "f"},
	}
	options := langchain.Options{Model: "claude", JSONMode: true, CallOptions: []llms.CallOption{llms.WithTopK(3), llms.WithMaxTokens(10)}}
	if _, err := collect(t, langchain.New(m, options), req); err != nil {
		t.Fatal(err)
	}
	got.StreamingFunc = nil
	want := llms.CallOptions{
		Model: "claude", Temperature: half, TopP: half, TopK: 3, Seed: 7, MaxTokens: 10, StopWords: []string{"END"}, JSONMode: true,
		Tools:      []llms.Tool{{Type: "function", Function: &llms.FunctionDefinition{Name: "f", Parameters: json.RawMessage(`{"type":"object","properties":{}}`)}}},
		ToolChoice: llms.ToolChoice{Type: "function", Function: &llms.FunctionReference{Name: "f"}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("options are %+v; want %+v", got, want)
	}
	wantMessages := []llms.MessageContent{
		llms.TextParts(llms.ChatMessageTypeSystem, "Be brief."),
		llms.TextParts(llms.ChatMessageTypeSystem, "Answer with one JSON value of this JSON Schema, and with nothing else:\n{\"type\":\"object\"}"),
		{Role: llms.ChatMessageTypeHuman, Parts: []llms.ContentPart{llms.TextPart("hi"), llms.BinaryPart("image/png", []byte("x")), llms.ImageURLWithDetailPart("https://example.com/a.png", "low")}},
	}
	if !reflect.DeepEqual(messages, wantMessages) {
		t.Errorf("messages are %+v; want %+v", messages, wantMessages)
	}
}

// TestOnePartPerMessage shows that llms/anthropic sends every part of a conversation.
func TestOnePartPerMessage(t *testing.T) {
	var body string
	client := langchain.HTTPClient(modeltest.RoundTrip(func(r *http.Request) (*http.Response, error) {
		text, _ := io.ReadAll(r.Body)
		body = string(text)
		return nil, io.EOF
	}))
	claude, err := anthropic.New(anthropic.WithToken(testKey), anthropic.WithHTTPClient(client))
	if err != nil {
		t.Fatal(err)
	}
	a, b := models.ToolCall{ID: "call_a", Name: "f"}, models.ToolCall{ID: "call_b", Name: "f"}
	req := &models.Request{Messages: []models.Message{models.UserMessage("hi"), models.AssistantMessage("Let me look.", a, b), models.ToolMessage(a, ""), models.ToolMessage(b, "2")}}
	_, err = collect(t, langchain.New(claude, langchain.Options{OnePartPerMessage: true}), req)
	fails(t, err, models.KindUnreachable, true)
	for _, part := range []string{"Let me look.", `"tool_use","id":"call_a"`, `"tool_use","id":"call_b"`, `"tool_use_id":"call_a"`, `"tool_use_id":"call_b"`, "(no output)"} {
		if !strings.Contains(body, part) {
			t.Errorf("sent %s; want %s in it", body, part)
		}
	}
}
