package recorded_test

import (
	"testing"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/recorded"
)

func TestSuite(t *testing.T) {
	modeltest.Run(t, modeltest.Subject{
		NoErrors: true, // only answers are recorded
		NoSlow:   true,
		Open: func(t *testing.T, c modeltest.Case) models.Model {
			return recorded.New([]recorded.Answer{{Hash: c.Request.Hash(), Response: c.Want}})
		},
	})
}
