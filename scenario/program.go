package scenario

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
	"github.com/agentrun-dev/agentrun/models/recorded"
	"github.com/agentrun-dev/agentrun/models/scripted"
	"github.com/agentrun-dev/agentrun/orchestrator"
	"github.com/agentrun-dev/agentrun/prompts"
	"github.com/agentrun-dev/agentrun/tools"
)

// Program is what a binary brings to scenarios: its agents, its orchestrations,
// its models, and tools for agents that scenarios define.
type Program struct {
	Agents []*agents.Agent
	// Definitions are all else that it runs. A scenario may name an orchestration
	// among them as its team.
	Definitions []durable.Definition
	// Models are found by name before any provider is asked.
	Models map[string]models.Model
	// Providers give models by prefix ("openai:gpt-4.1") or by what the environment
	// has. They are asked in live runs only: asking may cost money.
	Providers []models.Provider
	// Tools are those that agents of a scenario may name.
	Tools []tools.Tool
	// Prices, Quotas and Hooks are those of agents.Options. They hold for scripted runs
	// too, so that these take the same steps as live ones.
	Prices models.Prices
	Quotas map[string]agents.Quota
	Hooks  agents.Hooks
}

// options gives what agents need, with models that find finds; nil: none are asked.
func (p *Program) options(find func(context.Context, string) (models.Model, error)) agents.Options {
	return agents.Options{Models: find, Prices: p.Prices, Quotas: p.Quotas, Hooks: p.Hooks}
}

// Options say how a session is opened.
type Options struct {
	// Store is the URL of the task hub.
	Store string
	// Scenario is what is to be run, if anything.
	Scenario *Scenario
	// Live asks real models. Without it, the scenario's script answers, and models of
	// the program that cost nothing.
	Live bool
	// Resume is the run that Follow will be called for, as it was found: what happens
	// from the very beginning is then told. nil: none, or one that Start begins.
	Resume *Report
	// Latency maps the latency of scripted answers; nil: as it is. Tests set it to
	// scripted.NoLatency.
	Latency func(time.Duration) time.Duration
	// OnAnswer is told of every request that a scripted model answers; nil: nobody.
	OnAnswer func(*models.Request, *models.Response)
	// OnDelta is told of text as it comes.
	OnDelta func(agents.Delta)
	// Tags are those of the runs that the session starts or resumes. A run in the same
	// store that was started with another scenario, or live where this one is not, is
	// left alone by this session's models: it waits for a session of its own. nil: no
	// run is told from another.
	Tags map[string]string
	// Durable are the runtime's options.
	Durable durable.Options
}

// Session is an open task hub with everything that the program and the scenario
// define.
type Session struct {
	*agents.Runtime
	program  *Program
	scenario *Scenario
	agents   map[string]*agents.Agent
	own      *durable.Orchestration[string, orchestrator.Outcome] // of the scenario's team
	toolsets opened

	stream  *agents.Stream // from before the runtime was there, unlike the runtime's own
	news    *news
	mu      sync.Mutex
	resumed int                         // how many instances the run had that Options.Resume told of
	begun   map[string]*agents.Follower // of runs that were started here or are resumed, until Follow takes it
}

// Open opens the task hub and goes on with what is in it.
func (p *Program) Open(ctx context.Context, o Options) (_ *Session, err error) {
	s := &Session{program: p, scenario: o.Scenario, stream: agents.NewStream(), news: newNews(), begun: map[string]*agents.Follower{}}
	if o.Scenario != nil {
		if err := s.check(); err != nil {
			return nil, err
		}
		sets, err := o.Scenario.openToolsets()
		if err != nil {
			return nil, err
		}
		s.toolsets = *sets
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.toolsets.Close())
		}
	}()
	list, defs, err := s.define()
	if err != nil {
		return nil, err
	}
	find, err := p.models(&o)
	if err != nil {
		return nil, err
	}
	if err := s.checkModels(find); err != nil {
		return nil, err
	}
	if r := o.Resume; r != nil {
		s.begun[r.ID] = s.stream.Follow(r.ID, r.instances...)
		s.resumed = len(r.instances)
	}
	ao := p.options(o.own(find))
	ao.OnDelta, ao.OnProgress = s.onDelta(o.OnDelta), s.stream.OnProgress
	s.Runtime, err = agents.Open(ctx, o.Store, ao, s.durable(o.Durable), list, defs...)
	return s, err
}

// Close closes the runtime, and then the scenario's toolsets.
func (s *Session) Close() error { return errors.Join(s.Runtime.Close(), s.toolsets.Close()) }

// onDelta tells those who follow, and then next, unless it is nil.
func (s *Session) onDelta(next func(agents.Delta)) func(agents.Delta) {
	return func(d agents.Delta) {
		s.stream.OnDelta(d)
		if next != nil {
			next(d)
		}
	}
}

// durable gives the runtime's options with those who follow told before OnTurn.
func (s *Session) durable(o durable.Options) durable.Options {
	next := o.OnTurn
	o.OnTurn = func(r durable.Recorded) {
		s.stream.OnTurn(r)
		s.news.onTurn(r)
		if next != nil {
			next(r)
		}
	}
	return o
}

// Define gives all that the program runs, with the agents and the team of a scenario
// (nil: none), to those who replay a recorded run instead of running one: no model is
// looked up. What the scenario names and the program lacks is left out, together with
// a team that cannot do without it, so that a replay can tell at which event it is
// missed.
func (p *Program) Define(sc *Scenario) (durable.Definition, error) {
	s := &Session{program: p, scenario: sc}
	list, defs, err := s.define()
	if err != nil {
		return nil, err
	}
	return durable.Bundle(append(defs, agents.Define(p.options(nil), list...))...), nil
}

// define puts the scenario's agents and team beside what the program has.
func (s *Session) define() (list []*agents.Agent, defs []durable.Definition, err error) {
	s.agents = map[string]*agents.Agent{}
	for _, a := range s.program.Agents {
		s.agents[a.Name()] = a
	}
	list, defs = slices.Clone(s.program.Agents), slices.Clone(s.program.Definitions)
	if s.scenario == nil {
		return list, defs, nil
	}
	for i := range s.scenario.Agents {
		a, err := s.program.agent(&s.scenario.Agents[i], s.scenario.read[i], s.toolsets.sets)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", s.scenario.Path(), err)
		}
		s.agents[a.Name()] = a
		list = append(list, a)
	}
	if s.own = s.team(); s.own != nil {
		defs = append(defs, s.own)
	}
	return list, defs, nil
}

// check finds names in the scenario that nothing has.
func (s *Session) check() (err error) {
	var have Names
	if have.Orchestrations, err = durable.Orchestrations(s.program.Definitions...); err != nil {
		return err
	}
	for _, a := range s.program.Agents {
		have.Agents = append(have.Agents, a.Name())
	}
	for _, t := range s.program.Tools {
		have.Tools = append(have.Tools, t.Name())
	}
	return s.scenario.Check(have)
}

// ErrNeedsLive is wrapped by the error of a scenario that only real models can
// answer, for a session that is not live.
var ErrNeedsLive = errors.New("without a script, only a live run can ask it: add --live")

// checkModels finds models that nothing has, before a run is there that could only
// fail. Which agents an orchestration asks is not known: there, one model will do.
func (s *Session) checkModels(find func(string) (models.Model, error)) error {
	if s.scenario == nil {
		return nil
	}
	names, all := s.scenario.Team.names(), true
	if len(names) == 0 {
		names, all = slices.Sorted(maps.Keys(s.agents)), false
	}
	var first error
	for _, n := range names {
		_, err := find(s.agents[n].Model())
		if err == nil && !all {
			return nil
		}
		if err != nil && first == nil {
			first = fmt.Errorf("agent %s: %w", n, err)
		}
	}
	return first
}

// names are the team's agents; none if an orchestration knows them.
func (t *Team) names() []string {
	switch {
	case t.Agent != "":
		return []string{t.Agent}
	case t.Planner != nil:
		return append([]string{t.Planner.Agent}, t.Planner.Specialists...)
	case t.Specialists != nil:
		return t.Specialists.Agents
	}
	return nil
}

// Agent finds an agent of the program or of the scenario by its name; nil: there is none.
func (s *Session) Agent(name string) *agents.Agent { return s.agents[name] }

// Team is the orchestration of a team that the scenario puts together; nil if its team is
// an agent, or an orchestration of the program.
func (s *Session) Team() *durable.Orchestration[string, orchestrator.Outcome] { return s.own }

// Runs reports whether the session has the definition of the orchestration with
// this name; a run of another one would wait.
func (s *Session) Runs(orchestration string) bool {
	for _, a := range s.agents {
		if a.Orchestration() == orchestration {
			return true
		}
	}
	if s.scenario != nil && s.scenario.Team.names() != nil && teamName(s.scenario) == orchestration {
		return true
	}
	names, err := durable.Orchestrations(s.program.Definitions...)
	return err == nil && slices.Contains(names, orchestration)
}

// agent makes an agent that a scenario describes; prompt is what its instructions were
// read from, or nil, and sets are the toolsets that are open.
func (p *Program) agent(a *Agent, prompt *prompts.Prompt, sets map[string]tools.Toolset) (*agents.Agent, error) {
	c := agents.Config{
		Name: a.Name, Description: a.Description, Instructions: a.Instructions, Model: a.Model, MaxTurns: a.MaxTurns,
		Params: params(a, prompt), Sequential: a.Sequential, StopTools: a.StopTools, OnMaxTurns: agents.MaxTurnsAction(a.OnMaxTurns),
		Window: a.Window, MaxContext: a.MaxContext, Summarizer: a.Summarizer,
	}
	for _, name := range a.Toolsets {
		if set := sets[name]; set != nil {
			c.Toolsets = append(c.Toolsets, set)
		} else {
			c.Toolsets = append(c.Toolsets, tools.Static(name)) // a replay asks it for nothing
		}
	}
	if prompt != nil { // the run records which one, with its hash
		c.Instructions, c.Prompt, c.Vars = "", prompt, map[string]any{}
		for name, v := range a.Variables {
			c.Vars[name] = v
		}
	}
	for _, name := range a.Tools {
		if i := slices.IndexFunc(p.Tools, func(t tools.Tool) bool { return t.Name() == name }); i >= 0 {
			c.Tools = append(c.Tools, p.Tools[i])
		}
	}
	if len(a.Output) > 0 {
		out, err := agents.OutputSchema(a.Output)
		if err != nil {
			return nil, fmt.Errorf("output of agent %s: %w", a.Name, err)
		}
		c.Output = out
	}
	return agents.Make(c)
}

// teamName is the orchestration that a scenario's own team runs as.
func teamName(s *Scenario) string { return "team:" + s.Name }

// team makes the orchestration of a team that the scenario puts together; nil if
// it names one that exists.
func (s *Session) team() *durable.Orchestration[string, orchestrator.Outcome] {
	t := s.scenario.Team
	switch {
	case t.Planner != nil:
		var o orchestrator.PlanOptions
		if n := t.Planner.MaxRevisions; n != nil {
			if o.MaxRevisions = *n; *n == 0 {
				o.MaxRevisions = -1 // none, as it says; 0 would be the default
			}
		}
		planner := s.agents[t.Planner.Agent]
		if planner == nil {
			return nil // Define goes without
		}
		return orchestrator.Planner(teamName(s.scenario), planner, s.members(t.Planner.Specialists), o)
	case t.Specialists != nil:
		return orchestrator.Specialists(teamName(s.scenario), s.members(t.Specialists.Agents), orchestrator.FanOptions{})
	}
	return nil
}

func (s *Session) members(names []string) orchestrator.Team {
	var team orchestrator.Team
	for _, n := range names {
		if a := s.agents[n]; a != nil {
			team = append(team, a)
		}
	}
	return team
}

// models gives the function that finds models by name.
func (p *Program) models(o *Options) (func(string) (models.Model, error), error) {
	if o.Live {
		r := models.Resolver{Local: p.Models, Providers: p.Providers}
		return func(name string) (models.Model, error) {
			if o.Scenario != nil {
				if real, ok := o.Scenario.Models[name]; ok {
					name = real
				}
			}
			return r.Resolve(name)
		}, nil
	}
	var script models.Model
	if o.Scenario != nil && o.Scenario.Script != nil {
		m, err := o.Scenario.Script.Answers.Model(scripted.Options{Latency: o.Latency, OnCall: o.OnAnswer})
		if err != nil {
			return nil, err
		}
		script = m
	}
	return func(name string) (models.Model, error) {
		if m, ok := p.Models[name]; ok && free(m) {
			return m, nil
		}
		if script != nil {
			return script, nil
		}
		return nil, fmt.Errorf("model %q: %w%s", name, ErrNeedsLive, freeNames(p.Models))
	}, nil
}

// own lets a session's models answer its own runs only. Those of others wait: a
// script would answer them with what was meant for another, and a live model for
// money that nobody allowed.
func (o *Options) own(find func(string) (models.Model, error)) func(context.Context, string) (models.Model, error) {
	return func(ctx context.Context, name string) (models.Model, error) {
		if tags := agents.RunTags(ctx); o.Tags != nil && (tags[TagScenario] != o.Tags[TagScenario] || tags[TagLive] != o.Tags[TagLive]) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return find(name)
	}
}

// free reports whether asking a model costs nothing and leaves the machine alone.
func free(m models.Model) bool {
	switch m.(type) {
	case *scripted.Model, *recorded.Model:
		return true
	}
	f, ok := m.(interface{ Free() bool })
	return ok && f.Free()
}

func freeNames(local map[string]models.Model) string {
	var names []string
	for _, n := range slices.Sorted(maps.Keys(local)) {
		if free(local[n]) {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " (these need none: " + strings.Join(names, ", ") + ")"
}
