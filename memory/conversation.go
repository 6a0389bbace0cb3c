package memory

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// Head names a conversation at one moment: the persistent list's last chunk.
// The zero Head is an empty conversation.
type Head struct {
	Chunk  durable.Ref `json:"chunk,omitzero"`
	Length int         `json:"length"` // messages
	// First is the first message, which views keep whatever else they leave out. It is
	// zero in heads of versions that had no views; the next append fills it in.
	First durable.Ref `json:"first,omitzero"`
	// Marks is what was edited, redacted and pinned by then. The list itself never
	// changes, so a head without them goes on naming what was.
	Marks durable.Ref `json:"marks,omitzero"`
}

// Chunk is one link of the list, as it is stored.
type Chunk struct {
	Before   durable.Ref   `json:"before,omitzero"` // the chunk before it
	Start    int           `json:"start"`           // position of its first message
	Messages []durable.Ref `json:"messages"`
	// Agents says which agent each of the messages is from; none if none is known.
	Agents []string `json:"agents,omitempty"`
}

// State is a conversation entity's state.
type State struct {
	Head Head `json:"head"`
	// Version counts the changes. An append may demand one, so that two writers
	// do not interleave unawares.
	Version int64 `json:"version"`

	// Whole is the list up to the last chunk that is not loose. Loose chunks, one
	// for each append, are joined into one when there are maxLoose of them, so
	// that reading takes a bounded number of small steps.
	Whole Head `json:"whole"`
	Loose int  `json:"loose"`

	// TTL is how long the conversation lives after its last change, 0 for ever; Touched
	// is when that was, kept only where there is a TTL. Timer is when the entity looks
	// after it next: a signal to itself is under way until then.
	TTL     time.Duration `json:"ttl,omitempty"` // nanoseconds
	Touched time.Time     `json:"touched,omitzero"`
	Timer   time.Time     `json:"timer,omitzero"`
}

// maxLoose is how many appends are joined into one chunk.
const maxLoose = 32

// maxEntry bounds the messages of one append: an answer with as many tool calls as
// a model may make, and their results.
const maxEntry = 1 + models.MaxToolCalls

// maxAgent bounds the name of an agent, in bytes.
const maxAgent = 256

// Entry is what Append takes.
type Entry struct {
	Messages []durable.Ref `json:"messages"`
	// Version is what the conversation's version must be; 0: any.
	Version int64 `json:"version,omitempty"`
	// New demands that the conversation is empty.
	New bool `json:"new,omitempty"`
	// Agent is whose messages these are, where several share the conversation. Messages
	// of people have none.
	Agent string `json:"agent,omitempty"`
}

// Conversation is the entity. Its key is the conversation's id.
var Conversation = durable.NewEntity[State]("conversation")

// Append adds messages at the end and gives the new head. Without messages it changes
// nothing, and gives the head as it is.
var Append = durable.Operation(Conversation, "append", func(ctx *durable.EntityContext, s *State, in Entry) (Head, error) {
	if err := s.at(ctx, in.Version); err != nil {
		return Head{}, err
	}
	if in.New && s.Version != 0 {
		return Head{}, fmt.Errorf("conversation %s has messages already", ctx.Key())
	}
	if len(in.Messages) > maxEntry {
		return Head{}, fmt.Errorf("%d messages are more than the %d that one append takes", len(in.Messages), maxEntry)
	}
	if len(in.Agent) > maxAgent {
		return Head{}, fmt.Errorf("the agent's name has %d bytes, and may have %d", len(in.Agent), maxAgent)
	}
	if len(in.Messages) == 0 {
		if s.Version == 0 { // asking does not make it exist
			ctx.Delete()
		}
		return s.Head, nil
	}
	added := make([]entry, len(in.Messages))
	for i, m := range in.Messages {
		ctx.Keep(m)
		added[i] = entry{m, in.Agent}
	}
	err := s.append(ctx, added)
	return s.Head, err
})

// at checks the version that a writer expects; 0 is any.
func (s *State) at(ctx *durable.EntityContext, version int64) error {
	if version != 0 && version != s.Version {
		return fmt.Errorf("conversation %s is at version %d, not %d: somebody else has written", ctx.Key(), s.Version, version)
	}
	return nil
}

// changed counts a change.
func (s *State) changed(ctx *durable.EntityContext) {
	s.Version++
	if s.TTL > 0 {
		s.Touched = ctx.Now()
	}
}

func (s *State) append(ctx *durable.EntityContext, added []entry) error {
	first := added[0].ref
	if s.Head.Length > 0 {
		first = s.Head.First
	}
	if first.IsZero() { // of a version that did not note it
		all, err := entries(ctx.Load, s.Head, 0)
		if err != nil {
			return err
		}
		first = all[0].ref
	}
	before, joined := s.Head, s.Loose+1 >= maxLoose
	if joined {
		loose, err := entries(ctx.Load, s.Head, s.Whole.Length)
		if err != nil {
			return err
		}
		before, added = s.Whole, append(loose, added...)
	}
	c := Chunk{Before: before.Chunk, Start: before.Length}
	c.add(added)
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	s.Head = Head{Chunk: ctx.Store(b), Length: before.Length + len(added), First: first, Marks: s.Head.Marks}
	s.changed(ctx)
	s.Loose++
	if joined {
		s.joined()
	}
	return nil
}

// joined notes that no chunk is loose.
func (s *State) joined() {
	s.Whole, s.Loose = Head{Chunk: s.Head.Chunk, Length: s.Head.Length}, 0 // the rest of a head is in Head
}

// Fork makes the conversation with this key begin as another one was at a head.
// It must be empty. Edits, redactions and pins go with it, a time to live does not.
var Fork = durable.Operation(Conversation, "fork", func(ctx *durable.EntityContext, s *State, from Head) (Head, error) {
	if s.Version != 0 {
		return Head{}, fmt.Errorf("conversation %s has messages already: fork into a new one", ctx.Key())
	}
	if !from.Chunk.IsZero() {
		if err := owned(ctx.Load, from, ctx.Keep); err != nil {
			return Head{}, err
		}
	}
	*s = State{Head: from, Version: 1}
	s.joined()
	return from, nil
})

// owned visits every payload that a conversation with this head keeps. What was
// redacted is not among them.
func owned(load Loader, h Head, visit func(durable.Ref)) error {
	m, err := loadMarks(load, h)
	if err != nil {
		return err
	}
	for _, node := range m.nodes {
		visit(node)
	}
	for _, x := range m.list {
		if !m.redacted(x.At) || x.Kind == Redacted {
			visit(x.Message)
		}
	}
	return walk(load, h, 0, func(at durable.Ref, c Chunk) {
		visit(at)
		for i, r := range c.Messages {
			if !m.redacted(c.Start + i) {
				visit(r)
			}
		}
	})
}
