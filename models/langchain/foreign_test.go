package langchain_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tmc/langchaingo/llms"
	"github.com/tmc/langchaingo/llms/anthropic"
	"github.com/tmc/langchaingo/llms/openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
	"github.com/agentrun-dev/agentrun/models/modeltest"
)

const testKey = "sk-test-0123456789abcdef"

// library returns the library's own client for OpenAI, as a program makes it. client
// may be nil.
func library(t *testing.T, base string, client *http.Client) llms.Model {
	t.Helper()
	if client == nil {
		client = http.DefaultClient
	}
	llm, err := openai.New(openai.WithBaseURL(base), openai.WithToken(testKey), openai.WithModel("gpt-4.1"), openai.WithHTTPClient(client))
	if err != nil {
		t.Fatal(err)
	}
	return llm
}

// serve answers all requests with the same bytes.
func serve(t *testing.T, status int, header map[string]string, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/v1"
}

func hello() *models.Request {
	return &models.Request{Model: "assistant", Messages: []models.Message{models.UserMessage("hello")}}
}

func collect(t *testing.T, m models.Model, req *models.Request) (*models.Response, error) {
	t.Helper()
	return models.Collect(m.Generate(t.Context(), req))
}

func fails(t *testing.T, err error, kind models.ErrorKind, retry bool) *models.Error {
	t.Helper()
	e, ok := errors.AsType[*models.Error](err)
	if !ok || e.Kind != kind || e.Retryable() != retry {
		t.Fatalf("error is %v; want %s, retryable %t", err, kind, retry)
	}
	if e.Provider == "" || strings.Contains(e.Error(), testKey) || strings.Contains(e.Error(), "\n") {
		t.Errorf("error %q must name its provider, be one line, and show no key", e)
	}
	return e
}

// TestStreamsOfTheLibrary feeds the library the streams that it takes for whole.
func TestStreamsOfTheLibrary(t *testing.T) {
	const sse = "text/event-stream"
	hi := modeltest.Delta(`{"content":"hi"}`)
	stop := modeltest.Finish("stop")
	tests := []struct {
		name, contentType, body string
		whole                   bool
	}{
		{"whole", sse, modeltest.Delta(`{"role":"assistant","content":""}`) + hi + stop + modeltest.Done, true},
		{"without [DONE]", sse, hi + stop, true},
		{"without finish_reason", sse, hi, false},
		{"[DONE] without finish_reason", sse, hi + modeltest.Done, false},
		{"error event", sse, hi + "data: {\"error\":{\"message\":\"boom\"}}\n\n" + modeltest.Done, false},
		{"bad JSON in a chunk", sse, hi + "data: {\"choices\":[{\n\n", false},
		{"finish_reason error", sse, hi + modeltest.Finish("error") + modeltest.Done, false},
		{"a JSON body", "application/json", `{"choices":[]}`, false},
		{"a web page", "text/html", "<html>Welcome</html>", false},
		{"empty", sse, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := serve(t, 200, map[string]string{"Content-Type": tt.contentType}, tt.body)
			m := langchain.New(library(t, base, langchain.HTTPClient(nil)), langchain.Options{})
			var deltas []string
			var last *models.Response
			var failure error
			for ev, err := range m.Generate(t.Context(), hello()) {
				if ev.Delta != "" {
					deltas = append(deltas, ev.Delta)
				}
				last, failure = ev.Response, err
			}
			if !tt.whole {
				if e, ok := errors.AsType[*models.Error](failure); !ok || !e.Retryable() || last != nil {
					t.Errorf("answer %+v, error %v; want an error that can pass", last, failure)
				}
				return
			}
			if failure != nil || last.Message.Content != "hi" || len(deltas) != 1 || last.Finish != models.FinishStop {
				t.Errorf("answer %+v in pieces %q, error %v", last, deltas, failure)
			}
		})
	}
	t.Run("a line over 64 KB", func(t *testing.T) {
		base := serve(t, 200, map[string]string{"Content-Type": sse}, modeltest.Delta(`{"content":"`+strings.Repeat("x", 70_000)+`"}`)+stop)
		if resp, err := collect(t, langchain.New(library(t, base, nil), langchain.Options{}), hello()); err == nil {
			t.Errorf("the library reads such lines now: %.100v", resp)
		}
	})
}

// TestCancelledLibrary cancels in mid-stream, which the library returns as an answer.
func TestCancelledLibrary(t *testing.T) {
	gone := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(gone)
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, modeltest.Delta(`{"content":"hi"}`))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var failure error
	for ev, err := range langchain.New(library(t, server.URL, nil), langchain.Options{}).Generate(ctx, hello()) {
		if ev.Response != nil {
			t.Errorf("answer %+v", ev.Response)
		}
		failure = err
		cancel()
	}
	fails(t, failure, models.KindCanceled, false)
	if !errors.Is(failure, context.Canceled) {
		t.Errorf("error is %v; want context.Canceled", failure)
	}
	<-gone
}

// TestFailuresOfTheLibrary is about errors of which the library keeps only a text.
func TestFailuresOfTheLibrary(t *testing.T) {
	tests := []struct {
		name   string
		status int
		header map[string]string
		body   string
		kind   models.ErrorKind
		retry  bool
		after  time.Duration
	}{
		{"rate limit", 429, map[string]string{"Retry-After": "7"}, `{"error":{"message":"slow down"}}`, models.KindRateLimit, true, 7 * time.Second},
		{"quota", 429, map[string]string{"Retry-After": "7"}, `{"error":{"message":"pay","code":"insufficient_quota"}}`, models.KindQuota, false, 0},
		{"key", 401, nil, `{"error":{"message":"bad key ` + testKey + `"}}`, models.KindAuth, false, 0},
		{"not found", 404, nil, `nothing here`, models.KindNotFound, false, 0},
		{"broken", 500, nil, `{"error":{"message":"error 429 on port 4010"}}`, models.KindUnavailable, true, 0},
		{"context length", 400, nil, `{"error":{"message":"too long","code":"context_length_exceeded"}}`, models.KindContextLength, false, 0},
		{"redirect", 307, map[string]string{"Location": "http://elsewhere.test/"}, "", models.KindInvalidRequest, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base := serve(t, tt.status, tt.header, tt.body)
			_, err := collect(t, langchain.New(library(t, base, langchain.HTTPClient(nil)), langchain.Options{}), hello())
			if e := fails(t, err, tt.kind, tt.retry); e.RetryAfter != tt.after {
				t.Errorf("retry after %s; want %s", e.RetryAfter, tt.after)
			}
		})
	}
	t.Run("unreachable, on a port that looks like a status", func(t *testing.T) {
		client := langchain.HTTPClient(modeltest.RoundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connect 127.0.0.1:4010: connection refused")}
		}))
		_, err := collect(t, langchain.New(library(t, "http://nowhere.test:4010/v1", client), langchain.Options{}), hello())
		fails(t, err, models.KindUnreachable, true)
	})
	t.Run("an answer without end", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"choices":[{"message":{"content":"`)
			for range 4 << 10 {
				if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
					return
				}
			}
		}))
		defer server.Close()
		req := hello()
		req.Tools = []models.ToolSpec{{Name: "f"}} // not streamed
		_, err := collect(t, langchain.New(library(t, server.URL, langchain.HTTPClient(nil)), langchain.Options{}), req)
		fails(t, err, models.KindTooLarge, false)
	})
	t.Run("not watched", func(t *testing.T) {
		base := serve(t, 429, nil, `{"error":{"message":"slow down"}}`)
		_, err := collect(t, langchain.New(library(t, base, nil), langchain.Options{}), hello())
		fails(t, err, models.KindUnknown, false) // the text is not searched for numbers
	})
	// Google's key is in the URL, which the errors of net/http quote.
	const url = "http://nowhere.test/v1/models/g:generateContent?key=" + testKey
	refused := modeltest.RoundTrip(func(r *http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("dial %s: connection refused", r.URL)
	})
	gemini := func(client *http.Client) llm {
		return func(ctx context.Context, _ []llms.MessageContent, _ llms.CallOptions) (*llms.ContentResponse, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
			if err != nil {
				return nil, err
			}
			resp, err := client.Do(req)
			if err != nil {
				return nil, fmt.Errorf("ask Gemini: %w", err)
			}
			defer resp.Body.Close()
			return nil, nil // as if nothing had happened
		}
	}
	t.Run("a key in the URL", func(t *testing.T) {
		_, err := collect(t, langchain.New(gemini(langchain.HTTPClient(refused)), langchain.Options{}), hello())
		fails(t, err, models.KindUnreachable, true)
		_, err = collect(t, langchain.New(gemini(&http.Client{Transport: modeltest.RoundTrip(func(*http.Request) (*http.Response, error) {
			return nil, errors.New("connection refused")
		})}), langchain.Options{}), hello())
		fails(t, err, models.KindUnreachable, true)
	})
	t.Run("a failure that the library made nothing of", func(t *testing.T) {
		client := langchain.HTTPClient(modeltest.RoundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 429, Header: http.Header{"Retry-After": {"9"}}, Body: io.NopCloser(strings.NewReader("slow down")), Request: r}, nil
		}))
		_, err := collect(t, langchain.New(gemini(client), langchain.Options{}), hello())
		if e := fails(t, err, models.KindRateLimit, true); e.RetryAfter != 9*time.Second {
			t.Errorf("retry after %s", e.RetryAfter)
		}
	})
	t.Run("Anthropic", func(t *testing.T) {
		for body, kind := range map[string]models.ErrorKind{
			`{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 213423 tokens > 200000 maximum"}}`: models.KindContextLength,
			`{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low"}}`:                     models.KindQuota,
			`{"type":"error","error":{"type":"invalid_request_error","message":"messages: roles must alternate"}}`:                     models.KindInvalidRequest,
			`{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`:                                   models.KindAuth,
			`{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`:                                              models.KindUnavailable,
		} {
			llm, err := anthropic.New(anthropic.WithBaseURL(serve(t, 400, nil, body)), anthropic.WithToken(testKey), anthropic.WithHTTPClient(langchain.HTTPClient(nil)))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := collect(t, langchain.New(llm, langchain.Options{Provider: "anthropic"}), hello()); models.KindOf(err) != kind {
				t.Errorf("error is %v; want %s", err, kind)
			}
		}
	})
}

// TestToolsAreNotStreamed shows that calls come from an answer in one piece.
func TestToolsAreNotStreamed(t *testing.T) {
	var body struct {
		Stream bool   `json:"stream"`
		Model  string `json:"model"`
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{"choices":[{"message":{"role":"assistant","content":"","tool_calls":[
			{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
			{"id":"b","type":"function","function":{"name":"f","arguments":"{\"x\":2}"}}]},"finish_reason":"tool_calls"}],
			"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}`)
	}))
	defer server.Close()
	req := hello()
	req.Tools = []models.ToolSpec{{Name: "f"}}
	resp, err := collect(t, langchain.New(library(t, server.URL, nil), langchain.Options{}), req)
	if err != nil {
		t.Fatal(err)
	}
	if body.Stream || body.Model != "gpt-4.1" {
		t.Errorf("sent %+v; want no stream, and the library's own model", body)
	}
	got := fmt.Sprint(resp.Message.ToolCalls)
	if want := `[{a f {"x":1}} {b f {"x":2}}]`; got != want || resp.Finish != models.FinishToolCalls {
		t.Errorf("calls are %s; want %s", got, want)
	}
	if want := (models.Usage{InputTokens: 10, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3}); resp.Usage != want {
		t.Errorf("usage is %+v; want %+v", resp.Usage, want)
	}
}

func TestRefused(t *testing.T) {
	zero, nothing, no := 0, 0.0, false
	tools := []models.ToolSpec{{Name: "f"}}
	asked := llm(func(context.Context, []llms.MessageContent, llms.CallOptions) (*llms.ContentResponse, error) {
		t.Error("the library was asked")
		return nil, nil
	})
	tests := []struct {
		name, says string
		req        models.Request
	}{
		{"parallel calls", "in parallel", models.Request{Tools: tools, Params: models.Params{ParallelToolCalls: &no}}},
		{"reasoning effort", "reasoning effort", models.Request{Params: models.Params{ReasoningEffort: "low"}}},
		{"seed 0", "seed of 0", models.Request{Params: models.Params{Seed: &zero}}},
		{"top_p 0", "top_p of 0", models.Request{Params: models.Params{TopP: &nothing}}},
		{"output schema", "Options.JSONMode", models.Request{Output: &models.OutputSchema{Name: "o", Schema: json.RawMessage(`{}`)}}},
		{"tool schema", "not JSON", models.Request{Tools: []models.ToolSpec{{Name: "f", Schema: json.RawMessage(`{`)}}}},
		{"role", `role "critic"`, models.Request{Messages: []models.Message{{Role: "critic", Content: "no"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, langchain.New(asked, langchain.Options{}), &tt.req)
			if e := fails(t, err, models.KindInvalidRequest, false); !strings.Contains(e.Message, tt.says) {
				t.Errorf("error %q must say %q", e, tt.says)
			}
		})
	}
}
