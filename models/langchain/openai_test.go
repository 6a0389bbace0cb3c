package langchain_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
	"github.com/agentrun-dev/agentrun/models/modeltest"
)

func TestSuite(t *testing.T) {
	// What the library would read, were it not told otherwise.
	t.Setenv("OPENAI_MODEL", "from-the-environment")
	t.Setenv("OPENAI_ORGANIZATION", "from-the-environment")
	t.Setenv("OPENAI_API_KEY", "from-the-environment")
	modeltest.RunChat(t, openChat)
}

func openChat(t *testing.T, s modeltest.Server) models.Model {
	t.Helper()
	m, err := langchain.NewOpenAI(langchain.OpenAIOptions{
		BaseURL:         s.BaseURL,
		AzureAPIVersion: s.AzureAPIVersion,
		APIKey:          s.APIKey,
		Headers:         s.Headers,
		Model:           s.Model,
		IdleTimeout:     s.IdleTimeout,
		Transport:       s.Transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestNewOpenAI(t *testing.T) {
	if _, err := langchain.NewOpenAI(langchain.OpenAIOptions{BaseURL: "localhost:11434"}); err == nil || !strings.HasPrefix(err.Error(), "langchain: base URL") {
		t.Errorf("error is %v", err)
	}
	opts := langchain.OpenAIOptions{APIKey: testKey, Headers: map[string]string{"X-Extra": testKey}, AzureAPIVersion: "2024-10-21", BaseURL: "https://name.openai.azure.com/openai"}
	m, err := langchain.NewOpenAI(opts)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%v %+v %#v %v %+v %#v", opts, opts, opts, m, *m, *m)
	if strings.Contains(text, testKey) || !strings.HasPrefix(text, "langchain openai https://name.openai.azure.com (Azure 2024-10-21) headers X-Extra") {
		t.Errorf("printed as %s", text)
	}
}

func TestOpenAIWithoutUsage(t *testing.T) {
	open := func(t *testing.T, s modeltest.Server) models.Model {
		m, err := langchain.NewOpenAI(langchain.OpenAIOptions{BaseURL: s.BaseURL, Transport: s.Transport, WithoutUsage: true})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	zero := 0.0
	req := hello()
	req.Params.TopP = &zero
	req.Output = &models.OutputSchema{Schema: json.RawMessage(`{}`)}
	got := modeltest.Sent(t, open, modeltest.Server{}, req)
	if got["stream_options"] != nil || got["stream"] != true || got["top_p"] != 0.0 {
		t.Errorf("sent %v; want a stream without options, and top_p 0", got)
	}
	if name := got["response_format"].(map[string]any)["json_schema"].(map[string]any)["name"]; name != "output" {
		t.Errorf("the schema without a name is called %q", name)
	}
}
