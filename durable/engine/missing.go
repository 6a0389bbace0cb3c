package engine

import "sync"

// missing is what instances wait for because no definition of it was given to this
// engine: each is told of once, so that one which was forgotten is not looked for in
// vain.
type missing struct{ told sync.Map }

// want is a definition that is not there.
type want struct{ kind, name, version string }

// misses tells that something waits for a program that has a definition.
func (e *Engine) misses(kind, name, version string, in *instance) {
	if e.opts.Partial || e.opts.Workers != nil {
		return
	}
	if _, before := e.missing.told.LoadOrStore(want{kind, name, version}, nil); before {
		return
	}
	e.log.Warn("waits for a program that has its definition, which is not among those given to Open",
		"kind", kind, "name", name, "version", version, "instance", in.id)
}
