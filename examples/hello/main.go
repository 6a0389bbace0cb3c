// Command hello is an agent with one tool.
package main

import (
	"context"

	"github.com/agentrun-dev/agentrun"
	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/tools"
)

type City struct {
	Name string `json:"name" jsonschema:"description=City in English"`
}

var weather = tools.New("weather", "Current weather in a city.", func(_ context.Context, in City) (string, error) {
	return in.Name + ": 21 degrees, light wind", nil
}, tools.Pure())

var assistant = agents.New(agents.Config{
	Name: "assistant", Instructions: "Answer in one sentence.", Model: "gpt-4.1-mini", Tools: []tools.Tool{weather},
})

func main() { agentrun.Main(agentrun.App{Agents: []*agents.Agent{assistant}}) }
