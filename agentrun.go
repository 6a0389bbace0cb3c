package agentrun

import (
	"os"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/internal/cli"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/openai"
	"github.com/agentrun-dev/agentrun/scenario"
	"github.com/agentrun-dev/agentrun/tools"
)

// App is what a program brings: the agents, orchestrations and tools that its
// scenarios and runs are made of. A zero value works; it is what the bare
// agentrun command has.
type App struct {
	// Agents are found by name in scenarios. Names are unique.
	Agents []*agents.Agent
	// Definitions are the orchestrations, activities and entities of the program.
	// Those of its agents need not be named.
	Definitions []durable.Definition
	// Models are found by name before any provider is asked.
	Models map[string]models.Model
	// Tools are those that agents defined in a scenario file may use. The tools of
	// the program's own agents need not be named.
	Tools []tools.Tool
	// Prices say what model turns cost; nil: nobody counts. Quotas limit how much all
	// runs together ask of models, by the names that agents give. Hooks are around those
	// of each agent. See agents.Options. They hold for scripted runs too.
	Prices models.Prices
	Quotas map[string]agents.Quota
	Hooks  agents.Hooks
}

// Main runs the command line of agentrun for a program, with the program's
// definitions in it, and ends the process with the exit code that the command's
// documentation gives.
func Main(app App) {
	os.Exit(cli.Main(app.program(), os.Args[1:]))
}

func (app App) program() *scenario.Program {
	return &scenario.Program{
		Agents: app.Agents, Definitions: app.Definitions, Models: app.Models, Tools: app.Tools,
		Prices: app.Prices, Quotas: app.Quotas, Hooks: app.Hooks,
		Providers: []models.Provider{openai.FromEnv(os.Getenv), openai.AzureFromEnv(os.Getenv)},
	}
}
