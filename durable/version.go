package durable

import (
	"errors"
	"fmt"

	"github.com/agentrun-dev/agentrun/durable/engine"
)

// Version makes a definition that of one version of its name. Definitions of the
// same name and different versions stand side by side:
//
//	durable.NewOrchestration("order", orderV1, durable.Version("1.0"))
//	durable.NewOrchestration("order", orderV2, durable.Version("2.0"))
//
// Instances that are started through a definition are of its version, unless
// [WithVersion] says otherwise, and keep it: they go on with the code that they
// began with, while new ones begin with the new one. An instance whose version the
// program does not have waits; [Options.Versions] can say otherwise. Other versions
// of children do not trouble a parent's replay: a child keeps the version that it
// was started with.
//
// Who names a first version keeps the definition without one beside it until the
// instances that began with that have ended: they have no version, and wait without
// it.
//
// Use versions for changes of the whole, and [Context.Patched] for a change in the
// middle of instances that run for long.
func Version(v string) OrchestrationOption { return func(o *orchestration) { o.version = v } }

// VersionPolicy says which instances a program's definitions run, see
// [Options.Versions]. A name of which the program has no definition always waits.
type VersionPolicy = engine.VersionPolicy

// VersionMatch says which definition of a name may run an instance. The one that
// has exactly the instance's version always may, and comes first.
type VersionMatch = engine.VersionMatch

// Mismatch says what becomes of an instance whose version no definition runs.
type Mismatch = engine.Mismatch

// Which definitions run which instances. Versions like "2.10" compare number by
// number, others as text.
const (
	// MatchDefault: a definition without a version that is the only one of its name
	// runs instances of every version; otherwise it is MatchStrict.
	MatchDefault = engine.MatchDefault
	// MatchNone: versions do not matter. Where none is the instance's own, the newest
	// definition runs it.
	MatchNone = engine.MatchNone
	// MatchStrict: an instance needs the definition of its own version, and one
	// without a version the definition without one.
	MatchStrict = engine.MatchStrict
	// MatchCurrentOrOlder: a definition also runs instances of versions before its
	// own. Of several the oldest does.
	MatchCurrentOrOlder = engine.MatchCurrentOrOlder

	// MismatchWaits: the instance waits for a program that has its version.
	MismatchWaits = engine.MismatchWaits
	// MismatchFails: the instance fails with type VersionMismatch, for good.
	MismatchFails = engine.MismatchFails
)

// VersionMismatch is the failure type of an instance that failed because no
// definition runs its version, see [MismatchFails].
const VersionMismatch = engine.VersionMismatch

// options puts the definition's version before the options of a call.
func (o *orchestration) options(opts []CallOption) []CallOption {
	if o.version == "" {
		return opts
	}
	own := func(c *callOptions) { c.version, c.byDefinition = o.version, true }
	return append([]CallOption{own}, opts...)
}

// ErrNotDefined is wrapped by what is said of an instance whose definition, or the
// version of it, is missing.
var ErrNotDefined = errors.New("not among the definitions")

// find gives the definition that runs instances of a name and version.
func (r *registry) find(name, version string) (*engine.Orchestration, error) {
	def, defined := r.defs.Find(r.versions, name, version)
	switch {
	case def != nil:
		return def, nil
	case defined:
		return nil, fmt.Errorf("version %q of orchestration %q, which is %w", version, name, ErrNotDefined)
	}
	return nil, fmt.Errorf("orchestration %q, which is %w", name, ErrNotDefined)
}
