package memory

import (
	"encoding/json"
	"fmt"
	"iter"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

// Head names a conversation at one moment: the persistent list's last chunk.
// The zero Head is an empty conversation.
type Head struct {
	Chunk  durable.Ref `json:"chunk,omitzero"`
	Length int         `json:"length"` // messages
}

// Chunk is one link of the list, as it is stored.
type Chunk struct {
	Before   durable.Ref   `json:"before,omitzero"` // the chunk before it
	Start    int           `json:"start"`           // position of its first message
	Messages []durable.Ref `json:"messages"`
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
}

// maxLoose is how many appends are joined into one chunk.
const maxLoose = 32

// maxEntry bounds the messages of one append: an answer with as many tool calls as
// a model may make, and their results.
const maxEntry = 1 + models.MaxToolCalls

// Entry is what Append takes.
type Entry struct {
	Messages []durable.Ref `json:"messages"`
	// Version is what the conversation's version must be; 0: any.
	Version int64 `json:"version,omitempty"`
	// New demands that the conversation is empty.
	New bool `json:"new,omitempty"`
}

// Conversation is the entity. Its key is the conversation's id.
var Conversation = durable.NewEntity[State]("conversation")

// Append adds messages at the end and gives the new head.
var Append = durable.Operation(Conversation, "append", func(ctx *durable.EntityContext, s *State, in Entry) (Head, error) {
	if in.Version != 0 && in.Version != s.Version {
		return Head{}, fmt.Errorf("conversation %s is at version %d, not %d: somebody else has written", ctx.Key(), s.Version, in.Version)
	}
	if in.New && s.Version != 0 {
		return Head{}, fmt.Errorf("conversation %s has messages already", ctx.Key())
	}
	if len(in.Messages) > maxEntry {
		return Head{}, fmt.Errorf("%d messages are more than the %d that one append takes", len(in.Messages), maxEntry)
	}
	if len(in.Messages) == 0 {
		return s.Head, nil
	}
	for _, m := range in.Messages {
		ctx.Keep(m)
	}
	err := s.append(ctx, in.Messages)
	return s.Head, err
})

func (s *State) append(ctx *durable.EntityContext, messages []durable.Ref) error {
	c := Chunk{Before: s.Head.Chunk, Start: s.Head.Length, Messages: messages}
	joined := s.Loose+1 >= maxLoose
	if joined {
		loose, err := refs(ctx.Load, s.Head, s.Whole.Length)
		if err != nil {
			return err
		}
		c = Chunk{Before: s.Whole.Chunk, Start: s.Whole.Length, Messages: append(loose, messages...)}
	}
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	s.Head = Head{Chunk: ctx.Store(b), Length: s.Head.Length + len(messages)}
	s.Version++
	s.Loose++
	if joined {
		s.Whole, s.Loose = s.Head, 0
	}
	return nil
}

// Fork makes the conversation with this key begin as another one was at a head.
// It must be empty.
var Fork = durable.Operation(Conversation, "fork", func(ctx *durable.EntityContext, s *State, from Head) (Head, error) {
	if s.Version != 0 {
		return Head{}, fmt.Errorf("conversation %s has messages already: fork into a new one", ctx.Key())
	}
	if !from.Chunk.IsZero() {
		if err := walk(ctx.Load, from, 0, func(at durable.Ref, c Chunk) {
			ctx.Keep(at)
			for _, m := range c.Messages {
				ctx.Keep(m)
			}
		}); err != nil {
			return Head{}, err
		}
	}
	*s = State{Head: from, Whole: from, Version: 1}
	return from, nil
})

// Loader reads a payload: durable.Load with its context, or a client's.
type Loader func(durable.Ref) ([]byte, error)

// walk visits the chunks from the head back to the one that holds position from.
func walk(load Loader, h Head, from int, visit func(durable.Ref, Chunk)) error {
	end := h.Length
	for at := h.Chunk; end > from; {
		if at.IsZero() {
			return fmt.Errorf("conversation: %d messages are missing before position %d", end-from, end)
		}
		b, err := load(at)
		if err != nil {
			return fmt.Errorf("conversation: %w", err)
		}
		var c Chunk
		if err := json.Unmarshal(b, &c); err != nil {
			return fmt.Errorf("conversation: chunk %s: %w", at.Hash, err)
		}
		if c.Start < 0 || c.Start+len(c.Messages) != end || len(c.Messages) == 0 {
			return fmt.Errorf("conversation: chunk %s does not end at position %d", at.Hash, end)
		}
		visit(at, c)
		end, at = c.Start, c.Before
	}
	return nil
}

// refs gives the references of the messages from a position on, in order.
func refs(load Loader, h Head, from int) ([]durable.Ref, error) {
	from = max(from, 0)
	if from >= h.Length {
		return nil, nil
	}
	out := make([]durable.Ref, h.Length-from)
	err := walk(load, h, from, func(_ durable.Ref, c Chunk) {
		skip := max(from-c.Start, 0)
		copy(out[c.Start+skip-from:], c.Messages[skip:])
	})
	return out, err
}

// Read gives the messages of a conversation from a position (0 is the first), in
// order. Its cost is that of what it reads, wherever that lies.
func Read(load Loader, h Head, from int) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		list, err := refs(load, h, from)
		if err != nil {
			yield(models.Message{}, err)
			return
		}
		for i, r := range list {
			m, err := Message(load, r)
			if err != nil {
				err = fmt.Errorf("message %d: %w", max(from, 0)+i, err)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// Message reads one message.
func Message(load Loader, r durable.Ref) (models.Message, error) {
	b, err := load(r)
	if err != nil {
		return models.Message{}, err
	}
	var m models.Message
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("payload %s is no message: %w", r.Hash, err)
	}
	return m, nil
}

// Encode gives a message as it is stored.
func Encode(m models.Message) ([]byte, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return b, nil
}
