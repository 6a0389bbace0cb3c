package openai_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	api "github.com/sashabaranov/go-openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
)

func hello() *models.Request {
	return &models.Request{Model: "gpt-4.1", Messages: []models.Message{models.UserMessage("hello")}}
}

// TestRefusedByTheLibrary is about what go-openai knows of some models: such a request
// is not sent and not repeated.
func TestRefusedByTheLibrary(t *testing.T) {
	half := 0.5
	client, err := openai.New(openai.Options{Transport: modeltest.RoundTrip(func(*http.Request) (*http.Response, error) {
		t.Error("the request was sent")
		return nil, io.EOF
	})})
	if err != nil {
		t.Fatal(err)
	}
	for says, req := range map[string]models.Request{
		"temperature":                {Model: "gpt-5", Params: models.Params{Temperature: &half}},
		"requires the Responses API": {Model: api.GPT6Sol, Tools: []models.ToolSpec{{Name: "f"}}, Params: models.Params{ReasoningEffort: "high"}},
	} {
		_, err = models.Collect(client.Generate(t.Context(), &req))
		e, ok := errors.AsType[*models.Error](err)
		if !ok || e.Kind != models.KindInvalidRequest || e.Retryable() || !strings.Contains(e.Message, says) {
			t.Errorf("error is %v; want %s that says %q", err, models.KindInvalidRequest, says)
		}
	}
}

func TestWithoutUsage(t *testing.T) {
	open := func(t *testing.T, s modeltest.Server) models.Model {
		client, err := openai.New(openai.Options{BaseURL: s.BaseURL, Transport: s.Transport, WithoutUsage: true})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	zero := 0.0
	req := hello()
	req.Params.TopP = &zero
	if got := modeltest.Sent(t, open, modeltest.Server{}, req); got["stream_options"] != nil || got["stream"] != true || got["top_p"] != 0.0 {
		t.Errorf("sent %v; want a stream without options, and top_p 0", got)
	}
}

// TestNoKeyInOptions prints what has the key in it, and what is refused for its sake.
func TestNoKeyInOptions(t *testing.T) {
	const key = "sk-test-0123456789abcdef"
	opts := openai.Options{APIKey: key, Headers: map[string]string{"X-Extra": key}}
	client, err := openai.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{fmt.Sprintf("%v %+v %#v %s", opts, opts, opts, opts), fmt.Sprintf("%v %+v %#v %s", *client, *client, *client, client)}
	for _, base := range []string{"http://user:" + key + "@host/v1", "http://host/v1?key=" + key, "http://" + key + "\x00"} {
		_, err := openai.New(openai.Options{BaseURL: base})
		if err == nil {
			t.Errorf("base URL %q was taken", base)
			continue
		}
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		if strings.Contains(text, key) {
			t.Errorf("the key is shown: %s", text)
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
	if _, err := openai.New(openai.Options{AzureAPIVersion: "2024-10-21"}); err == nil || !strings.Contains(err.Error(), "resource") {
		t.Errorf("Azure without an address: error %v", err)
	}
}

func TestFromEnv(t *testing.T) {
	env := map[string]string{}
	getenv := func(k string) string { return env[k] }
	if p := openai.FromEnv(getenv); p.Configured {
		t.Error("configured by an empty environment")
	}
	env["OPENAI_API_KEY"] = "sk-1234567 \n"
	env["OPENAI_ORG_ID"] = "org-1"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer sk-1234567" {
			t.Errorf("authorization is %q", got)
		}
		if got := r.Header.Get("OpenAI-Organization"); got != "org-1" {
			t.Errorf("organization is %q", got)
		}
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), `"model":"gpt-x"`) || r.URL.Path != "/v1/chat/completions" {
			t.Errorf("%s got %s", r.URL.Path, body)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, modeltest.Delta(`{"content":"hi"}`)+modeltest.Finish("stop")+modeltest.Done)
	}))
	defer server.Close()
	env["OPENAI_BASE_URL"] = server.URL + "/v1/"
	m, err := models.Resolver{Providers: []models.Provider{openai.FromEnv(getenv)}}.Resolve("openai:gpt-x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.Collect(m.Generate(t.Context(), hello())); err != nil {
		t.Fatal(err)
	}
	env["OPENAI_BASE_URL"] = "nonsense"
	if _, err := openai.FromEnv(getenv).Open("gpt-x"); err == nil {
		t.Error("a base URL that is none was taken")
	}
}

func TestAzureFromEnv(t *testing.T) {
	env := map[string]string{}
	getenv := func(k string) string { return env[k] }
	if p := openai.AzureFromEnv(getenv); p.Configured || p.Name != "azure" {
		t.Errorf("an empty environment gives %+v", p)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Api-Key") != "0123456789" || r.URL.String() != "/openai/deployments/my-gpt/chat/completions?api-version=2025-01-01" {
			t.Errorf("asked %s with %v", r.URL, r.Header)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, modeltest.Delta(`{"content":"hi"}`)+modeltest.Finish("stop")+modeltest.Done)
	}))
	defer server.Close()
	env["AZURE_OPENAI_API_KEY"], env["AZURE_OPENAI_ENDPOINT"], env["OPENAI_API_VERSION"] = "0123456789 ", server.URL, "2025-01-01"
	m, err := models.Resolver{Providers: []models.Provider{openai.FromEnv(getenv), openai.AzureFromEnv(getenv)}}.Resolve("azure:my-gpt")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := models.Collect(m.Generate(t.Context(), hello())); err != nil {
		t.Fatal(err)
	}
	delete(env, "OPENAI_API_VERSION")
	if p := openai.AzureFromEnv(getenv); p.Configured {
		t.Error("configured without the version")
	}
}
