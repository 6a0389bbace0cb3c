package openai_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
)

// testKey is looked for wherever it must not be.
const testKey = "sk-test-0123456789abcdef"

func TestSuite(t *testing.T) {
	server := modeltest.StartAimock(t, modeltest.Fixtures()...)
	modeltest.Run(t, modeltest.Subject{Open: func(t *testing.T, c modeltest.Case) models.Model {
		return open(t, openai.Options{
			BaseURL: server.BaseURL,
			APIKey:  testKey,
			Headers: map[string]string{modeltest.TestIDHeader: server.NewTestID(t)},
		})
	}})
}

func open(t *testing.T, opts openai.Options) *openai.Client {
	t.Helper()
	client, err := openai.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
