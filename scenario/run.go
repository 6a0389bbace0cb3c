package scenario

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/agentrun-dev/agentrun/agents"
	"github.com/agentrun-dev/agentrun/durable"
)

// Tags of a run's root instance: how a later command finds what it needs to go on
// with the run.
const (
	TagScenario = "agentrun.scenario" // path of the scenario file
	TagProgram  = "agentrun.program"  // directory of the program's main package; absent for none
	TagLive     = "agentrun.live"     // "true" if real models answer
)

// Start begins a run of the session's scenario and gives its id. When it returns,
// the run is on disk. input replaces the scenario's; "" keeps it. An id that
// exists is an error for which errors.Is(err, durable.ErrExists) is true.
func (s *Session) Start(ctx context.Context, id, input string, tags map[string]string) (string, error) {
	if s.scenario == nil {
		return "", errors.New("nothing to run: the session has no scenario")
	}
	in, err := s.scenario.input(input)
	if err != nil {
		return "", err
	}
	if id == "" {
		id = strings.ToLower(rand.Text())
	}
	// Before the run exists, so that nothing of it is missed.
	f := s.stream.Follow(id)
	if err := s.schedule(ctx, id, in, tags); err != nil {
		f.Stop()
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun[id] = f
	return id, nil
}

func (s *Session) schedule(ctx context.Context, id string, in any, tags map[string]string) error {
	opts := []durable.CallOption{durable.WithTags(tags), durable.WithTags(map[string]string{agents.RunTag: id}), durable.WithInstanceID(id)}
	if a := s.scenario.Team.Agent; a != "" {
		_, err := s.agents[a].Schedule(ctx, s.Client(), in, agents.With(opts...))
		return err
	}
	name := s.scenario.Team.Orchestration
	if name == "" {
		name = teamName(s.scenario)
	}
	_, err := s.Client().Schedule(ctx, name, in, opts...)
	return err
}

// ErrNoInput is wrapped by the error of a run that nothing says the input of.
var ErrNoInput = errors.New("has no input: add input: to the scenario, or give --input TEXT")

// input gives what the team is given: text where there is some, else the
// scenario's.
func (s *Scenario) input(text string) (any, error) {
	switch {
	case text != "":
		return text, nil
	case s.Input == nil:
		return nil, fmt.Errorf("%s %w", s.Path(), ErrNoInput)
	case s.Input[0] == '"':
		err := json.Unmarshal(s.Input, &text)
		return text, err
	}
	return s.Input, nil
}

// People decide about what agents ask.
type People interface {
	// Decide asks about one request. ok=false: nobody is there to decide it, so it
	// stays in the inbox. ctx ends when the request is settled elsewhere.
	Decide(ctx context.Context, a agents.Approval) (d agents.Decision, ok bool, err error)
	// Undecided is told, once, of a request that stays in the inbox.
	Undecided(a agents.Approval)
	// Outcome is told what became of a decision: nil, or why it does not count.
	Outcome(a agents.Approval, d agents.Decision, err error)
}

// Declared are the people of the scenario: their decisions are written in it. What
// became of a call that was cut off they only know where a decision names the
// question.
func (s *Scenario) Declared(a agents.Approval) (agents.Decision, bool) {
	for i := range s.Decisions {
		d := &s.Decisions[i]
		if !d.fits(Request{Tool: a.Tool, Agent: a.Agent, Question: a.Question}) {
			continue
		}
		if a.Kind == agents.KindOutcome && d.Question == "" {
			continue // what a tool may do says nothing about what it did
		}
		if d.Decide == Wait {
			break
		}
		return agents.Decision{Approve: d.Decide == Approve, By: d.As, Arguments: string(d.Arguments), Comment: d.Comment, From: "scenario"}, true
	}
	return agents.Decision{}, false
}

// Follow stays with a run until it has ended, or waits for a person and for
// nothing else. Requests go to people; events, if there is somebody to tell, to
// watch. The run goes on in the session's runtime in any case.
func (s *Session) Follow(ctx context.Context, id string, people People, watch func(agents.Event)) (*Report, error) {
	if watch == nil {
		watch = func(agents.Event) {}
	}
	f := &follow{session: s, id: id, people: people, watch: watch, asked: map[string]context.CancelFunc{}, left: map[string]bool{}, decided: make(chan decided)}
	defer f.stop()
	if err := f.subscribe(ctx); err != nil {
		return nil, err
	}
	ear, stop := s.news.listen()
	defer stop()
	f.ear = ear
	return f.run(ctx)
}

// subscribe follows all instances of the run. One that was begun elsewhere goes on
// while its tree is read, so that the tree is read until nothing was added: from
// then on, each new instance is the child of a known one.
func (f *follow) subscribe(ctx context.Context) error {
	s := f.session
	s.mu.Lock()
	f.Follower = s.begun[f.id]
	delete(s.begun, f.id)
	s.mu.Unlock()
	seen := -1
	if f.Follower != nil {
		if s.resumed == 0 { // it was started here: nothing was there before
			return nil
		}
		seen = s.resumed
	}
	for {
		r, err := Inspect(ctx, s.Client(), f.id)
		if err != nil || len(r.instances) == seen {
			return err
		}
		seen = len(r.instances)
		if f.Follower != nil {
			f.Stop()
			f.tell()
		}
		f.Follower = s.stream.Follow(f.id, r.instances...)
	}
}

// tell passes on what happened, and says whether the run is worth a look.
func (f *follow) tell() (look bool) {
	for _, ev := range f.Take() {
		f.watch(ev)
		switch ev.Kind {
		case agents.EventEnd, agents.EventApproval, agents.EventDecided:
			look = true
		}
	}
	return look
}

// follow is one Follow under way.
type follow struct {
	*agents.Follower
	session *Session
	id      string
	people  People
	watch   func(agents.Event)
	asked   map[string]context.CancelFunc // requests that somebody is being asked about
	left    map[string]bool               // requests that nobody decides
	decided chan decided
	ear     *ear
}

type decided struct {
	approval agents.Approval
	decision agents.Decision
	ok       bool
	err      error
}

// stop ends every question that is still open, and waits for it to be over.
func (f *follow) stop() {
	if f.Follower != nil {
		f.Stop()
	}
	for _, cancel := range f.asked {
		cancel()
	}
	for range f.asked {
		<-f.decided
	}
}

func (f *follow) run(ctx context.Context) (*Report, error) {
	for look := true; ; {
		if look {
			f.tell() // before people are asked about it: a question keeps back what is told later
			r, err := f.look(ctx)
			if err != nil || r != nil {
				f.tell()
				return r, err
			}
		}
		look = false
		// Whatever ran beside a request that nobody decides, a turn takes its end: of an
		// activity, a timer, a child or a call. Otherwise turns are no reason to look.
		var turns <-chan struct{}
		if len(f.left) > 0 {
			turns = f.ear.turns
		}
		select {
		case <-f.Ready():
			look = f.tell()
		case <-f.ear.requests:
			look = true
		case <-turns:
			look = true
		case d := <-f.decided:
			if err := f.take(ctx, d); err != nil {
				return nil, err
			}
			look = true
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-f.session.Done():
			if err := f.session.Err(); err != nil {
				return nil, err
			}
			return nil, errors.New("the store was closed")
		}
	}
}

// look finds out whether the run has ended or only waits, and asks people about
// requests that are new.
func (f *follow) look(ctx context.Context) (*Report, error) {
	c := f.session.Client()
	s, err := c.Get(ctx, f.id)
	if err != nil {
		return nil, err
	}
	if s.Status.Ended() {
		return Inspect(ctx, c, f.id)
	}
	list, err := agents.Inbox(ctx, c, f.id, true)
	if err != nil {
		return nil, err
	}
	for id, cancel := range f.asked {
		if !slices.ContainsFunc(list, func(a agents.Approval) bool { return a.ID == id }) {
			cancel() // settled elsewhere
		}
	}
	for _, a := range list {
		if f.asked[a.ID] == nil && !f.left[a.ID] {
			f.ask(ctx, a)
		}
	}
	maps.DeleteFunc(f.left, func(id string, _ bool) bool {
		return !slices.ContainsFunc(list, func(a agents.Approval) bool { return a.ID == id })
	})
	if len(f.left) == 0 || len(f.asked) > 0 {
		return nil, nil
	}
	r, err := Inspect(ctx, c, f.id)
	if err != nil || r.Status != Waiting || r.busy {
		return nil, err
	}
	return r, nil
}

func (f *follow) ask(ctx context.Context, a agents.Approval) {
	ctx, cancel := context.WithCancel(ctx)
	f.asked[a.ID] = cancel
	go func() { // ends with ctx: stop waits for it
		d, ok, err := f.people.Decide(ctx, a)
		if ctx.Err() != nil {
			ok, err = false, nil
		}
		f.decided <- decided{a, d, ok, err}
	}()
}

// take acts on what a person said.
func (f *follow) take(ctx context.Context, d decided) error {
	f.asked[d.approval.ID]()
	delete(f.asked, d.approval.ID)
	switch {
	case d.err != nil:
		return d.err
	case !d.ok:
		now, err := agents.Inbox(ctx, f.session.Client(), f.id, true)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(now, func(a agents.Approval) bool { return a.ID == d.approval.ID }) {
			f.left[d.approval.ID] = true
			f.people.Undecided(d.approval)
		}
		return nil
	}
	a, err := agents.Decide(ctx, f.session.Client(), d.approval.ID, d.decision)
	if err != nil && !errors.Is(err, agents.ErrNotCounted) && !errors.Is(err, durable.ErrInvalid) {
		return err
	}
	f.people.Outcome(a, d.decision, err)
	if a.Status == agents.Waiting { // more people must agree, or this one must not: it would be asked for ever
		f.left[a.ID] = true
		f.people.Undecided(a)
	}
	return nil
}
