package modeltest_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/openai"
	"github.com/agentrun-dev/agentrun/models/recorded"
)

// A provider's test is one call. This one is of a model that only knows answers,
// so it has no errors of a server's and takes no time.
func ExampleRun() {
	_ = func(t *testing.T) {
		modeltest.Run(t, modeltest.Subject{NoErrors: true, NoSlow: true, Open: func(t *testing.T, c modeltest.Case) models.Model {
			return recorded.New([]recorded.Answer{{Hash: c.Request.Hash(), Response: c.Want}})
		}})
	}
}

// A provider for OpenAI's chat completions says how it is sent to a server.
func ExampleRunChat() {
	_ = func(t *testing.T) {
		modeltest.RunChat(t, func(t *testing.T, s modeltest.Server) models.Model {
			client, err := openai.New(openai.Options{
				BaseURL: s.BaseURL, AzureAPIVersion: s.AzureAPIVersion, APIKey: s.APIKey, Headers: s.Headers,
				Model: s.Model, IdleTimeout: s.IdleTimeout, Transport: s.Transport,
			})
			if err != nil {
				t.Fatal(err)
			}
			return client
		})
	}
}
