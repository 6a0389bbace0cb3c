package scripted_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/modeltest"
	"github.com/agentrun-dev/agentrun/models/scripted"
)

func TestSuite(t *testing.T) {
	modeltest.Run(t, modeltest.Subject{Open: func(t *testing.T, c modeltest.Case) models.Model {
		e := scripted.Entry{Agent: "tester", When: scripted.When{User: c.Prompt()}}
		switch {
		case c.Fail != nil:
			e.Error = &scripted.Failure{Kind: c.Fail.Kind, Message: c.Fail.Message, RetryAfter: c.Fail.RetryAfter}
		case c.Request.Output != nil:
			e.Output = json.RawMessage(c.Want.Message.Content)
			e.Usage = &c.Want.Usage
		default:
			e.Text, e.Usage = c.Want.Message.Content, &c.Want.Usage
			for _, call := range c.Want.Message.ToolCalls {
				e.Calls = append(e.Calls, scripted.Call{ID: call.ID, Tool: call.Name, Arguments: json.RawMessage(call.Arguments)})
			}
		}
		if c.Slow {
			e.Latency = time.Minute
		}
		return scripted.New(e)
	}})
}

func TestFuncSuite(t *testing.T) {
	modeltest.Run(t, modeltest.Subject{NoSlow: true, Open: func(t *testing.T, c modeltest.Case) models.Model {
		return scripted.Func(func(*models.Request) (*models.Response, error) {
			if c.Fail != nil {
				e := *c.Fail
				e.Provider = "test"
				return nil, &e
			}
			return &c.Want, nil
		})
	}})
}
