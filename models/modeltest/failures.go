package modeltest

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
)

func asError(err error) (*models.Error, bool) { return errors.AsType[*models.Error](err) }

// envelope is the body of an OpenAI error; code is JSON.
func envelope(message, typ, code string) string {
	return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"param":null,"code":%s}}`, message, typ, code)
}

// failures are what servers answer instead of a stream.
func failures(t *testing.T, open OpenChat) {
	tests := []struct {
		name   string
		status int
		body   string
		kind   models.ErrorKind
		retry  bool
		says   string
	}{
		{"rate limit", 429, envelope("slow down", "requests", `"rate_limit_exceeded"`), models.KindRateLimit, true, "slow down"},
		{"rate limit without a word", 429, "", models.KindRateLimit, true, "Too Many Requests"},
		{"quota has the same status", 429, envelope("no credit", "insufficient_quota", `"insufficient_quota"`), models.KindQuota, false, "check the account's credit"},
		// No wait makes such a request fit: OpenAI, then Groq.
		{"more than a minute's tokens", 429, envelope("Request too large for m on tokens per min (TPM): Limit 30000, Requested 31246.", "tokens", `"rate_limit_exceeded"`), models.KindRateLimit, false, "Request too large"},
		{"more than a minute's tokens, status 413", 413, envelope("Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 8107", "tokens", `"rate_limit_exceeded"`), models.KindRateLimit, false, "Request too large"},
		{"a minute's tokens are used up", 429, envelope("Rate limit reached for m on tokens per min (TPM): Limit 30000, Used 29000, Requested 3000.", "tokens", `"rate_limit_exceeded"`), models.KindRateLimit, true, "Rate limit reached"},
		{"wrong key", 401, envelope("bad key", "invalid_request_error", `"invalid_api_key"`), models.KindAuth, false, "check the API key"},
		{"forbidden", 403, envelope("not for you", "invalid_request_error", "null"), models.KindAuth, false, "not for you"},
		{"unknown model, code null", 404, envelope(`model "x" not found`, "not_found_error", "null"), models.KindNotFound, false, "check the model's name"},
		{"unknown path, no envelope", 404, "404 page not found", models.KindNotFound, false, "ends in the API's version"},
		{"unknown deployment, Azure", 404, `{"error":{"code":"DeploymentNotFound","message":"The API deployment does not exist."}}`, models.KindNotFound, false, "deployment"},
		{"context length by code", 400, envelope("too long", "invalid_request_error", `"context_length_exceeded"`), models.KindContextLength, false, "too long"},
		{"context length by text", 400, envelope("This model's maximum context length is 8192 tokens.", "BadRequestError", "400"), models.KindContextLength, false, ""},
		{"context length, llama.cpp", 400, `{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error"}}`, models.KindContextLength, false, ""},
		{"content filter, Azure", 400, envelope("filtered", "", `"content_filter"`), models.KindContentFilter, false, "filtered"},
		{"bad request", 400, envelope("no", "invalid_request_error", "null"), models.KindInvalidRequest, false, "no"},
		{"detail of FastAPI", 422, `{"detail":[{"msg":"field required"}]}`, models.KindInvalidRequest, false, "field required"},
		{"error that is a string", 400, `{"error":"model is loading wrongly"}`, models.KindInvalidRequest, false, "model is loading wrongly"},
		{"bad JSON in the envelope", 400, `{"error":{"message":`, models.KindInvalidRequest, false, ""},
		{"server's own timeout", 408, envelope("too slow", "timeout", "null"), models.KindTimeout, true, "too slow"},
		{"broken", 500, envelope("oops", "server_error", "null"), models.KindUnavailable, true, "oops"},
		{"text of several lines", 500, "Internal\r\nServer\nError", models.KindUnavailable, true, "Internal Server Error"},
		{"gateway's page", 502, "<!DOCTYPE html>\n<html>bad gateway</html>", models.KindUnavailable, true, "an HTML page"},
		{"unavailable", 503, envelope("overloaded", "server_error", `"service_unavailable"`), models.KindUnavailable, true, "overloaded"},
		{"gateway's timeout", 504, "", models.KindTimeout, true, "Gateway Timeout"},
		{"overloaded", 529, envelope("overloaded", "overloaded_error", "null"), models.KindUnavailable, true, "overloaded"},
		{"payment", 402, "", models.KindQuota, false, ""},
		// Numbers in the text are no status: a guess by text would take these for others.
		{"a text with other numbers", 400, envelope("tool_401 returned 429 after 500 rows", "invalid_request_error", "null"), models.KindInvalidRequest, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, open.serve(t, tt.status, "application/json", tt.body))
			if e := typed(t, err, tt.kind, tt.retry, tt.says); e.Status != tt.status {
				t.Errorf("status is %d; want %d", e.Status, tt.status)
			}
		})
	}
}

// retryAfter demands that a server's wish is known, in each of its forms.
func retryAfter(t *testing.T, open OpenChat) {
	answer := func(status int, header map[string]string, body string) error {
		_, err := collect(t, open.handle(t, func(w http.ResponseWriter, _ *http.Request) {
			for k, v := range header {
				w.Header().Set(k, v)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}))
		return err
	}
	limited := envelope("slow down", "requests", `"rate_limit_exceeded"`)
	tests := []struct {
		name   string
		header map[string]string
		want   time.Duration
	}{
		{"seconds", map[string]string{"Retry-After": "17"}, 17 * time.Second},
		{"milliseconds", map[string]string{"Retry-After-Ms": "1500", "Retry-After": "2"}, 1500 * time.Millisecond},
		{"OpenAI's used up limit", map[string]string{"X-Ratelimit-Remaining-Tokens": "0", "X-Ratelimit-Reset-Tokens": "6m0s"}, 6 * time.Minute},
		{"nothing", nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if e := typed(t, answer(429, tt.header, limited), models.KindRateLimit, true); e.RetryAfter != tt.want {
				t.Errorf("retry after is %s; want %s", e.RetryAfter, tt.want)
			}
		})
	}
	t.Run("date", func(t *testing.T) {
		before := time.Now()
		at := before.Add(time.Hour).UTC().Truncate(time.Second)
		e := typed(t, answer(503, map[string]string{"Retry-After": at.Format(http.TimeFormat)}, ""), models.KindUnavailable, true)
		if least, most := time.Until(at), at.Sub(before); e.RetryAfter < least || e.RetryAfter > most {
			t.Errorf("retry after is %s; want between %s and %s", e.RetryAfter, least, most)
		}
	})
	t.Run("not for what cannot pass", func(t *testing.T) {
		e := typed(t, answer(429, map[string]string{"Retry-After": "17"}, envelope("pay", "insufficient_quota", `"insufficient_quota"`)), models.KindQuota, false)
		if e.RetryAfter != 0 {
			t.Errorf("a used up quota asks to come again after %s", e.RetryAfter)
		}
	})
}

func unreachable(t *testing.T, open OpenChat) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	_ = listener.Close()
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	noHost := RoundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere.test", IsNotFound: true}}
	})
	tests := []struct {
		name   string
		server Server
		retry  bool
		says   []string
	}{
		{"refused", Server{BaseURL: "http://" + closed + "/v1"}, true, []string{closed, "connection refused", "check the base URL and that the server runs"}},
		// langchaingo's own guess by text would take this for a wrong key.
		{"refused by a port that looks like a status", Server{BaseURL: "http://nowhere.test:4010/v1", Transport: RoundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connect 127.0.0.1:4010: connection refused")}
		})}, true, []string{"4010"}},
		{"no such host", Server{BaseURL: "http://nowhere.test/v1", Transport: noHost}, false, []string{"nowhere.test", "there is no such host"}},
		{"https to http", Server{BaseURL: strings.Replace(plain.URL, "http:", "https:", 1)}, false, []string{"says https"}},
		{"unknown certificate", Server{BaseURL: secure.URL}, false, []string{"check the server's certificate"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, open(t, tt.server))
			typed(t, err, models.KindUnreachable, tt.retry, tt.says...)
		})
	}
}

// redirect demands that the key does not travel to where a server points.
func redirect(t *testing.T, open OpenChat) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer other.Close()
	_, err := collect(t, open.handle(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/secret-path", http.StatusTemporaryRedirect)
	}))
	typed(t, err, models.KindInvalidRequest, false, "redirects to "+other.URL)
}

// secrets prints everything that there is, in every way, with a server that repeats
// the key in its errors.
func secrets(t *testing.T, open OpenChat) {
	const header = "header-secret-0123456789"
	var texts []string
	show := func(v any) {
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s", v, v, v, v))
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		texts = append(texts, log.String())
	}
	bodies := []struct {
		status int
		body   string
	}{
		{401, envelope("Incorrect API key provided: "+testKey, "", `"`+testKey+`"`)},
		{500, "key " + testKey + " and " + header},
		{500, strings.Repeat("x", 800-len(testKey)/2) + testKey}, // where a long text is cut
		{200, "data: {\"error\":{\"message\":\"key " + testKey + "\"}}\n\n"},
		{200, "data: {\"" + testKey + "\n\n"},
	}
	for _, azure := range []string{"", "2024-10-21"} {
		for _, b := range bodies {
			authorized := false
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				authorized = r.Header.Get("Authorization") == "Bearer "+testKey
				if azure != "" {
					authorized = r.Header.Get("Api-Key") == testKey && r.Header.Get("Authorization") == ""
				}
				authorized = authorized && r.Header.Get("X-Extra") == "Bearer "+header
				w.WriteHeader(b.status)
				_, _ = io.WriteString(w, b.body)
			}))
			m := open(t, Server{BaseURL: server.URL, APIKey: testKey, AzureAPIVersion: azure, Headers: map[string]string{"X-Extra": "Bearer " + header}})
			_, err := collect(t, m)
			server.Close()
			if err == nil || !authorized {
				t.Fatalf("error %v, authorized %t", err, authorized)
			}
			show(m)
			for ; err != nil; err = errors.Unwrap(err) {
				show(err)
			}
		}
	}
	for _, text := range texts {
		if strings.Contains(text, testKey[:len(testKey)/3]) || strings.Contains(text, header[:len(header)/3]) {
			t.Errorf("a secret is shown: %.300s", text)
		}
	}
}
