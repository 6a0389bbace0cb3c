// Package durablehook lets package durabletest, and the tests of package durable, reach some things of package durable
// that are nobody else's business. Package durable sets them when it is
// initialised; their types are named in the comments only, since this package
// imports nothing.
package durablehook

import "log/slog"

var (
	// Definitions takes a []durable.Definition and gives the engine.Definitions
	// that they amount to.
	Definitions func(log *slog.Logger, defs any) (any, error)
	// NewClient makes a *durable.Client of something that has a hub's methods, in a
	// program with these []durable.Definition.
	NewClient func(hub, defs any) (any, error)
	// SetSplit makes the runtimes that are opened with a *durable.Options share their
	// work out: a func(engine.Definitions) (engine.Definitions, engine.Workers) says
	// what the engine runs itself and who runs the rest.
	SetSplit func(options, split any)
)
