package lint

// Module is the path of this module; the table's paths are relative to it.
const Module = "github.com/agentrun-dev/agentrun"

// layer is a row of the table: packages that may import the same.
type layer struct {
	// path is a package relative to the module, "." for its root. A path that ends in "/..." stands
	// for all packages below it, but not for itself. The longest path that fits counts.
	path string
	// below are the layers that this one may import, and all that these may import, and so on.
	below []string
	// owners, unless it is nil, are the only layers whose code may import this one, though others
	// see it: a part behind a facade. Tests may still open it from above, and examples use what is
	// public.
	owners []string
	// support makes it a library for tests: no code may import it but of its like.
	support bool
	// fake lets tests use it that could import all that it imports; support does too.
	fake bool
}

// layers is the import map, from the top down. A new arrow is a line here, and TestLayers sees to it
// that none turns up.
var layers = []layer{
	{path: "cmd/agentrun", below: []string{"."}},
	// Others' programs against the command, and against a program as a user would write it.
	{path: "internal/conformance", below: []string{"."}},
	// Its workers speak the protocol themselves.
	{path: "internal/serverfaults", below: []string{"."}},
	{path: "cmd/durablevet", below: []string{"durable/vet"}},
	{path: ".", below: []string{"internal/cli"}},
	{path: "internal/cli", below: []string{"internal/cli/...", "internal/bench", "internal/bench/remote", "dashboard", "evals", "durable/vet", "durable/server", "agents/mcpserver"}},
	{path: "internal/cli/...", below: []string{"dashboard", "evals", "durable/vet"}},
	// It measures durable beside the driver of its store.
	{path: "internal/bench", below: []string{"durable", "durable/store/..."}},
	// It is a client and a worker of any server of the protocol; only its tests see ours.
	{path: "internal/bench/remote", below: []string{"internal/protocol", "durable/server"}},
	{path: "dashboard", below: []string{"scenario"}},
	{path: "evals/evalstest", below: []string{".", "evals"}, support: true},
	{path: "evals", below: []string{"scenario"}},
	{path: "scenario", below: []string{"orchestrator", "models/...", "tools/..."}},
	{path: "orchestrator", below: []string{"agents"}},
	// It tells clients what its own client tells servers.
	{path: "agents/mcpserver", below: []string{"agents", "tools/..."}},
	{path: "agents", below: []string{"memory", "models", "tools", "prompts", "durable"}},
	{path: "agents/...", below: []string{"agents"}},
	{path: "memory/...", below: []string{"memory", "tools"}},
	{path: "memory", below: []string{"models", "durable"}},

	// These three do not see durable: agents wraps them in activities.
	{path: "models/modeltest", below: []string{"models", "internal/nodeparts"}, support: true},
	{path: "models/...", below: []string{"models", "models/internal/wire"}, fake: true},
	// What lies under the libraries of providers, and records what they do not tell.
	{path: "models/internal/wire", below: []string{"models"}, owners: []string{"models/..."}, fake: true},
	{path: "models"},
	{path: "tools/...", below: []string{"tools"}},
	{path: "tools"},
	{path: "prompts"},

	// durable sees no agent.
	{path: "durable/durabletest", below: []string{"durable", "durable/store/storetest"}, support: true},
	{path: "durable/vet"},
	{path: "internal/torture", below: []string{"durable"}},
	{path: "durable/server", below: []string{"durable"}},
	{path: "durable", below: []string{"durable/taskhub", "durable/store/..."}},
	{path: "durable/taskhub", below: []string{"durable/engine", "durable/taskhub/access", "internal/worklist"}},
	{path: "durable/taskhub/access"},
	{path: "internal/worklist", owners: []string{"durable/taskhub"}},
	{path: "durable/live"},
	{path: "durable/engine", below: []string{"durable/store", "durable/live"},
		owners: []string{"durable", "durable/taskhub", "durable/durabletest"}},
	{path: "durable/store/storetest", below: []string{"durable/store"}, support: true},
	// The command brings in the stores that register by an import.
	{path: "durable/store/...", below: []string{"durable/store"}, fake: true,
		owners: []string{"durable", "durable/durabletest", "internal/bench", "cmd/agentrun"}},
	{path: "durable/store", below: []string{"durable/history"},
		owners: []string{"durable", "durable/taskhub", "durable/engine", "durable/store/...", "durable/store/storetest", "durable/durabletest", "internal/bench"}},
	{path: "durable/history", below: []string{"internal/protocol"}},
	// It finds the programs that tests run.
	{path: "internal/nodeparts", support: true},
	{path: "internal/protocol", owners: []string{"durable/history", "durable/taskhub", "internal/bench/remote"}},
}

// Packages under internal/ that have no row are small helpers: everybody may import them, and they
// import nothing of ours. Examples are programs as a user would write them: they may import what is
// public, and packages of the same example.
const (
	helpers  = "internal/"
	examples = "examples/"
)

// foreign says which layers' code may import what comes from outside and is dear: the types of a
// provider, a database, an RPC system. A path stands for all packages below it, too.
var foreign = []struct {
	path   string
	owners []string
}{
	{"github.com/sashabaranov/go-openai", []string{"models/..."}},
	{"github.com/tmc/langchaingo", []string{"models/..."}},
	{"github.com/modelcontextprotocol/go-sdk", []string{"tools/...", "agents/mcpserver"}},
	{"github.com/spf13/cobra", []string{"internal/cli", "internal/cli/..."}},
	// Its vocabularies weigh megabytes in every program that imports it.
	{"github.com/tiktoken-go/tokenizer", []string{"memory/..."}},
	{"zombiezen.com/go/sqlite", []string{"durable/store/...", "internal/bench", "memory/..."}},
	{"modernc.org/sqlite", []string{"durable/store/..."}},
	{"golang.org/x/tools", []string{"durable/vet", "internal/cli", "cmd/durablevet"}},
	{"google.golang.org/grpc", []string{"internal/protocol", "durable/taskhub", "internal/bench/remote"}},
}
