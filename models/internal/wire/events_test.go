package wire

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/agentrun-dev/agentrun/models"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// read sends one request and reads its body as a library would, in pieces of size; it
// returns what came of it, and what the library saw.
func read(t *testing.T, body io.Reader, size int) (events []models.Event, resp *models.Response, saw string, err error) {
	t.Helper()
	e, err := New(Config{Provider: "test", Package: "test", BaseURL: "http://test.test/v1", Next: roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: io.NopCloser(body), Request: r}, nil
	})})
	if err != nil {
		t.Fatal(err)
	}
	x, ctx, stop := e.Begin(t.Context(), Call{Model: "m", Turn: 1})
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.BaseURL(), strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := e.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var seen strings.Builder
	buf := make([]byte, size)
	for err == nil {
		var n int
		n, err = answer.Body.Read(buf)
		seen.Write(buf[:n])
		events = append(events, x.Take()...)
	}
	resp, err = x.End(t.Context(), err)
	return events, resp, seen.String(), err
}

// outcome is a reading as text, to compare.
func outcome(events []models.Event, resp *models.Response, saw string, err error) string {
	text, _ := json.Marshal(map[string]any{"events": events, "response": resp, "saw": saw})
	if err != nil {
		return string(text) + err.Error()
	}
	return string(text)
}

// chunks are events of every kind.
var chunks = []string{
	`data: {"id":"c","choices":[{"delta":{"content":"hé"}}]}` + "\n\n",
	"data:{\"choices\":[{\"delta\":{\"content\":\"llo\"}}]}\r\n\r\n",
	": keep-alive\n\n",
	"event: message\nid: 1\nretry: 5\n",
	`data: {"choices":[{"delta":{"tool_calls":[{"index":1,"id":"b","function":{"name":"g","arguments":"{"}},{"index":0,"id":"a","function":{"name":"f"}}]}}]}` + "\n\n",
	`data: {"choices":[{"delta":{"tool_calls":[{"index":1,"function":{"arguments":"}"}}]}}]}` + "\n\n",
	`data: {"choices":[{"delta":{},"finish_reason":"tool_calls"}]}` + "\n\n",
	"data: [DONE]\n\n",
}

// TestCuts reads the same stream in pieces of all sizes: where the network and the
// library cut it must not show.
func TestCuts(t *testing.T) {
	body := strings.Join(chunks, "")
	whole := outcome(read(t, strings.NewReader(body), 4096))
	if !strings.Contains(whole, `"content":"héllo"`) || strings.Count(whole, "choices") != 5 || !strings.Contains(whole, "[DONE]") {
		t.Fatalf("the stream gives %s", whole)
	}
	for _, size := range []int{1, 2, 7, 64, 4096} {
		for name, reader := range map[string]io.Reader{
			"one byte at a time": iotest.OneByteReader(strings.NewReader(body)),
			"half of what fits":  iotest.HalfReader(strings.NewReader(body)),
			"end with the data":  iotest.DataErrReader(strings.NewReader(body)),
		} {
			if got := outcome(read(t, reader, size)); got != whole {
				t.Errorf("%s, read in pieces of %d:\ngot  %s\nwant %s", name, size, got, whole)
			}
		}
	}
}

// TestEveryPrefix ends a stream at each of its bytes, cleanly and not: it is an answer
// from its finish_reason on, and never before.
func TestEveryPrefix(t *testing.T) {
	body := strings.Join(chunks, "")
	complete := strings.Index(body, `"tool_calls"}]}`) + len(`"tool_calls"}]}`)
	for end := range len(body) + 1 {
		for _, last := range []error{io.EOF, io.ErrUnexpectedEOF} {
			from := complete
			if last != io.EOF {
				from++ // half a line counts only at a clean end
			}
			_, resp, _, err := read(t, io.MultiReader(strings.NewReader(body[:end]), iotest.ErrReader(last)), 512)
			if end >= from && (err != nil || len(resp.Message.ToolCalls) != 2) {
				t.Fatalf("%v after %d bytes: %+v, %v; the answer was whole", last, end, resp, err)
			}
			if e, ok := errors.AsType[*models.Error](err); end < from && (!ok || e.Kind != models.KindIncomplete) {
				t.Fatalf("%v after %d bytes of %q: %+v, %v; want %s", last, end, body[max(0, end-20):end], resp, err, models.KindIncomplete)
			}
		}
	}
}

// FuzzStream feeds anything: there is an answer or an error, a library never reads more
// than it was sent events, and nothing is kept that grows without bound.
func FuzzStream(f *testing.F) {
	for _, c := range chunks {
		f.Add([]byte(c))
	}
	f.Add([]byte("data: {\"error\":{\"code\":429}}\n\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, resp, saw, err := read(t, strings.NewReader(string(body)), 100)
		if (resp == nil) == (err == nil) {
			t.Errorf("answer %+v, error %v", resp, err)
		}
		if strings.Count(saw, "\n\n") > strings.Count(string(body), "data") {
			t.Errorf("the library saw %q of %q", saw, body)
		}
	})
}
