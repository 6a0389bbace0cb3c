package tools

import "context"

// Toolset gives tools that are found out while the program runs: those of an MCP
// server, for instance. An agent asks for them once when a run begins, and the run
// keeps to what it was given; another run may be given others.
//
// Implementations are safe for concurrent use.
type Toolset interface {
	// Name tells toolsets of one agent apart, and is what people are told when one
	// fails: letters, digits, "-" and "_", at most 64.
	Name() string
	// Tools gives the tools as they are now. Names are unique within the set. An
	// error says what is wrong and what to do; the run that asked tries again.
	Tools(ctx context.Context) ([]Tool, error)
}
