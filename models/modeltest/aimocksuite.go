package modeltest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

// againstAimock runs the cases, and what only a server of others can show: retries
// that succeed, answers that are cut on the wire, and what really was sent.
func againstAimock(t *testing.T, open OpenChat) {
	user := func(text string, more ...any) map[string]any {
		m := map[string]any{"userMessage": text}
		for i := 0; i < len(more); i += 2 {
			m[more[i].(string)] = more[i+1]
		}
		return m
	}
	limited := map[string]any{"error": map[string]any{"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}, "status": 429, "retryAfter": 11}
	fixtures := append(Fixtures(),
		Fixture{"match": user("try twice", "sequenceIndex", 0), "response": limited},
		Fixture{"match": user("try twice", "sequenceIndex", 1), "response": map[string]any{"content": "second time"}},
		Fixture{"match": user("cut"), "response": map[string]any{"content": strings.Repeat("word ", 40)},
			"truncateAfterChunks": 4, "latency": 20, "chunkSize": 5},
		Fixture{"match": user("think"), "response": map[string]any{"content": "42", "reasoning": "six times seven"}},
		Fixture{"match": user("blocks"), "response": map[string]any{"blocks": []any{
			map[string]any{"type": "toolCall", "id": "c1", "name": "f", "arguments": "{}"},
			map[string]any{"type": "text", "text": "after the call"},
		}}},
		Fixture{"match": user("plain"), "response": map[string]any{"content": "fine"}},
	)
	server := startAimock(t, testKey, fixtures...)
	t.Run("cases", func(t *testing.T) {
		Run(t, Subject{Open: func(t *testing.T, c Case) models.Model {
			return open(t, Server{BaseURL: server.BaseURL, APIKey: testKey, Headers: map[string]string{TestIDHeader: server.NewTestID(t)}})
		}})
	})
	t.Run("another key", func(t *testing.T) {
		_, err := collect(t, open(t, Server{BaseURL: server.BaseURL, APIKey: "sk-another-0123456789"}))
		typed(t, err, models.KindAuth, false, "check the API key")
	})
	// Each subtest is a test of its own to the server, whose counters go by this id.
	client := func(t *testing.T) (models.Model, string) {
		id := server.NewTestID(t)
		return open(t, Server{BaseURL: server.BaseURL, APIKey: testKey, Headers: map[string]string{TestIDHeader: id}}), id
	}
	request := func(text string) *models.Request {
		return &models.Request{Model: "gpt-4.1", Messages: []models.Message{models.UserMessage(text)}}
	}

	t.Run("retry waits as long as Retry-After says", func(t *testing.T) {
		c, id := client(t)
		var waits []time.Duration
		m := models.WithRetry(c, models.RetryOptions{
			Rand:  func() float64 { return 0 },
			Sleep: func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil },
		})
		resp, err := models.Collect(m.Generate(t.Context(), request("try twice")))
		if err != nil || resp.Message.Content != "second time" {
			t.Fatalf("answer %+v, error %v", resp, err)
		}
		if len(waits) != 1 || waits[0] != 11*time.Second {
			t.Errorf("waited %v; want once 11s", waits)
		}
		if n := len(server.Journal(t, id)); n != 2 {
			t.Errorf("the server saw %d requests; want 2", n)
		}
	})
	t.Run("cut on the wire", func(t *testing.T) {
		c, _ := client(t)
		text := ""
		var failure error
		for ev, err := range c.Generate(t.Context(), request("cut")) {
			text += ev.Delta
			failure = err
		}
		if models.KindOf(failure) != models.KindIncomplete || text == "" {
			t.Errorf("after %q the error is %v; want %s after some text", text, failure, models.KindIncomplete)
		}
	})
	t.Run("a reset connection can be tried again", func(t *testing.T) {
		c, id := client(t)
		chaos(t, server, id, `{"disconnectRate":1}`)
		_, err := models.Collect(c.Generate(t.Context(), request("plain")))
		if kind := models.KindOf(err); kind != models.KindUnreachable && kind != models.KindIncomplete {
			t.Errorf("error is %v", err)
		}
	})
	t.Run("malformed answer", func(t *testing.T) {
		c, id := client(t)
		chaos(t, server, id, `{"malformedRate":1}`)
		if _, err := models.Collect(c.Generate(t.Context(), request("plain"))); models.KindOf(err) != models.KindMalformed {
			t.Errorf("error is %v; want %s", err, models.KindMalformed)
		}
	})
	t.Run("rate limit of the server's own making", func(t *testing.T) {
		c, id := client(t)
		chaos(t, server, id, `{"rateLimitRate":1}`)
		if _, err := models.Collect(c.Generate(t.Context(), request("plain"))); models.KindOf(err) != models.KindRateLimit {
			t.Errorf("error is %v; want %s", err, models.KindRateLimit)
		}
	})
	t.Run("reasoning", func(t *testing.T) {
		c, _ := client(t)
		req := request("think")
		req.Model = "deepseek-reasoner"
		reasoning, text := "", ""
		for ev, err := range c.Generate(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			reasoning, text = reasoning+ev.Reasoning, text+ev.Delta
		}
		if reasoning != "six times seven" || text != "42" {
			t.Errorf("reasoning %q, text %q", reasoning, text)
		}
	})
	t.Run("text after a call", func(t *testing.T) {
		c, _ := client(t)
		resp, err := models.Collect(c.Generate(t.Context(), request("blocks")))
		if err != nil {
			t.Fatal(err)
		}
		if m := resp.Message; m.Content != "after the call" || len(m.ToolCalls) != 1 || m.ToolCalls[0].Name != "f" {
			t.Errorf("message is %+v", m)
		}
	})
	t.Run("what was sent", func(t *testing.T) {
		c, id := client(t)
		req := request("plain")
		req.Agent = "secret-agent"
		if _, err := models.Collect(c.Generate(t.Context(), req)); err != nil {
			t.Fatal(err)
		}
		journal := server.Journal(t, id)
		if len(journal) != 1 || journal[0].Path != "/v1/chat/completions" {
			t.Fatalf("journal is %+v", journal)
		}
		var body struct {
			Stream  bool `json:"stream"`
			Options struct {
				Usage bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if err := json.Unmarshal(journal[0].Body, &body); err != nil || !body.Stream || !body.Options.Usage {
			t.Errorf("body %s (%v) does not ask for a stream with usage", journal[0].Body, err)
		}
		if strings.Contains(string(journal[0].Body), req.Agent) {
			t.Errorf("body %s has the agent's label in it", journal[0].Body)
		}
	})
	t.Run("nothing fits", func(t *testing.T) {
		c, _ := client(t)
		if _, err := models.Collect(c.Generate(t.Context(), request("unheard of"))); models.KindOf(err) != models.KindUnavailable {
			t.Errorf("error is %v", err)
		}
	})
}

// chaos makes the server fail all requests of one test.
func chaos(t *testing.T, server *Aimock, testID, rates string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/__aimock/chaos", strings.NewReader(rates))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(TestIDHeader, testID)
	server.authorize(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode >= 300 {
		t.Fatalf("chaos: %s %s", resp.Status, body)
	}
}

// azure is about the addresses and keys of Azure OpenAI, whose models are deployments.
func azure(t *testing.T, open OpenChat) {
	server := startAimock(t, testKey, Fixtures()...)
	for _, base := range []string{server.URL, server.URL + "/", server.URL + "/openai/"} {
		id := server.NewTestID(t)
		m := open(t, Server{BaseURL: base, AzureAPIVersion: "2024-10-21", APIKey: testKey, Model: "my.gpt-4.1", Headers: map[string]string{TestIDHeader: id}})
		c := Cases()[2]
		answers(t, m, c)
		journal := server.Journal(t, id)
		if len(journal) == 0 {
			t.Fatal("the server saw no request")
		}
		entry := journal[0]
		// aimock leaves the query out of its journal.
		if path, _, _ := strings.Cut(entry.Path, "?"); path != "/openai/deployments/my.gpt-4.1/chat/completions" {
			t.Errorf("%s: path is %s", base, entry.Path)
		}
		if entry.Headers["api-key"] == "" || entry.Headers["authorization"] != "" {
			t.Errorf("%s: headers are %v; want the key as api-key alone", base, entry.Headers)
		}
	}
	t.Run("address", func(t *testing.T) {
		var address string
		m := open(t, Server{BaseURL: "https://name.openai.azure.com", AzureAPIVersion: "2024-10-21", Model: "a/b c", Transport: RoundTrip(func(r *http.Request) (*http.Response, error) {
			address = r.URL.String()
			return streamed(r, io.NopCloser(strings.NewReader(Delta(`{"content":"hi"}`)+Finish("stop")))), nil
		})})
		if _, err := collect(t, m); err != nil {
			t.Fatal(err)
		}
		if want := "https://name.openai.azure.com/openai/deployments/a%2Fb%20c/chat/completions?api-version=2024-10-21"; address != want {
			t.Errorf("asked %s; want %s", address, want)
		}
	})
}
