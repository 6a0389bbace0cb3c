package memory

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"

	"github.com/agentrun-dev/agentrun/durable"
	"github.com/agentrun-dev/agentrun/models"
)

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
		if c.Start < 0 || c.Start+len(c.Messages) != end || len(c.Messages) == 0 ||
			len(c.Agents) != 0 && len(c.Agents) != len(c.Messages) {
			return fmt.Errorf("conversation: chunk %s does not end at position %d", at.Hash, end)
		}
		visit(at, c)
		end, at = c.Start, c.Before
	}
	return nil
}

// entry is a message of the list.
type entry struct {
	ref   durable.Ref
	agent string
}

// add appends messages to a chunk that is being made.
func (c *Chunk) add(list []entry) {
	known := slices.ContainsFunc(list, func(e entry) bool { return e.agent != "" })
	for _, e := range list {
		c.Messages = append(c.Messages, e.ref)
		if known {
			c.Agents = append(c.Agents, e.agent)
		}
	}
}

// entries gives the messages from a position on, in order, as the list has them.
func entries(load Loader, h Head, from int) ([]entry, error) {
	from = max(from, 0)
	if from >= h.Length {
		return nil, nil
	}
	out := make([]entry, h.Length-from)
	err := walk(load, h, from, func(_ durable.Ref, c Chunk) {
		for i := max(from-c.Start, 0); i < len(c.Messages); i++ {
			e := &out[c.Start+i-from]
			if e.ref = c.Messages[i]; len(c.Agents) > 0 {
				e.agent = c.Agents[i]
			}
		}
	})
	return out, err
}

// Item is a message with what a conversation knows of it.
type Item struct {
	At      int // position, from 0
	Message models.Message
	Agent   string // that said it or called the tool; "" if nobody noted it, or for a person's
	// Ref is the payload that the message was read from. Listed is the one that the list
	// has at this position: another one if the message was edited or redacted.
	Ref, Listed durable.Ref
	Redacted    bool // Message only stands for what was there
	Pinned      bool
}

// Items gives the messages of a conversation from a position (0 is the first), in
// order, as they are by now: edits and redactions are in their places. Its cost is that
// of what it reads, wherever that lies.
func Items(load Loader, h Head, from int) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		from = max(from, 0)
		m, err := loadMarks(load, h)
		if err != nil {
			yield(Item{}, err)
			return
		}
		list, err := entries(load, h, from)
		if err != nil {
			yield(Item{}, err)
			return
		}
		for i, e := range list {
			it, err := m.item(load, from+i, e)
			if !yield(it, err) || err != nil {
				return
			}
		}
	}
}

// item reads the message at a position.
func (m *marks) item(load Loader, at int, e entry) (Item, error) {
	it := Item{At: at, Agent: e.agent, Ref: m.ref(at, e.ref), Listed: e.ref, Redacted: m.redacted(at), Pinned: m.pinned(at)}
	var err error
	if it.Message, err = Message(load, it.Ref); err != nil {
		return it, fmt.Errorf("message %d: %w", at, err)
	}
	return it, nil
}

// Read gives the messages of [Items] alone.
func Read(load Loader, h Head, from int) iter.Seq2[models.Message, error] {
	return func(yield func(models.Message, error) bool) {
		for it, err := range Items(load, h, from) {
			if !yield(it.Message, err) {
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
