package openai_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
)

func TestSuite(t *testing.T) { modeltest.RunChat(t, openChat) }

func openChat(t *testing.T, s modeltest.Server) models.Model {
	t.Helper()
	client, err := openai.New(openai.Options{
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
	return client
}
