package agentrun_test

import (
	"context"
	"fmt"

	"github.com/agentrun-dev/agentrun"
	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/tools"
)

type City struct {
	Name string `json:"name" jsonschema:"description=City in English"`
}

// A program is an App. Its main function gives it to Main, and so has every verb
// of the agentrun command.
func Example() {
	weather := tools.New("weather", "Current weather in a city.", func(_ context.Context, in City) (string, error) {
		return in.Name + ": 21 degrees", nil
	}, tools.Pure())
	assistant := agents.New(agents.Config{
		Name: "assistant", Instructions: "Answer in one sentence.", Model: "gpt-4.1-mini", Tools: []tools.Tool{weather},
	})
	app := agentrun.App{Agents: []*agents.Agent{assistant}}

	for _, a := range app.Agents {
		fmt.Println(a.Name(), "asks", a.Model(), "and may call", a.Tools()[0].Name())
	}
	// In func main: agentrun.Main(app)

	// Output: assistant asks gpt-4.1-mini and may call weather
}
