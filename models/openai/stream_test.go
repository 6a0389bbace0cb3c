package openai_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/openai"
)

// delta is one event of a stream, with choices[0].delta as given.
func delta(d string) string {
	return fmt.Sprintf("data: {\"id\":\"c1\",\"model\":\"m-1\",\"choices\":[{\"index\":0,\"delta\":%s,\"finish_reason\":null}]}\n\n", d)
}

func finish(reason string) string {
	return fmt.Sprintf("data: {\"id\":\"c1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":%q}]}\n\n", reason)
}

const done = "data: [DONE]\n\n"

// serve answers every request with the same bytes.
func serve(t *testing.T, status int, contentType, body string) *openai.Client {
	t.Helper()
	return handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func handle(t *testing.T, h http.HandlerFunc) *openai.Client {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return open(t, openai.Options{BaseURL: server.URL + "/v1", APIKey: testKey})
}

func hello() *models.Request {
	return &models.Request{Model: "gpt-4.1", Messages: []models.Message{models.UserMessage("hello")}}
}

func collect(t *testing.T, m models.Model) (*models.Response, error) {
	t.Helper()
	return models.Collect(m.Generate(t.Context(), hello()))
}

// TestStreams feeds streams that aimock cannot send, byte by byte what real servers do.
func TestStreams(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	call := func(id, name, args string) models.ToolCall {
		return models.ToolCall{ID: id, Name: name, Arguments: args}
	}
	tests := []struct {
		name, body string
		text       string
		calls      []models.ToolCall
		finish     models.FinishReason
		usage      models.Usage
	}{
		{
			name: "interleaved parallel deltas",
			body: delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}`) +
				delta(`{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{\"y\""}}]}`) +
				delta(`{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}`) +
				delta(`{"tool_calls":[{"index":1,"function":{"arguments":":2}"}},{"index":0,"function":{"arguments":"1}"}}]}`) +
				finish("tool_calls") + done,
			calls:  []models.ToolCall{call("a", "f", `{"x":1}`), call("b", "g", `{"y":2}`)},
			finish: models.FinishToolCalls,
		},
		{
			name: "id, name and type repeated in each delta",
			body: delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\""}}]}`) +
				delta(`{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":":1}"}}]}`) +
				finish("tool_calls") + done,
			calls:  []models.ToolCall{call("a", "f", `{"x":1}`)},
			finish: models.FinishToolCalls,
		},
		{
			name: "an empty trailing delta is no call",
			body: delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}`) +
				delta(`{"tool_calls":[{"index":1,"function":{}}]}`) + finish("tool_calls") + done,
			calls:  []models.ToolCall{call("a", "f", `{}`)},
			finish: models.FinishToolCalls,
		},
		{
			name: "whole calls without index, finished by stop",
			body: delta(`{"role":"assistant","content":"","tool_calls":[{"id":"a","function":{"name":"f","arguments":"{}"}},{"id":"b","function":{"name":"g","arguments":"{}"}}]}`) +
				finish("stop") + done,
			calls:  []models.ToolCall{call("a", "f", `{}`), call("b", "g", `{}`)},
			finish: models.FinishToolCalls,
		},
		{
			name: "whole calls that share index 0",
			body: delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}]}`) +
				delta(`{"tool_calls":[{"index":0,"id":"b","function":{"name":"g","arguments":"{}"}}]}`) + finish("tool_calls") + done,
			calls:  []models.ToolCall{call("a", "f", `{}`), call("b", "g", `{}`)},
			finish: models.FinishToolCalls,
		},
		{
			name:   "a call without id gets one",
			body:   delta(`{"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]}`) + finish("tool_calls") + done,
			calls:  []models.ToolCall{call("call_1_1", "f", `{}`)},
			finish: models.FinishToolCalls,
		},
		{
			name: "comments, far more than the library's limit",
			body: strings.Repeat(": keep-alive\n\n", 400) + delta(`{"content":"hi"}`) +
				strings.Repeat(": keep-alive\n\n", 400) + finish("stop") + done,
			text: "hi",
		},
		{
			name: "megabytes of comments are not kept",
			body: strings.Repeat(": "+strings.Repeat("z", 1000)+"\n\n", 2500) + delta(`{"content":"hi"}`) + finish("stop") + done,
			text: "hi",
		},
		{
			name: "a line over 64 KB",
			body: delta(`{"content":"`+long+`"}`) + finish("stop") + done,
			text: long,
		},
		{
			name: "CRLF, event and id fields, no blank after data",
			body: "event: message\r\nid: 7\r\nretry: 10\r\ndata:" + strings.TrimPrefix(strings.ReplaceAll(delta(`{"content":"hi"}`), "\n", "\r\n"), "data: ") +
				finish("stop") + done,
			text: "hi",
		},
		{
			name: "usage in its own chunk, without choices",
			body: delta(`{"content":"hi"}`) + finish("stop") +
				`data: {"choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}` + "\n\n" + done,
			text:  "hi",
			usage: models.Usage{InputTokens: 10, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3},
		},
		{
			name: "finish_reason without [DONE] is complete",
			body: delta(`{"content":"hi"}`) + finish("stop"),
			text: "hi",
		},
		{
			name:   "cut at the token limit, without a word",
			body:   delta(`{"role":"assistant"}`) + finish("length") + done,
			finish: models.FinishLength,
		},
		{
			name:   "a refusal is text that was filtered",
			body:   delta(`{"refusal":"I cannot."}`) + finish("stop") + done,
			text:   "I cannot.",
			finish: models.FinishContentFilter,
		},
		{
			name: "other choices are left out",
			body: "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"},\"finish_reason\":null}]}\n\n" +
				delta(`{"content":"hi"}`) + finish("eos") + done,
			text: "hi",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := collect(t, serve(t, 200, "text/event-stream", tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.finish == "" {
				tt.finish = models.FinishStop
			}
			want := models.Response{Message: models.AssistantMessage(tt.text, tt.calls...), Finish: tt.finish, Usage: tt.usage, Model: "m-1", ID: "c1"}
			if !strings.Contains(tt.body, "m-1") {
				want.Model = ""
			}
			g, _ := json.Marshal(got)
			w, _ := json.Marshal(want)
			if string(g) != string(w) {
				t.Errorf("got  %.2000s\nwant %.2000s", g, w)
			}
		})
	}
}

// TestBrokenStreams demands a failure of every stream that is not a whole answer,
// where the library itself reports most of them as a success.
func TestBrokenStreams(t *testing.T) {
	const sse = "text/event-stream"
	hi := delta(`{"content":"hi"}`)
	tests := []struct {
		name, contentType, body string
		kind                    models.ErrorKind
		retry                   bool
		says                    string
	}{
		{"closed without finish_reason", sse, hi, models.KindIncomplete, true, "without [DONE] and without finish_reason after 1 chunks"},
		{"[DONE] without finish_reason", sse, hi + done, models.KindIncomplete, true, "with [DONE] and without finish_reason"},
		{"empty", sse, "", models.KindIncomplete, true, "after 0 chunks"},
		{"not a stream", "application/json", `{"choices":[]}`, models.KindMalformed, false, "application/json"},
		{"a web page", "text/html; charset=utf-8", "<html><body>Welcome</body></html>", models.KindMalformed, false, "check that the base URL ends in"},
		{"an error with status 200", "application/json", "{\n \"error\": {\n  \"message\": \"busy\", \"type\": \"overloaded_error\"}}", models.KindUnavailable, true, "busy"},
		{"error event in mid-stream", sse, hi + "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n", models.KindUnavailable, true, "boom"},
		{"error event, quota", sse, hi + "data: {\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}\n\n", models.KindQuota, false, "pay"},
		{"error event, status as code", sse, hi + "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n" + done, models.KindRateLimit, true, "slow down"},
		{"error event that is a string", sse, hi + "data: {\"error\":\"out of memory\"}\n\n" + done, models.KindUnavailable, true, "out of memory"},
		{"error event after finish_reason", sse, hi + finish("stop") + "data: {\"error\":{\"message\":\"late\",\"type\":\"server_error\"}}\n\n", models.KindUnavailable, true, "late"},
		{"error inside a chunk", sse, hi + "data: {\"id\":\"c1\",\"choices\":[],\"error\":{\"message\":\"inside\",\"code\":502}}\n\n", models.KindUnavailable, true, "inside"},
		{"finish_reason error", sse, hi + finish("error") + done, models.KindUnavailable, true, "ended the answer with an error"},
		{"bad JSON in a chunk", sse, hi + "data: {\"choices\":[{\n\n" + finish("stop"), models.KindMalformed, true, "chunk 2 of the stream cannot be read"},
		{"data split over two lines", sse, "data: {\"choices\":\ndata: []}\n\n", models.KindMalformed, true, "chunk 1"},
		{"invalid UTF-8", sse, delta("{\"content\":\"h\xff\"}") + finish("stop") + done, models.KindMalformed, true, "UTF-8"},
		{"neither text nor call", sse, delta(`{"role":"assistant","content":""}`) + finish("stop") + done, models.KindMalformed, true, "neither text nor tool calls"},
		{"duplicate ids", sse, delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"a","function":{"name":"g"}}]}`) + finish("tool_calls"), models.KindMalformed, true, `have the id "a"`},
		{"a call without name", sse, delta(`{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}`) + finish("tool_calls"), models.KindMalformed, true, "names no tool"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := collect(t, serve(t, 200, tt.contentType, tt.body))
			var e *models.Error
			if !errors.As(err, &e) {
				t.Fatalf("answer %+v, error %v; want a *models.Error", resp, err)
			}
			if e.Kind != tt.kind || e.Retryable() != tt.retry {
				t.Errorf("kind %s, retryable %t (%v); want %s, %t", e.Kind, e.Retryable(), e, tt.kind, tt.retry)
			}
			if !strings.Contains(e.Error(), tt.says) || strings.Contains(e.Error(), "\n") {
				t.Errorf("error %q must be one line and say %q", e, tt.says)
			}
		})
	}
}

func TestBodyCutByTransport(t *testing.T) {
	client := handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, delta(`{"content":"hi"}`))
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler) // closes the connection within the chunked body
	})
	_, err := collect(t, client)
	if models.KindOf(err) != models.KindIncomplete || !strings.Contains(err.Error(), "broke after 1 chunks") {
		t.Errorf("error is %v; want %s", err, models.KindIncomplete)
	}
}

// TestReasoning reads both names that servers have for it.
func TestReasoning(t *testing.T) {
	for _, field := range []string{"reasoning", "reasoning_content"} {
		client := serve(t, 200, "text/event-stream",
			delta(`{"`+field+`":"hm, "}`)+delta(`{"`+field+`":"well"}`)+delta(`{"content":"yes"}`)+finish("stop")+done)
		var reasoning, text string
		for ev, err := range client.Generate(t.Context(), hello()) {
			if err != nil {
				t.Fatal(err)
			}
			reasoning += ev.Reasoning
			text += ev.Delta
		}
		if reasoning != "hm, well" || text != "yes" {
			t.Errorf("%s: reasoning %q, text %q", field, reasoning, text)
		}
	}
}

// endless sends pieces until the client is gone, and reports how many bytes it got rid of.
func endless(t *testing.T, start, piece string) (*openai.Client, <-chan int) {
	sent := make(chan int, 1)
	return handle(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		n, _ := io.WriteString(w, start)
		for n < 200<<20 {
			m, err := io.WriteString(w, piece)
			n += m
			if err != nil {
				break
			}
		}
		sent <- n
	}), sent
}

func TestEndlessAnswersAreGivenUp(t *testing.T) {
	arguments := delta(`{"tool_calls":[{"index":0,"function":{"arguments":"` + strings.Repeat("9", 64<<10) + `"}}]}`)
	tests := []struct{ name, start, piece string }{
		{"arguments", delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"["}}]}`), arguments},
		{"a line", `data: {"choices":[{"delta":{"content":"`, strings.Repeat("x", 64<<10)},
		{"lines that are not data", "", strings.Repeat("x", 1000) + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, sent := endless(t, tt.start, tt.piece)
			_, err := collect(t, client)
			if models.KindOf(err) != models.KindTooLarge {
				t.Errorf("error is %v; want %s", err, models.KindTooLarge)
			}
			var e *models.Error
			if errors.As(err, &e) && e.Retryable() {
				t.Error("an answer that is too large must not be asked for again")
			}
			// What the kernel buffers comes on top of what the client read.
			if n := <-sent; n > 64<<20 {
				t.Errorf("the server got rid of %d MB before the client gave up", n>>20)
			}
		})
	}
}

// silent is a transport whose stream begins and then says nothing more.
type silent struct{ begin string }

func (s silent) RoundTrip(req *http.Request) (*http.Response, error) {
	r, w := io.Pipe()
	go func() {
		_, _ = io.WriteString(w, s.begin)
		<-req.Context().Done()
		w.CloseWithError(req.Context().Err())
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: r, Request: req}, nil
}

func TestIdleTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, openai.Options{BaseURL: "http://silent.test/v1", IdleTimeout: time.Minute,
			Transport: silent{delta(`{"content":"hi"}`)}})
		began := time.Now()
		var text string
		var failure error
		for ev, err := range client.Generate(t.Context(), hello()) {
			text += ev.Delta
			failure = err
			if text != "" && err == nil {
				// A consumer that takes its time is not a silent server.
				<-time.After(time.Hour) // of the bubble's clock
			}
		}
		var e *models.Error
		if !errors.As(failure, &e) || e.Kind != models.KindTimeout || !e.Retryable() {
			t.Errorf("error is %v; want a retryable %s", failure, models.KindTimeout)
		}
		if text != "hi" || time.Since(began) != time.Hour+time.Minute {
			t.Errorf("text %q after %s", text, time.Since(began))
		}
	})
}

func TestCancelInMidStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := open(t, openai.Options{BaseURL: "http://silent.test/v1", Transport: silent{delta(`{"content":"hi"}`)}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := models.Collect(client.Generate(ctx, hello()))
		if models.KindOf(err) != models.KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v; want the caller's deadline", err)
		}
	})
}
