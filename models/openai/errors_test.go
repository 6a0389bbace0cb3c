package openai_test

import (
	"context"
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
	"github.com/agentrun-dev/agentrun/models/openai"
)

func TestStatusErrors(t *testing.T) {
	envelope := func(message, typ, code string) string {
		return fmt.Sprintf(`{"error":{"message":%q,"type":%q,"param":null,"code":%s}}`, message, typ, code)
	}
	tests := []struct {
		name   string
		status int
		body   string
		kind   models.ErrorKind
		retry  bool
		says   string
	}{
		{"rate limit", 429, envelope("slow down", "requests", `"rate_limit_exceeded"`), models.KindRateLimit, true, "slow down"},
		{"quota has the same status", 429, envelope("no credit", "insufficient_quota", `"insufficient_quota"`), models.KindQuota, false, "check the account's credit"},
		{"wrong key", 401, envelope("bad key", "invalid_request_error", `"invalid_api_key"`), models.KindAuth, false, "check the API key"},
		{"unknown model, code null", 404, envelope(`model "x" not found`, "not_found_error", "null"), models.KindNotFound, false, "check the model's name"},
		{"unknown path, no envelope", 404, "404 page not found", models.KindNotFound, false, "ends in the API's version"},
		{"context length by code", 400, envelope("too long", "invalid_request_error", `"context_length_exceeded"`), models.KindContextLength, false, "too long"},
		{"context length by text", 400, envelope("This model's maximum context length is 8192 tokens.", "BadRequestError", "400"), models.KindContextLength, false, ""},
		{"bad request", 400, envelope("no", "invalid_request_error", "null"), models.KindInvalidRequest, false, "no"},
		{"detail of FastAPI", 422, `{"detail":[{"msg":"field required"}]}`, models.KindInvalidRequest, false, "field required"},
		{"error that is a string", 400, `{"error":"model is loading wrongly"}`, models.KindInvalidRequest, false, "model is loading wrongly"},
		{"gateway's page", 502, "<!DOCTYPE html>\n<html>bad gateway</html>", models.KindUnavailable, true, "an HTML page"},
		{"gateway's timeout", 504, "", models.KindTimeout, true, "Gateway Timeout"},
		{"overloaded", 529, envelope("overloaded", "overloaded_error", "null"), models.KindUnavailable, true, "overloaded"},
		{"payment", 402, "", models.KindQuota, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, serve(t, tt.status, "application/json", tt.body))
			var e *models.Error
			if !errors.As(err, &e) {
				t.Fatalf("error is %v; want a *models.Error", err)
			}
			if e.Kind != tt.kind || e.Retryable() != tt.retry || e.Status != tt.status {
				t.Errorf("%v: kind %s, retryable %t, status %d", e, e.Kind, e.Retryable(), e.Status)
			}
			if !strings.Contains(e.Error(), tt.says) || strings.Contains(e.Error(), "\n") {
				t.Errorf("error %q must be one line and say %q", e, tt.says)
			}
		})
	}
}

func TestRetryAfterOfServer(t *testing.T) {
	client := handle(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "17")
		w.WriteHeader(429)
	})
	_, err := collect(t, client)
	var e *models.Error
	if !errors.As(err, &e) || e.RetryAfter != 17*time.Second {
		t.Errorf("error is %v; want 17s", err)
	}
}

func TestUnreachable(t *testing.T) {
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
	noHost := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "nowhere.test", IsNotFound: true}}
	})
	tests := []struct {
		name  string
		opts  openai.Options
		retry bool
		says  []string
	}{
		{"refused", openai.Options{BaseURL: "http://" + closed + "/v1"}, true, []string{closed, "connection refused", "check the base URL and that the server runs"}},
		{"no such host", openai.Options{BaseURL: "http://nowhere.test/v1", Transport: noHost}, false, []string{"nowhere.test", "there is no such host"}},
		{"https to http", openai.Options{BaseURL: strings.Replace(plain.URL, "http:", "https:", 1)}, false, []string{"says https"}},
		{"unknown certificate", openai.Options{BaseURL: secure.URL}, false, []string{"check the server's certificate"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := collect(t, open(t, tt.opts))
			var e *models.Error
			if !errors.As(err, &e) || e.Kind != models.KindUnreachable || e.Retryable() != tt.retry {
				t.Fatalf("error is %v; want %s, retryable %t", err, models.KindUnreachable, tt.retry)
			}
			for _, says := range tt.says {
				if !strings.Contains(e.Error(), says) {
					t.Errorf("error %q must say %q", e, says)
				}
			}
			if strings.ContainsAny(e.Error(), "\r\n") {
				t.Errorf("error %q must be one line", e)
			}
		})
	}
}

// TestRedirect shows that the key does not travel to where a server points.
func TestRedirect(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer other.Close()
	client := handle(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/secret-path", http.StatusTemporaryRedirect)
	})
	_, err := collect(t, client)
	if models.KindOf(err) != models.KindInvalidRequest || !strings.Contains(err.Error(), "redirects to "+other.URL) {
		t.Errorf("error is %v", err)
	}
}

// TestNoKeyAnywhere prints everything that there is, in every way, with a server that
// repeats the key in its errors.
func TestNoKeyAnywhere(t *testing.T) {
	const header = "header-secret-0123456789"
	var texts []string
	show := func(v any) {
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s", v, v, v, v))
		var log strings.Builder
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "v", v)
		texts = append(texts, log.String())
	}
	authorized := false
	bodies := []struct {
		status int
		body   string
	}{
		{401, `{"error":{"message":"Incorrect API key provided: ` + testKey + `","code":"` + testKey + `"}}`},
		{500, "key " + testKey + " and " + header},
		{200, "data: {\"error\":{\"message\":\"key " + testKey + "\"}}\n\n"},
		{200, "data: {\"" + testKey + "\n\n"},
	}
	for _, b := range bodies {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			authorized = r.Header.Get("Authorization") == "Bearer "+testKey && r.Header.Get("X-Extra") == "Bearer "+header
			w.WriteHeader(b.status)
			_, _ = io.WriteString(w, b.body)
		}))
		opts := openai.Options{BaseURL: server.URL, APIKey: testKey, Headers: map[string]string{"X-Extra": "Bearer " + header}}
		client := open(t, opts)
		_, err := collect(t, client)
		server.Close()
		if err == nil || !authorized {
			t.Fatalf("error %v, authorized %t", err, authorized)
		}
		show(opts)
		show(client)
		show(*client)
		for ; err != nil; err = errors.Unwrap(err) {
			show(err)
		}
	}
	_, err := openai.New(openai.Options{BaseURL: "http://user:" + testKey + "@host/v1"})
	show(err)
	_, err = openai.New(openai.Options{BaseURL: "http://host/v1?key=" + testKey})
	show(err)
	_, err = openai.New(openai.Options{BaseURL: "http://" + testKey + "\x00"})
	show(err)
	for _, text := range texts {
		if strings.Contains(text, testKey) || strings.Contains(text, header) {
			t.Errorf("a secret is shown: %.300s", text)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for base, says := range map[string]string{
		"localhost:11434/v1":  "http://",
		"/v1":                 "http://",
		"http://h/v1?a=b":     "query",
		"http://u:p@h/v1":     "user name",
		"http://h\x7f/":       "not a URL",
		"ftp://example.com/x": "http://",
	} {
		if _, err := openai.New(openai.Options{BaseURL: base}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: error %v; want one that says %q", base, err, says)
		}
	}
	if _, err := openai.New(openai.Options{APIKey: "a\nb"}); err == nil {
		t.Error("a key with a line break was taken")
	}
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{}
	getenv := func(k string) string { return env[k] }
	if p := openai.FromEnv(getenv); p.Configured {
		t.Error("configured by an empty environment")
	}
	env["OPENAI_API_KEY"] = "sk-1234567 \n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer sk-1234567" {
			t.Errorf("authorization is %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"model":"gpt-x"`) || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s got %s", r.URL.Path, body)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, delta(`{"content":"hi"}`)+finish("stop")+done)
	}))
	defer server.Close()
	env["OPENAI_BASE_URL"] = server.URL + "/v1/"
	m, err := models.Resolver{Providers: []models.Provider{openai.FromEnv(getenv)}}.Resolve("openai:gpt-x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.Collect(m.Generate(context.Background(), hello())); err != nil {
		t.Fatal(err)
	}
	env["OPENAI_BASE_URL"] = "nonsense"
	if _, err := openai.FromEnv(getenv).Open("gpt-x"); err == nil {
		t.Error("a base URL that is none was taken")
	}
}
