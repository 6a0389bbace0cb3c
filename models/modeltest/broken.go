package modeltest

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/models"
)

// brokenStreams demands a failure of every stream that is not a whole answer. The
// libraries themselves report most of them as a success.
func brokenStreams(t *testing.T, open OpenChat) {
	hi := Delta(`{"content":"hi"}`)
	tests := []struct {
		name, contentType, body string
		kind                    models.ErrorKind
		retry                   bool
		says                    string
	}{
		{"closed without finish_reason", eventStream, hi, models.KindIncomplete, true, "without [DONE] and without finish_reason after 1 chunks"},
		{"[DONE] without finish_reason", eventStream, hi + Done, models.KindIncomplete, true, "with [DONE] and without finish_reason"},
		{"empty", eventStream, "", models.KindIncomplete, true, "after 0 chunks"},
		{"only comments", eventStream, strings.Repeat(": wait\n\n", 400), models.KindIncomplete, true, "after 0 chunks"},
		{"closed within an event", eventStream, hi + strings.TrimSuffix(Delta(`{"content":"there"}`), "}\n\n"), models.KindIncomplete, true, "after 1 chunks"},
		{"not a stream", "application/json", `{"choices":[]}`, models.KindMalformed, false, "application/json"},
		{"a whole answer that is no stream", "application/json", `{"choices":[{"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`, models.KindMalformed, false, "instead of an event stream"},
		{"a web page", "text/html; charset=utf-8", "<html><body>Welcome</body></html>", models.KindMalformed, false, "check that the base URL ends in"},
		{"an error with status 200", "application/json", "{\n \"error\": {\n  \"message\": \"busy\", \"type\": \"overloaded_error\"}}", models.KindUnavailable, true, "busy"},
		{"error event in mid-stream", eventStream, hi + "data: {\"error\":{\"message\":\"boom\",\"type\":\"server_error\"}}\n\n", models.KindUnavailable, true, "boom"},
		{"error event by its name", eventStream, hi + "event: error\ndata: {\"message\":\"boom\"}\n\n", models.KindUnavailable, true, "boom"},
		{"error event, quota", eventStream, hi + "data: {\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}\n\n", models.KindQuota, false, "pay"},
		{"error event, status as code", eventStream, hi + "data: {\"error\":{\"message\":\"slow down\",\"code\":429}}\n\n" + Done, models.KindRateLimit, true, "slow down"},
		{"error event that is a string", eventStream, hi + "data: {\"error\":\"out of memory\"}\n\n" + Done, models.KindUnavailable, true, "out of memory"},
		{"error event after finish_reason", eventStream, hi + Finish("stop") + "data: {\"error\":{\"message\":\"late\",\"type\":\"server_error\"}}\n\n", models.KindUnavailable, true, "late"},
		{"error inside a chunk", eventStream, hi + "data: {\"id\":\"c1\",\"choices\":[],\"error\":{\"message\":\"inside\",\"code\":502}}\n\n", models.KindUnavailable, true, "inside"},
		{"context length in mid-stream", eventStream, hi + "data: {\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}\n\n", models.KindContextLength, false, "too long"},
		{"finish_reason error", eventStream, hi + Finish("error") + Done, models.KindUnavailable, true, "ended the answer with an error"},
		{"bad JSON in a chunk", eventStream, hi + "data: {\"choices\":[{\n\n" + Finish("stop"), models.KindMalformed, true, "chunk 2 of the stream cannot be read"},
		{"data split over two lines", eventStream, "data: {\"choices\":\ndata: []}\n\n", models.KindMalformed, true, "chunk 1"},
		{"invalid UTF-8", eventStream, Delta("{\"content\":\"h\xff\"}") + Finish("stop") + Done, models.KindMalformed, true, "UTF-8"},
		{"neither text nor call", eventStream, Delta(`{"role":"assistant","content":""}`) + Finish("stop") + Done, models.KindMalformed, true, "neither text nor tool calls"},
		{"duplicate ids", eventStream, Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f"}},{"index":1,"id":"a","function":{"name":"g"}}]}`) + Finish("tool_calls"), models.KindMalformed, true, `have the id "a"`},
		{"a call without name", eventStream, Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]}`) + Finish("tool_calls"), models.KindMalformed, true, "names no tool"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, open.serve(t, 200, tt.contentType, tt.body))
			typed(t, err, tt.kind, tt.retry, tt.says)
		})
	}
	t.Run("cut by the transport", func(t *testing.T) {
		_, err := collect(t, open.handle(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", eventStream)
			_, _ = io.WriteString(w, hi)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler) // closes the connection within the chunked body
		}))
		typed(t, err, models.KindIncomplete, true, "broke after 1 chunks")
	})
	t.Run("cut after finish_reason", func(t *testing.T) {
		resp, err := collect(t, open.handle(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", eventStream)
			_, _ = io.WriteString(w, hi+Finish("stop"))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}))
		if err != nil || resp.Message.Content != "hi" {
			t.Errorf("answer %+v, error %v; only the usage can be missing", resp, err)
		}
	})
}

// endless demands that answers without end are given up in bounded memory.
func endless(t *testing.T, open OpenChat) {
	arguments := Delta(`{"tool_calls":[{"index":0,"function":{"arguments":"` + strings.Repeat("9", 64<<10) + `"}}]}`)
	tests := []struct{ name, start, piece string }{
		{"text", "", Delta(`{"content":"` + strings.Repeat("x", 64<<10) + `"}`)},
		{"arguments", Delta(`{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"["}}]}`), arguments},
		{"calls", "", Delta(`{"tool_calls":[` + strings.TrimSuffix(strings.Repeat(`{"id":"a"},{"id":"b"},`, 2_000), ",") + `]}`)},
		{"a line", `data: {"choices":[{"delta":{"content":"`, strings.Repeat("x", 64<<10)},
		{"lines that are not data", "", strings.Repeat("x", 1000) + "\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sent := make(chan int, 1)
			m := open.handle(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", eventStream)
				n, _ := io.WriteString(w, tt.start)
				for n < 200<<20 {
					m, err := io.WriteString(w, tt.piece)
					n += m
					if err != nil {
						break
					}
				}
				sent <- n
			})
			_, err := collect(t, m)
			typed(t, err, models.KindTooLarge, false) // it would be as large the next time
			// What the kernel buffers comes on top of what the client read.
			if n := <-sent; n > 64<<20 {
				t.Errorf("the server got rid of %d MB before the client gave up", n>>20)
			}
		})
	}
}
