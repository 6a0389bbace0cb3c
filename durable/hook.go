package durable

import (
	"log/slog"

	"github.com/agentrun-dev/agentrun/durable/engine"
	"github.com/agentrun-dev/agentrun/durable/taskhub"
	"github.com/agentrun-dev/agentrun/internal/durablehook"
)

func init() {
	durablehook.Definitions = func(log *slog.Logger, defs any) (any, error) {
		r, err := newRegistry(log, defs.([]Definition))
		if err != nil {
			return nil, err
		}
		return r.defs, nil
	}
	durablehook.NewClient = func(h, defs any) (any, error) {
		r, err := newRegistry(nil, defs.([]Definition))
		if err != nil {
			return nil, err
		}
		return newClient(h.(taskhub.Hub), r), nil
	}
	durablehook.SetSplit = func(options, split any) {
		options.(*Options).split = split.(func(engine.Definitions) (engine.Definitions, engine.Workers))
	}
}
