package langchain_test

import (
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
