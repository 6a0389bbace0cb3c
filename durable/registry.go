package durable

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/agentrun-dev/agentrun/durable/engine"
)

// Definition is something that a runtime can run: an activity, an orchestration,
// an entity, or a bundle of them.
type Definition interface {
	define(*registry) error
}

// Bundle makes one definition of several. Naming the same definition twice, also
// through two bundles, is harmless.
func Bundle(defs ...Definition) Definition { return bundle(defs) }

type bundle []Definition

func (b bundle) define(r *registry) error {
	var errs []error
	for _, d := range b {
		errs = append(errs, d.define(r))
	}
	return errors.Join(errs...)
}

// registry is the definitions of a runtime.
type registry struct {
	log            *slog.Logger
	activities     map[string]*activity
	orchestrations map[string]*orchestration
	entities       map[string]*entity
	errors         errorTable
	versions       VersionPolicy
	interceptors   []Interceptor
	defs           engine.Definitions
}

func newRegistry(log *slog.Logger, defs []Definition) (*registry, error) {
	r := &registry{log: log, activities: map[string]*activity{}, orchestrations: map[string]*orchestration{}, entities: map[string]*entity{}}
	if err := bundle(defs).define(r); err != nil {
		return nil, err
	}
	return r, nil
}

// registry is the definitions of a program that runs with these options.
func (o *Options) registry(defs []Definition) (*registry, error) {
	r, err := newRegistry(o.Logger, defs)
	if err != nil {
		return nil, err
	}
	r.versions, r.interceptors = o.Versions, o.Interceptors
	return r, nil
}

func (r *registry) logger() *slog.Logger {
	if r.log == nil {
		return slog.Default()
	}
	return r.log
}

// add registers a definition once; another one of the same name is an error.
func add[D any](m map[string]*D, kind, name string, d *D) (first bool, err error) {
	switch old := m[name]; {
	case name == "":
		return false, fmt.Errorf("an %s has no name", kind)
	case old == d:
		return false, nil
	case old != nil:
		return false, fmt.Errorf("two %s definitions are named %q", kind, name)
	}
	m[name] = d
	return true, nil
}

func (r *registry) addActivity(a *activity) error {
	first, err := add(r.activities, "activity", a.name, a)
	if first {
		r.defs.Activities = append(r.defs.Activities, engine.Activity{
			Name: a.name, Effect: a.effect, Costly: a.costly, Reconcile: a.settle(r.logger(), &r.errors),
			Run:          func(ctx context.Context, c *engine.Call) engine.Outcome { return a.invoke(ctx, r, c) },
			StartToClose: a.startToClose, Heartbeat: a.heartbeat, MaxConcurrent: a.concurrent, Rate: a.rate,
		})
	}
	return err
}

func (r *registry) addOrchestration(o *orchestration) error {
	if o.name == "" {
		return errors.New("an orchestration has no name")
	}
	key := o.name // as messages write it
	if o.version != "" {
		key += " version " + o.version
	}
	first, err := add(r.orchestrations, "orchestration", key, o)
	if first {
		r.defs.Orchestrations = append(r.defs.Orchestrations, r.engineOrchestration(o))
	}
	return err
}

func (r *registry) addEntity(n *entity) error {
	first, err := add(r.entities, "entity", n.name, n)
	if first {
		r.defs.Entities = append(r.defs.Entities, engine.Entity{Name: n.name, Run: func(b *engine.EntityBatch) { n.run(r, b) }})
	}
	return err
}

// Orchestrations lists the names of the orchestrations among definitions, in the
// order in which they are defined.
func Orchestrations(defs ...Definition) ([]string, error) {
	r, err := newRegistry(nil, defs)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, o := range r.defs.Orchestrations {
		if !slices.Contains(names, o.Name) { // of several versions
			names = append(names, o.Name)
		}
	}
	return names, nil
}

// Activities lists the names of the activities among definitions, in the order in
// which they are defined.
func Activities(defs ...Definition) ([]string, error) {
	r, err := newRegistry(nil, defs)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, a := range r.defs.Activities {
		names = append(names, a.Name)
	}
	return names, nil
}
