package facts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
)

// Bounds of what is remembered.
const (
	MaxText  = 2000 // bytes of a fact
	MaxTags  = 8    // of a fact
	maxTag   = 64   // bytes of a tag
	maxFacts = 1000 // of a scope
	maxBytes = 256 << 10
	// What is kept of facts that are not there, so that a call that comes twice does not
	// bring them back.
	maxForgotten = 256
	maxSettled   = 64
)

// Scope is whose facts they are: the key of the entity that keeps them.
type Scope string

// User is the scope of what is known about a person.
func User(id string) Scope { return Scope("user:" + id) }

// Agent is the scope of what an agent keeps for itself.
func Agent(name string) Scope { return Scope("agent:" + name) }

// Team is the scope of what the members of a team share.
func Team(name string) Scope { return Scope("team:" + name) }

// Fact is something to be known later. It never changes: it is forgotten, and another one
// remembered.
type Fact struct {
	ID   string    `json:"id"`
	Text string    `json:"text"`
	Tags []string  `json:"tags,omitempty"`
	At   time.Time `json:"at"`
	// Run and Agent say where it comes from.
	Run   string `json:"run,omitempty"`
	Agent string `json:"agent,omitempty"`
}

// State is the state of the entity of one scope.
type State struct {
	// Born is when the entity came into being, and Version counts its changes since: an
	// index that has both is up to date.
	Born    time.Time `json:"born"`
	Version int64     `json:"version"`
	Facts   []Fact    `json:"facts"` // oldest first
	Bytes   int       `json:"bytes"` // of their texts
	// Forgotten are ids of facts that are gone, the last ones; Settled are what came of
	// calls that made no fact, the last ones.
	Forgotten []string  `json:"forgotten,omitempty"`
	Settled   []Settled `json:"settled,omitempty"`
}

// Settled says why a fact was not taken up.
type Settled struct {
	ID  string `json:"id"`
	Has string `json:"has,omitempty"` // id of the fact that says the same
	Why string `json:"why,omitempty"` // the problem, if there is one
}

// Entity keeps the facts of a scope, which is its key. A program that uses facts must
// define it; [Definitions] does.
var Entity = durable.NewEntity[State]("facts")

// Definitions is what a runtime needs for facts.
func Definitions() durable.Definition { return Entity }

// AddFact takes up a fact, once by its ID. A scope that has one of the same text keeps that
// one. Orchestrations may call it; its result says what came of it.
var AddFact = durable.Operation(Entity, "add", func(ctx *durable.EntityContext, s *State, f Fact) (Settled, error) {
	if f.ID == "" {
		return Settled{}, fmt.Errorf("a fact of %s has no id", ctx.Key())
	}
	if err := check(f.Text, f.Tags); err != nil {
		return Settled{}, err
	}
	if done, ok := s.outcome(f.ID); ok {
		return done, nil
	}
	done := Settled{ID: f.ID}
	switch i := slices.IndexFunc(s.Facts, func(x Fact) bool { return same(x.Text, f.Text) }); {
	case i >= 0:
		done.Has = s.Facts[i].ID
	case len(s.Facts) >= maxFacts || s.Bytes+len(f.Text) > maxBytes:
		done.Why = fmt.Sprintf("there are %d facts of %d bytes about %s, which is all that is kept: forget some first", len(s.Facts), s.Bytes, ctx.Key())
	default:
		f.At = ctx.Now()
		s.Facts, s.Bytes = append(s.Facts, f), s.Bytes+len(f.Text)
		s.changed(ctx)
		return Settled{ID: f.ID, Has: f.ID}, nil
	}
	s.Settled = lastOf(append(s.Settled, done), maxSettled)
	s.changed(ctx)
	return done, nil
})

// DropFacts forgets facts by their ids; those that are not there do not matter. No ids are
// all facts.
var DropFacts = durable.Operation(Entity, "drop", func(ctx *durable.EntityContext, s *State, ids []string) (int, error) {
	n := len(s.Facts)
	kept := s.Facts[:0:0]
	for _, f := range s.Facts {
		if len(ids) > 0 && !slices.Contains(ids, f.ID) {
			kept = append(kept, f)
			continue
		}
		s.Forgotten = append(s.Forgotten, f.ID)
		s.Bytes -= len(f.Text)
	}
	s.Facts, s.Forgotten = kept, lastOf(s.Forgotten, maxForgotten)
	if len(kept) < n {
		s.changed(ctx)
	} else if s.Version == 0 {
		ctx.Delete()
	}
	return n - len(kept), nil
})

func (s *State) changed(ctx *durable.EntityContext) {
	if s.Version++; s.Born.IsZero() {
		s.Born = ctx.Now()
	}
}

// outcome gives what came of a fact's id, if anything did.
func (s *State) outcome(id string) (Settled, bool) {
	for _, f := range s.Facts {
		if f.ID == id {
			return Settled{ID: id, Has: id}, true
		}
	}
	for _, x := range s.Settled {
		if x.ID == id {
			return x, true
		}
	}
	if slices.Contains(s.Forgotten, id) {
		return Settled{ID: id}, true
	}
	return Settled{}, false
}

func lastOf[T any](list []T, n int) []T {
	if len(list) > n {
		return slices.Clone(list[len(list)-n:])
	}
	return list
}

// same reports whether two texts say the same, white space and case aside.
func same(a, b string) bool {
	return strings.EqualFold(strings.Join(strings.Fields(a), " "), strings.Join(strings.Fields(b), " "))
}

// check says what is wrong with a fact.
func check(text string, tags []string) error {
	switch {
	case strings.TrimSpace(text) == "":
		return fmt.Errorf("a fact has no text")
	case len(text) > MaxText:
		return fmt.Errorf("the text has %d bytes, and a fact may have %d: keep what matters, or make several", len(text), MaxText)
	case len(tags) > MaxTags:
		return fmt.Errorf("there are %d tags, and a fact may have %d", len(tags), MaxTags)
	}
	for _, t := range tags {
		if len(t) > maxTag {
			return fmt.Errorf("the tag %.20q… has %d bytes, and may have %d", t, len(t), maxTag)
		}
	}
	return nil
}
