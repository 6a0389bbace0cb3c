package langchain_test

import (
	"testing"

	"github.com/tmc/langchaingo/llms/anthropic"
	"github.com/tmc/langchaingo/llms/openai"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/langchain"
	"github.com/agentrun-dev/agentrun/models/modeltest"
)

// TestForeignSuite runs the cases on models of the library as a program would make
// them, with nothing of ours but the HTTP client. Tools are not streamed, so that there
// is nothing to cancel in.
func TestForeignSuite(t *testing.T) {
	server := modeltest.StartAimock(t, modeltest.Fixtures()...)
	t.Run("openai", func(t *testing.T) {
		modeltest.Run(t, modeltest.Subject{NoSlow: true, Open: func(t *testing.T, c modeltest.Case) models.Model {
			llm, err := openai.New(openai.WithBaseURL(server.BaseURL), openai.WithToken("sk-test"), openai.WithModel("gpt-4.1"),
				openai.WithHTTPClient(langchain.HTTPClient(nil)))
			if err != nil {
				t.Fatal(err)
			}
			return langchain.New(llm, langchain.Options{JSONMode: true})
		}})
	})
	t.Run("anthropic", func(t *testing.T) {
		// Anthropic's errors have no codes, so that aimock's are not those of the cases.
		modeltest.Run(t, modeltest.Subject{NoSlow: true, NoErrors: true, Open: func(t *testing.T, c modeltest.Case) models.Model {
			llm, err := anthropic.New(anthropic.WithBaseURL(server.BaseURL), anthropic.WithToken("sk-test"), anthropic.WithModel("claude-sonnet-4-5"),
				anthropic.WithHTTPClient(langchain.HTTPClient(nil)))
			if err != nil {
				t.Fatal(err)
			}
			return langchain.New(llm, langchain.Options{Provider: "anthropic", JSONMode: true, OnePartPerMessage: true})
		}})
	})
}
